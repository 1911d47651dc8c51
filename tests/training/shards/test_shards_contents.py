import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from indexer.documents import Document
from indexer.errors import ClozeError
from indexer.passages import sentences
from training.shards import Runs, Shards
from training.shards.files import RULES
from training.shards.writing import write_shards


@pytest.fixture(scope="module")
def shards(
    tokenizer_folder: Path, corpus_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Shards:
    """The documents in shards of about 1,000 tokens, a fifth of them held out."""
    home = tmp_path_factory.mktemp("shards")
    return write_shards(
        [str(corpus_file)], tokenizer_folder, home=home, held_out=0.2, shard_tokens=1000
    )


@pytest.fixture(scope="module")
def expected(tokenizer_folder: Path, documents: list[Document]) -> list[list[list[int]]]:
    """What the tokenizer itself makes of each sentence of each document that has a token."""
    tokenizer = Tokenizer.from_file(str(tokenizer_folder / "tokenizer.json"))
    made = []
    for document in documents:
        text = f"{document.title}\n{document.text}" if document.title else document.text
        ids = [tokenizer.encode(each, add_special_tokens=False).ids for each in sentences(text)]
        made.append([each for each in ids if each])
    return [each for each in made if each]


def whole(runs: Runs) -> dict[int, tuple[list[int], list[int]]]:
    """Put runs together again: of each document its tokens, and where its sentences begin."""
    found: dict[int, tuple[list[int], list[int]]] = {}
    for run in runs:
        ids, borders = found.setdefault(run.document, ([], []))
        borders.extend(len(ids) + border for border in run.borders.tolist())
        ids.extend(run.ids.tolist())
    return found


@pytest.fixture(scope="module")
def everything(shards: Shards) -> dict[int, tuple[list[int], list[int]]]:
    """Of each document its tokens, and where its sentences begin."""
    return whole(shards.runs(10**6)) | whole(shards.runs(10**6, held_out=True))


def flat(sentences: list[list[int]]) -> tuple[list[int], list[int]]:
    ids = [each for sentence in sentences for each in sentence]
    starts = np.cumsum([len(sentence) for sentence in sentences])[:-1].tolist()
    return ids, starts


def test_documents_and_sentences_are_what_the_tokenizer_makes(
    shards: Shards, expected: list[list[list[int]]]
) -> None:
    # A run as long as any document has no border at its own beginning that would be left out.
    found = whole(shards.runs(10**6)) | whole(shards.runs(10**6, held_out=True))
    assert [found[number] for number in sorted(found)] == [flat(each) for each in expected]
    assert len(list(shards.folder.glob("tokens-*.npy"))) > 2


def test_totals(shards: Shards, expected: list[list[list[int]]], documents: list[Document]) -> None:
    assert shards.documents == len(expected)
    assert shards.dropped == len(documents) - len(expected) > 0
    assert shards.sentences == sum(map(len, expected))
    assert shards.tokens == sum(len(each) for document in expected for each in document)


def test_what_is_held_out_is_never_among_the_others(shards: Shards) -> None:
    kept = {run.document for run in shards.runs(50)}
    held = {run.document for run in shards.runs(50, held_out=True)}
    assert not kept & held
    assert kept | held == set(range(shards.documents))
    assert len(held) == shards.held_out
    # Five standard deviations about a fifth of some 150 documents.
    assert 5 < len(held) < 55


def test_equal_texts_are_on_one_side(shards: Shards, expected: list[list[list[int]]]) -> None:
    held = {run.document for run in shards.runs(50, held_out=True)}
    same = [number for number, each in enumerate(expected) if expected.count(each) > 1]
    assert len(same) >= 4
    assert len({number in held for number in same}) == 1


@settings(max_examples=25)
@given(room=st.integers(1, 300), held_out=st.booleans())
def test_runs_cut_each_document_at_every_room(
    shards: Shards,
    everything: dict[int, tuple[list[int], list[int]]],
    room: int,
    held_out: bool,
) -> None:
    runs = shards.runs(room, held_out=held_out)
    sizes: dict[int, list[int]] = {}
    for run in runs:
        begin = sum(sizes.get(run.document, []))
        ids, borders = everything[run.document]
        assert run.begins_sentence == (begin in (0, *borders))
        assert run.ends_sentence == (begin + len(run.ids) in (len(ids), *borders))
        sizes.setdefault(run.document, []).append(len(run.ids))
        assert all(0 < border < len(run.ids) for border in run.borders)
        assert (np.diff(run.borders) > 0).all()
    for own in sizes.values():
        assert own[:-1] == [room] * (len(own) - 1)
        assert 0 < own[-1] <= room
    numbers = np.arange(len(runs))
    assert runs.tokens == sum(size for own in sizes.values() for size in own)
    assert runs.lengths(numbers).tolist() == [size for own in sizes.values() for size in own]
    assert runs.lengths(numbers[::-1]).tolist() == runs.lengths(numbers).tolist()[::-1]


def test_runs_end(shards: Shards) -> None:
    runs = shards.runs(20)
    for beyond in (len(runs), -1):
        with pytest.raises(IndexError, match="numbered from 0"):
            runs[beyond]
        with pytest.raises(IndexError, match="numbered from 0"):
            runs.lengths(np.array([0, beyond]))
    with pytest.raises(ClozeError, match="a run of 0 tokens"):
        shards.runs(0)


@pytest.fixture
def copy(shards: Shards, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shards.folder, tmp_path / "copy"))


def test_opening_gives_the_same(shards: Shards, copy: Path) -> None:
    opened = Shards.open(copy)
    assert whole(opened.runs(50)) == whole(shards.runs(50))
    assert (opened.content_hash, opened.documents, opened.tokens) == (
        shards.content_hash,
        shards.documents,
        shards.tokens,
    )


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


@pytest.mark.parametrize("damage", [flip, shorten, Path.unlink])
@pytest.mark.parametrize("kind", ["tokens", "sentences", "documents", "hashes"])
def test_damage_is_refused(copy: Path, kind: str, damage: Callable[[Path], None]) -> None:
    damage(copy / f"{kind}-00001.npy")
    with pytest.raises(ClozeError, match=f"{kind}-00001.npy is not what was written; delete"):
        Shards.open(copy)


def test_a_damaged_seal_is_refused(copy: Path) -> None:
    shorten(copy / "shards.json")
    with pytest.raises(ClozeError, match=r"shards\.json is damaged; delete"):
        Shards.open(copy)


def test_unfinished_shards_and_other_folders_are_refused(copy: Path, tmp_path: Path) -> None:
    (copy / "shards.json").unlink()
    with pytest.raises(ClozeError, match="its token shards are unfinished"):
        Shards.open(copy)
    with pytest.raises(ClozeError, match="it holds no token shards"):
        Shards.open(tmp_path)


def test_shards_of_other_rules_are_refused(copy: Path) -> None:
    seal = copy / "shards.json"
    seal.write_text(seal.read_text().replace(f'"rules": {RULES}', '"rules": 99'))
    with pytest.raises(ClozeError, match=f"is of rules 99, this cloze writes {RULES}"):
        Shards.open(copy)
