"""The postings' own note of a commit, which has no checksum: its damage is told or harmless."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from indexer import postings
from indexer.analysis import Analyzer
from indexer.creation import Settings
from indexer.documents import Document
from indexer.errors import DamagedIndexError
from indexer.index import Index
from indexer.lexical import Lexical

QUERY = "flow wing water"
# Empty texts too; so many documents that no flip of a bit gives another true count.
TEXTS = {f"{n}": "flow " * (n % 4) + "wing " * (n % 3) + "water" * (n % 2) for n in range(37)}


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Two segments, deletions in the first."""
    with Index.open(tmp_path / "index", Settings(lexical_only=True)) as index:
        documents = [Document(id=id, text=text) for id, text in TEXTS.items()]
        index.add(documents[:30])
        index.add(documents[30:])
        index.delete(["3", "5"])
    return tmp_path / "index"


@pytest.fixture
def generation(made: Path) -> Path:
    (found,) = (made / "lexical").iterdir()
    return found


def answers(made: Path) -> tuple[object, ...]:
    lexical = Lexical(made / "lexical", Analyzer("none"), 1)
    found = lexical.search(QUERY, 99)
    scores = dict(zip(found.numbers.tolist(), found.scores.tolist(), strict=True))
    return scores, lexical.count, lexical.covered, lexical.dead, lexical.numbers().tolist()


def test_a_commit_is_read_as_its_files_are(generation: Path) -> None:
    commit = postings.meta(generation)
    found = postings.segments(commit)
    # A deletion writes one living document again, to have its sequence number somewhere.
    assert sorted((each.documents, each.dead) for each in found) == [(1, 0), (7, 1), (30, 2)]
    assert all((each.deletions is not None) == (each.dead > 0) for each in found)
    postings.check_counts(generation, commit)


@pytest.mark.parametrize(
    ("written", "spoilt"),
    [
        ('"record": "freq"', '"recort": "freq"'),
        ('"record": "freq"', '"record": "position"'),
        ('"whitespace"', '"whitespacd"'),
        ('"name": "body"', '"name": "bodx"'),
        ('"segments"', '"segment3"'),
        ('"deletes"', '"delete3"'),
        ('"max_doc": 30', '"max_doc": 31'),
        ('"max_doc": 30', '"max_doc": 20'),
        ('"max_doc": 7', '"max_doc": 3'),
        ('"num_deleted_docs": 2', '"num_deleted_docs": 0'),
        ('"segments": [', '"segments": 1, "x": ['),
    ],
)
def test_a_spoilt_commit_is_damage(made: Path, generation: Path, written: str, spoilt: str) -> None:
    text = (generation / "meta.json").read_text()
    assert written in text
    (generation / "meta.json").write_text(text.replace(written, spoilt))
    with pytest.raises(DamagedIndexError, match=r"postings in .* can't be read"):
        answers(made)
    with Index.open(made) as again:
        assert ["rebuilding" in notice for notice in again.notices] == [True]
        assert again.lexical.count == 35


@pytest.mark.parametrize("name", ["meta.json", ".managed.json"])
def test_no_bit_of_it_changes_an_answer(made: Path, generation: Path, name: str) -> None:
    right = answers(made)
    content = (generation / name).read_bytes()
    told = 0
    for place in range(0, len(content), 3):
        spoilt = bytearray(content)
        spoilt[place] ^= 1 << place % 7
        (generation / name).write_bytes(spoilt)
        try:
            assert answers(made) == right, spoilt[: place + 20]
        except DamagedIndexError:
            told += 1
    assert told > 0


def test_a_commit_spoilt_under_an_open_index_is_told(made: Path, generation: Path) -> None:
    with Index.open(made) as index:
        (generation / "meta.json").write_text("{}")
        assert index.lexical.damage() == [
            f"{generation}: meta.json is not what tantivy writes: KeyError('segments')"
        ]


def test_what_the_system_refuses_is_no_damage(
    made: Path, generation: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sound postings must not be thrown away for want of files."""
    before = sorted(path.name for path in generation.iterdir())

    def refuse(*_: object) -> None:
        raise ValueError(
            "Failed to open file for read: 'IoError { io_error: Os { code: 24, kind: "
            'Uncategorized, message: "Too many open files" }, filepath: "meta.json" }\''
        )

    monkeypatch.setattr(Lexical, "_index_of", refuse)
    with pytest.raises(ValueError, match="Too many open files"):
        Index.open(made)
    assert sorted(path.name for path in generation.iterdir()) == before


@pytest.fixture
def umask() -> Iterator[Callable[[int], int]]:
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_postings_may_be_read_by_those_who_may_read_the_index(
    tmp_path: Path, umask: Callable[[int], int], mask: int
) -> None:
    umask(mask)
    with Index.open(tmp_path / "index", Settings(lexical_only=True)) as index:
        for turn in ("published", "committed", "rebuilt"):
            if turn == "rebuilt":
                index.compact()
            else:
                index.add([Document(id=turn, text="water")])
            (folder,) = (tmp_path / "index" / "lexical").iterdir()
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
            assert {"meta.json", ".managed.json"} < modes.keys()
            assert set(modes.values()) == {0o666 & ~mask}, modes
            assert stat.S_IMODE(folder.stat().st_mode) == 0o777 & ~mask


def test_files_follow_a_home_that_was_opened_to_a_group(made: Path, generation: Path) -> None:
    (made / "lexical").chmod(0o770)
    with Index.open(made) as index:
        index.add([Document(id="new", text="water")])
    modes = {stat.S_IMODE(path.stat().st_mode) for path in generation.iterdir()}
    assert modes == {0o660}
