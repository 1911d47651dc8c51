"""The source files that the rules of the house are checked on."""

import ast
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLOORS = ("models", "indexer", "search", "eval", "training")


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def product() -> Mapping[Path, ast.Module]:
    """The parsed product files, tests left out, by path relative to the repository's root."""
    files = [ROOT / "cloze.py"]
    files += [file for floor in FLOORS for file in sorted((ROOT / floor).rglob("*.py"))]
    return {
        file.relative_to(ROOT): ast.parse(file.read_text(encoding="utf-8"), str(file))
        for file in files
    }
