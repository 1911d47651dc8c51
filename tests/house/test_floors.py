"""An import never goes up a floor."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

FLOORS = ("models", "indexer", "search", "eval", "training", "cloze", "tests")


def absolute(node: ast.ImportFrom, file: Path) -> str:
    """The dotted name of the module that `from ... import` names, relative ones resolved."""
    if not node.level:
        return node.module or ""
    package = file.parts[:-1]
    base = package[: len(package) - node.level + 1]
    return ".".join([*base, *filter(None, [node.module])])


def imported(tree: ast.Module, file: Path) -> Iterator[tuple[int, str]]:
    """Every import of a file, those inside functions and those by name included, with its line."""
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                yield from ((node.lineno, alias.name) for alias in node.names)
            case ast.ImportFrom():
                yield node.lineno, absolute(node, file)
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__")
                | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield node.lineno, name


def climbs(tree: ast.Module, file: Path) -> list[str]:
    """The imports of a file that reach a higher floor, as lines for a person to read."""
    own = FLOORS.index(file.parts[0].removesuffix(".py"))
    return [
        f"{file}:{line} imports {name}"
        for line, name in imported(tree, file)
        if name.split(".")[0] in FLOORS[own + 1 :]
    ]


def test_no_import_goes_up_a_floor(product: Mapping[Path, ast.Module]) -> None:
    assert [line for file, tree in product.items() for line in climbs(tree, file)] == []


def test_every_floor_is_seen(product: Mapping[Path, ast.Module]) -> None:
    assert {file.parts[0] for file in product} == {
        "cloze.py",
        "models",
        "indexer",
        "search",
        "eval",
        "training",
    }


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("indexer/store.py", "import search"),
        ("indexer/store.py", "import numpy, training.loop as loop"),
        ("search/engine.py", "from eval.measures import ndcg"),
        ("search/engine.py", "def f():\n    from training import loop"),
        ("search/api/app.py", "if TYPE_CHECKING:\n    import eval"),
        ("eval/report.py", "import importlib\nimportlib.import_module('training.loop')"),
        ("eval/report.py", "__import__('training')"),
        ("training/loop.py", "import cloze"),
        ("indexer/index.py", "from tests.oracle import bm25"),
    ],
)
def test_a_climb_is_caught(file: str, source: str) -> None:
    assert len(climbs(ast.parse(source), Path(file))) == 1


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("cloze.py", "import indexer, search, eval, training"),
        ("training/loop.py", "from search.engine import SearchEngine"),
        ("training/masking/whole.py", "from ..search import things"),
        ("indexer/corpus/jsonl.py", "from . import search"),
        ("search/engine.py", "import searching, evaluate, training_tools"),
    ],
)
def test_a_step_down_or_sideways_is_allowed(file: str, source: str) -> None:
    assert climbs(ast.parse(source), Path(file)) == []


def test_relative_imports_are_resolved() -> None:
    tree = ast.parse("from . import a\nfrom .b import c\nfrom ..d import e\nfrom .. import f")
    names = [name for _, name in imported(tree, Path("indexer/corpus/jsonl.py"))]
    assert names == ["indexer.corpus", "indexer.corpus.b", "indexer.d", "indexer"]
