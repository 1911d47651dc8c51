"""Asking any command for its help loads no numeric library."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("faiss", "numpy", "openvino", "tantivy", "tokenizers", "torch", "transformers")

# Runs in a fresh interpreter, where nothing but the command line has imported anything. It asks
# every command for its help, groups before their members, and prints what each one loaded.
PROBE = """
import contextlib, io, json, sys

heavy = set(sys.argv[1:])

def loaded():
    return sorted(heavy & set(sys.modules))

import cloze
seen = {"import cloze": loaded()}

def ask(path):
    sys.argv = ["cloze", *path, "--help"]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            cloze.main()
    except SystemExit as end:
        if end.code:
            raise
    seen[" ".join(sys.argv)] = loaded()

def visit(command, path):
    ask(path)
    for name, member in getattr(command, "commands", {}).items():
        visit(member, [*path, name])

import typer
visit(typer.main.get_command(cloze.app), [])
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def loaded(root: Path) -> dict[str, list[str]]:
    """The heavy modules that were loaded once each command had given its help."""
    probe = subprocess.run(
        [sys.executable, "-c", PROBE, *HEAVY],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert probe.returncode == 0, probe.stderr
    seen: dict[str, list[str]] = json.loads(probe.stdout.splitlines()[-1])
    return seen


def test_help_loads_no_numeric_library(loaded: dict[str, list[str]]) -> None:
    assert {command: modules for command, modules in loaded.items() if modules} == {}


def test_every_command_was_asked(loaded: dict[str, list[str]]) -> None:
    assert {"cloze --help", "cloze demo --help", "cloze doctor --help"} <= set(loaded)


def test_the_probe_sees_a_load(root: Path) -> None:
    probe = PROBE.replace("import cloze\n", "import cloze, numpy\n", 1)
    ended = subprocess.run(
        [sys.executable, "-c", probe, *HEAVY],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(ended.stdout.splitlines()[-1])["import cloze"] == ["numpy"]
