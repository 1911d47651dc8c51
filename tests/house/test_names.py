"""A file is named by its noun and is short enough to hold in the head."""

import ast
from collections.abc import Mapping
from pathlib import Path

EMPTY_NAMES = {"common", "helper", "helpers", "manager", "managers", "util", "utils"}
MOST_LINES = 350


def test_no_file_or_folder_has_a_name_that_says_nothing(
    product: Mapping[Path, ast.Module], root: Path
) -> None:
    tests = [file.relative_to(root) for file in (root / "tests").rglob("*.py")]
    names = {file: {*file.parts[:-1], file.stem} for file in [*product, *tests]}
    words = {
        file: {word for name in parts for word in name.split("_")} for file, parts in names.items()
    }
    assert [str(file) for file in words if words[file] & EMPTY_NAMES] == []


def test_every_product_file_is_short(product: Mapping[Path, ast.Module], root: Path) -> None:
    lines = {file: len((root / file).read_text(encoding="utf-8").splitlines()) for file in product}
    assert {str(file): count for file, count in lines.items() if count >= MOST_LINES} == {}
