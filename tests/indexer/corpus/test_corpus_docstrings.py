"""Docstrings from source files: names, kinds and order, with nothing imported."""

import importlib.util
import inspect
import json
import json.decoder
import sys
import sysconfig
from pathlib import Path

import pytest

from indexer.corpus import Corpus, Fields
from indexer.errors import ClozeError

PACKAGE = {
    "__init__.py": '"""The package."""\nraise RuntimeError("imported")\n',
    "shapes/__init__.py": "",
    "shapes/round.py": '''"""Round things."""
import nowhere
if nowhere.fast:
    def area(r):
        """First."""
else:
    def area(r):
        """Second."""
try:
    import c
except ImportError:
    async def wait():
        """Wait
            for it.

          Then go.
        """
        def hidden():
            """Not reachable by a name."""
class Circle:
    """A circle."""
    class Part:
        """A part."""
        def cut(self):
            """Cut."""
    @property
    def radius(self):
        """Get."""
    @radius.setter
    def radius(self, value):
        """Set."""
    def bare(self): return 1
    with nowhere:
        def inside(self):
            """Inside."""
def after(): "After."
def blank(): "   "
''',
    "shapes/_add_newdocs.py": '''
from nowhere import add_newdoc, lib
add_newdoc("fast", """
    A compiled function.

        Indented.
    """)
add_newdoc("mypkg.core", "array", "An array.")
lib.add_newdoc("mypkg.core", "array", ("T", "Its transpose."))
add_newdoc("mypkg.core", "array", "A repetition.")
add_newdoc("ArrayLike", "typing.Union[...]", "No name.")
add_newdoc("mypkg.core", made_up(), "No literal.")
other("mypkg.core", "other", "Another call.")
''',
    "broken.py": "def (:\n",
    "null.py": "x = 1\0",
    "latin.py": "# coding: latin-1\n'''caf\xe9'''\n",
    "tests/test_x.py": '"""A test."""',
    "__pycache__/x.py": '"""A cache."""',
    "not-a-module.py": '"""A script."""',
    "data-1.0/x.py": '"""No package."""',
}


def install(site: Path, name: str, files: dict[str, str]) -> None:
    for relative, code in files.items():
        path = site / name / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code, encoding="latin-1")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_hand_made_package(site: Path) -> None:
    install(site, "mypkg", PACKAGE)
    corpus = Corpus(["docstrings:mypkg"], fields=Fields(id="url", text="words"))
    seen = []
    for document in corpus:
        path, line = corpus.where().removeprefix(f"{site}/mypkg/").split(":")
        assert document.title == document.id
        assert document.metadata["package"] == "mypkg"
        assert set(document.metadata) == {"package", "kind", "module"}
        seen.append((document.id, document.metadata["kind"], document.text, path, int(line)))
    round_, newdocs = "shapes/round.py", "shapes/_add_newdocs.py"
    assert seen == [
        ("mypkg", "module", "The package.", "__init__.py", 1),
        ("mypkg.latin", "module", "café", "latin.py", 1),
        ("mypkg.shapes.fast", "function", "A compiled function.\n\n    Indented.", newdocs, 3),
        ("mypkg.core.array", "function", "An array.", newdocs, 8),
        ("mypkg.core.array.T", "method", "Its transpose.", newdocs, 9),
        ("mypkg.shapes.round", "module", "Round things.", round_, 1),
        ("mypkg.shapes.round.area", "function", "First.", round_, 4),
        ("mypkg.shapes.round.wait", "function", "Wait\n  for it.\n\nThen go.", round_, 12),
        ("mypkg.shapes.round.Circle", "class", "A circle.", round_, 20),
        ("mypkg.shapes.round.Circle.Part", "class", "A part.", round_, 22),
        ("mypkg.shapes.round.Circle.Part.cut", "method", "Cut.", round_, 24),
        ("mypkg.shapes.round.Circle.radius", "method", "Get.", round_, 27),
        ("mypkg.shapes.round.Circle.inside", "method", "Inside.", round_, 34),
        ("mypkg.shapes.round.after", "function", "After.", round_, 36),
    ]
    assert "mypkg" not in sys.modules
    assert corpus.counts.skipped == 0
    assert corpus.position() == 1.0


def test_module_metadata_is_where_the_object_lives(site: Path) -> None:
    install(site, "mypkg", PACKAGE)
    modules = {each.id: each.metadata["module"] for each in Corpus(["docstrings:mypkg"])}
    assert modules["mypkg.shapes.round.Circle.Part.cut"] == "mypkg.shapes.round"
    assert modules["mypkg.shapes.fast"] == "mypkg.shapes"
    assert modules["mypkg.core.array.T"] == "mypkg.core"


def test_single_module_and_several_packages(site: Path) -> None:
    install(site, ".", {"lonely.py": '"""Alone."""\ndef f():\n    """Do."""\n'})
    install(site, "other_pkg", {"__init__.py": '"""Other."""'})
    documents = list(Corpus(["docstrings:other_pkg,lonely"]))
    assert [(each.id, each.metadata["package"]) for each in documents] == [
        ("other_pkg", "other_pkg"),
        ("lonely", "lonely"),
        ("lonely.f", "lonely"),
    ]


def test_real_package_against_its_imported_docstrings() -> None:
    found = {document.id: document.text for document in Corpus(["docstrings:json"])}
    for name, thing in {
        "json": json,
        "json.dumps": json.dumps,
        "json.load": json.load,
        "json.decoder.JSONDecoder": json.JSONDecoder,
        "json.decoder.JSONDecoder.raw_decode": json.JSONDecoder.raw_decode,
    }.items():
        assert thing.__doc__
        assert found[name] == inspect.cleandoc(thing.__doc__)


def test_default_packages_leave_out_the_absent_and_the_tests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_out = ["test", "tests", "idlelib", "lib2to3", "turtledemo", "site-packages", "p/tests"]
    files = {f"{name}/inner.py": '"""Left out."""' for name in left_out}
    files |= {"abc.py": '"""The abc."""', "p/__init__.py": '"""P."""', "p/q.py": '"""Q."""'}
    install(tmp_path, "lib", files)
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path / "lib"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    documents = list(Corpus(["docstrings"]))
    assert [each.id for each in documents] == ["abc", "p", "p.q"]
    assert {each.metadata["package"] for each in documents} == {"stdlib"}
    with pytest.raises(ClozeError, match="docstrings:numpy: "):
        Corpus(["docstrings:numpy"])


@pytest.mark.parametrize("name", ["no_such_package", "json.decoder", "", "sys", "../json"])
def test_package_without_source_is_refused(name: str) -> None:
    with pytest.raises(ClozeError, match="no top-level package of this name") as caught:
        Corpus([f"docstrings:{name}"])
    assert str(caught.value).startswith(f"docstrings:{name}: ")


def test_standard_library_streams_file_by_file() -> None:
    corpus = Corpus(["docstrings:stdlib"])
    found = iter(corpus)
    first = next(found)
    position = corpus.position()
    assert first.metadata["package"] == "stdlib"
    assert position is not None
    assert position < 0.05


def test_private_names_are_left_out() -> None:
    found = [document.id for document in Corpus(["docstrings:json"])]
    assert "json.dumps" in found
    assert not [name for name in found if name.rpartition(".")[2].startswith("_")]
