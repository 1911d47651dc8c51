"""Token vectors: the formula by hand; codes that are a fresh build's after any history."""

import math
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from indexer.backup import BackingUp
from indexer.caches import cache_home
from indexer.creation import Settings
from indexer.documents import Document
from indexer.encoder import Encoder, TokenVectors
from indexer.errors import ClozeError, DamagedIndexError
from indexer.index import Index
from indexer.manifest import TokenVectorSeal, read_manifest
from indexer.models import find_model
from indexer.preparation import passage_texts
from indexer.reindexing import Reindexing
from indexer.restoration import Restoration
from indexer.token_projection import kept_tokens, principal, projection, spread
from indexer.token_vectors import TokenCoder, seal_token_vectors, stored_codes
from indexer.verification import verify
from tests.conftest import Cloze

TEXTS = ["a small ship", "", "quick foxes of the 用搜索!", "water " * 90, "🎉 party"]


@pytest.fixture(scope="module")
def encoder(tiny_model: Path) -> Encoder:
    return Encoder(find_model(str(tiny_model)))


@pytest.fixture(scope="module")
def prompted(other_model: Path) -> Encoder:
    return Encoder(find_model(str(other_model)))


@pytest.fixture(scope="module")
def library(
    documents: list[Document], tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """An index with token vectors after updates, deletes and an unchanged text."""
    folder = tmp_path_factory.mktemp("tokens") / "index"
    with Index.open(folder, Settings(model=str(tiny_model), token_vectors=True)) as index:
        index.add(documents[:60])
        index.add([replace(documents[4], metadata={"year": 1900})])  # its codes are carried over
        index.add([replace(documents[5], text="A new text. " + documents[5].text)])
        index.delete(["d7", "d8"])
    return folder


@pytest.fixture
def copy(library: Path, tmp_path: Path) -> Path:
    shutil.copytree(library, tmp_path / "index")
    return tmp_path / "index"


def codes_by_passage(folder: Path) -> dict[tuple[str, int, int], bytes]:
    """Return the codes of live passages by their document's id and their window."""
    store = sqlite3.connect(folder / read_manifest(folder).data / "store.sqlite")
    rows = store.execute(
        'SELECT id, "start", "end", codes FROM documents JOIN passages ON passage >> 20 = number '
        "JOIN token_vectors USING (passage) WHERE deleted IS NULL"
    ).fetchall()
    store.close()
    return {(id_, start, end): codes for id_, start, end, codes in rows}


def by_hand(vectors: NDArray[np.float32], matrix: NDArray[np.float32]) -> list[list[int]]:
    """Multiply, normalise, scale and round, a number at a time."""
    most = 127 * matrix.shape[1] ** 0.5 / 6
    made = []
    for row in vectors.tolist():
        values = [
            sum(a * b for a, b in zip(row, column, strict=True)) for column in matrix.T.tolist()
        ]
        norm = sum(value * value for value in values) ** 0.5
        made.append([max(-127, min(127, round(most * value / norm))) for value in values])
    return made


def change(folder: Path, statement: str) -> None:
    with sqlite3.connect(folder / "store.sqlite") as database:
        assert database.execute(statement).rowcount >= 1
    database.close()


@given(st.integers(1, 5), st.tuples(st.integers(1, 9), st.integers(1, 9)), st.integers(0, 99))
def test_codes_are_the_formula(tokens: int, shape: tuple[int, int], seed: int) -> None:
    random = np.random.default_rng(seed)
    vectors = random.standard_normal((tokens + 2, shape[0])).astype(np.float32)
    matrix = random.standard_normal(shape).astype(np.float32)
    offsets = [(0, 0), *((place, place + 1) for place in range(tokens)), (0, 0)]
    found = TokenCoder(matrix).codes(TokenVectors([0] * (tokens + 2), offsets, vectors))
    assert found.dtype == np.int8
    assert found.tolist() == by_hand(vectors[1:-1], matrix)


def test_a_vector_of_zeros_has_codes_of_zeros() -> None:
    tokens = TokenVectors([1], [(0, 1)], np.zeros((1, 3), dtype=np.float32))
    assert TokenCoder(np.eye(3, dtype=np.float32)).codes(tokens).tolist() == [[0, 0, 0]]


def test_what_is_sealed_goes_by_the_hidden_size() -> None:
    assert seal_token_vectors(384) == TokenVectorSeal(dimension=128, scale=127 * 128**0.5 / 6)
    assert seal_token_vectors(64).dimension == 64


@given(st.integers(3, 40), st.integers(2, 6), st.integers(0, 50))
def test_principal_directions_are_those_of_the_singular_values(
    rows: int, hidden: int, seed: int
) -> None:
    spread = 2.0 ** -np.arange(hidden)
    vectors = np.random.default_rng(seed).standard_normal((rows, hidden)) * spread + 0.3
    found = principal(vectors.astype(np.float32), hidden - 1)
    assert np.allclose(found.T @ found, np.eye(hidden - 1))
    assert all(column[np.abs(column).argmax()] > 0 for column in found.T)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    values = np.linalg.svd(unit, compute_uv=False)[: hidden - 1]
    kept = np.linalg.norm(unit @ found, axis=0)
    assert np.allclose(kept[: len(values)], values, atol=1e-4)


@given(st.integers(1, 130))
def test_spreading_changes_no_product_and_leaves_nothing_large(dimension: int) -> None:
    matrix = spread(dimension)
    assert np.allclose(matrix.T @ matrix, np.eye(dimension))
    assert np.abs(matrix).max() <= math.sqrt(2 / dimension) + 1e-9


def test_codes_hold_the_cosines_of_what_is_kept(encoder: Encoder) -> None:
    coder = TokenCoder(projection(encoder))
    (tokens,) = encoder.document_tokens(["Above the river a small supersonic ship sleeps."])
    rows = tokens.vectors[kept_tokens(tokens)].astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    codes = coder.codes(tokens).astype(np.float64)
    # Of 64 hidden components all are kept.
    assert np.allclose(codes @ codes.T / coder.scale**2, rows @ rows.T, atol=0.01)


def test_one_pass_gives_the_vectors_of_two(encoder: Encoder, prompted: Encoder) -> None:
    for each in (encoder, prompted):
        texts = TEXTS * 30
        vectors = np.zeros((len(texts), 64), dtype=np.float32)
        tokens: dict[int, TokenVectors] = {}
        for places, found, its_tokens in each.documents_with_tokens(texts):
            vectors[places] = found
            tokens |= zip(places, its_tokens, strict=True)
        assert (vectors == each.encode_documents(texts)).all()
        for place, alone in enumerate(each.document_tokens([text])[0] for text in TEXTS):
            assert (tokens[place].vectors == alone.vectors).all()
            assert (tokens[place].ids, tokens[place].offsets) == (alone.ids, alone.offsets)


def test_special_tokens_and_prompts_are_left_out(encoder: Encoder, prompted: Encoder) -> None:
    for each in (encoder, prompted):
        coder = TokenCoder(projection(each))
        for text, tokens in zip(TEXTS, each.document_tokens(TEXTS), strict=True):
            own = len(each.tokenizer.encode(text, add_special_tokens=False).ids)
            expected = min(own, 64 - each.added_tokens)
            assert len(kept_tokens(tokens)) == len(coder.codes(tokens)) == expected


def test_the_matrix_is_cached_and_made_anew_when_damaged(encoder: Encoder) -> None:
    first = projection(encoder)
    (path,) = (cache_home() / "projection").glob(f"{encoder.checkpoint.content_hash[:32]}*")
    whole = path.read_bytes()
    for damaged in (whole[:-1] + bytes([whole[-1] ^ 1]), whole[:100], b""):
        path.write_bytes(damaged)
        assert (projection(encoder) == first).all()
        assert path.read_bytes() == whole
    assert first.shape == (64, 64)
    assert [each.name for each in path.parent.iterdir() if each.is_dir()] == []


def test_every_passage_has_the_codes_of_its_text(library: Path) -> None:
    found = codes_by_passage(library)
    with Index.open(library) as index:
        coder, rule = index.token_coder, index.manifest.rule
        expected = {}
        for number, document in index.store.all_live():
            texts = [text for _, text in passage_texts(document, index.encoder, rule)]
            tokens = index.encoder.document_tokens(texts)
            first = number << 20
            spans = index.store.windows(range(first, first + len(texts)))
            for span, each in zip(spans.values(), tokens, strict=True):
                expected[(document.id, *span)] = coder.codes(each).tobytes()
    assert found == expected
    assert len(found) > 58
    assert any(len(codes) > 64 * 20 for codes in found.values())
    assert verify(str(library)) == []


def test_codes_are_those_of_a_fresh_build(
    copy: Path, tiny_model: Path, tmp_path: Path, documents: list[Document]
) -> None:
    fresh = tmp_path / "fresh"
    with Index.open(copy) as index:
        live = [document for _, document in index.store.all_live()]
        held = index.store.token_report()["passages"]
    with Index.open(fresh, Settings(model=str(tiny_model), token_vectors=True)) as index:
        index.add(live)
        passages = index.store.token_report()["passages"]
    assert held > passages
    assert codes_by_passage(copy) == codes_by_passage(fresh)
    with Index.open(copy) as index:
        index.compact()
        assert index.store.token_report()["passages"] == passages
        index.add(documents[:1])  # which is there
    assert codes_by_passage(copy) == codes_by_passage(fresh)
    assert verify(str(copy)) == []


def test_what_is_unchanged_is_not_encoded_again(copy: Path, documents: list[Document]) -> None:
    with Index.open(copy) as index:
        changed = [replace(each, metadata={"year": 1}) for each in documents[10:20]]
        before = codes_by_passage(copy)
        assert index.add(changed).encoded_texts == 0
        assert codes_by_passage(copy) == before


def test_damaged_codes_are_not_carried_over(copy: Path, documents: list[Document]) -> None:
    before = codes_by_passage(copy)
    change(copy, "UPDATE token_vectors SET codes = zeroblob(length(codes))")
    with Index.open(copy) as index:
        changed = [replace(each, metadata={"year": 1}) for each in documents[10:12]]
        assert index.add(changed).encoded_texts > 0
    after = codes_by_passage(copy)
    mended = {key for key in before if key[0] in ("d10", "d11")}
    assert mended
    assert all((after[key] == before[key]) == (key in mended) for key in before)


def test_a_backup_has_them(library: Path, tmp_path: Path) -> None:
    BackingUp(library, tmp_path / "x.tgz").run()
    Restoration(tmp_path / "x.tgz", tmp_path / "back").run()
    assert codes_by_passage(tmp_path / "back") == codes_by_passage(library)
    assert verify(str(tmp_path / "back")) == []


def test_reindexing_keeps_adds_and_drops_them(
    copy: Path, tiny_model: Path, other_model: Path
) -> None:
    first = codes_by_passage(copy)
    Reindexing(copy, Settings(model=str(other_model))).run()
    other = codes_by_passage(copy)
    assert other
    assert other != first
    Reindexing(copy, Settings(model=str(tiny_model), token_vectors=False)).run()
    assert codes_by_passage(copy) == {}
    assert read_manifest(copy).token_vectors is None
    Reindexing(copy, Settings(model=str(tiny_model), token_vectors=True)).run()
    assert codes_by_passage(copy) == first
    assert verify(str(copy)) == []


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (
            "UPDATE token_vectors SET codes = zeroblob(64) WHERE passage = {0}",
            "passage {0} are not",
        ),
        ("UPDATE token_vectors SET codes = 'x' WHERE passage = {0}", "passage {0} are not"),
        ("UPDATE token_vectors SET checksum = x'00' WHERE passage = {0}", "passage {0} are not"),
        ("UPDATE passages SET \"key\" = x'00' WHERE passage = {0}", "passage {0} are not"),
        (
            "UPDATE token_vectors SET (codes, checksum) = (SELECT codes, checksum FROM "
            "token_vectors AS other WHERE other.passage = 1 << 20) WHERE passage = {0}",
            "passage {0} are not",
        ),
        ("DELETE FROM token_vectors WHERE passage = {0}", "1 passages have no token vectors"),
        (
            "UPDATE projection SET matrix = zeroblob(16384)",
            "the matrix of the token vectors is not",
        ),
        ("DELETE FROM projection", "without their matrix"),
    ],
)
def test_damage_is_found(copy: Path, statement: str, message: str) -> None:
    passage = 10 << 20
    change(copy, statement.format(passage))
    lines = verify(str(copy))
    assert any(message.format(passage) in line for line in lines), lines


@pytest.mark.parametrize(
    "statement", ["DELETE FROM projection", "UPDATE projection SET sha256 = 1"]
)
def test_a_lost_matrix_is_told(copy: Path, statement: str) -> None:
    change(copy, statement)
    with Index.open(copy) as index, pytest.raises(DamagedIndexError, match="the matrix of the"):
        index.add([Document(id="new", text="a ship")])


def test_damaged_codes_are_told(copy: Path) -> None:
    change(copy, f"UPDATE token_vectors SET codes = zeroblob(64) WHERE passage = {10 << 20}")
    with Index.open(copy) as index:
        assert set(stored_codes(index, [9 << 20, 11 << 20, 99 << 20])) == {9 << 20, 11 << 20}
        with pytest.raises(DamagedIndexError, match=rf"passage {10 << 20} .*: cloze reindex"):
            stored_codes(index, [9 << 20, 10 << 20])


def test_the_stored_matrix_is_the_one_that_counts(copy: Path, encoder: Encoder) -> None:
    """Another machine's may differ in its last bits."""
    before = codes_by_passage(copy)
    (path,) = (cache_home() / "projection").glob(f"{encoder.checkpoint.content_hash[:32]}*")
    kept = path.read_bytes()
    path.unlink()
    with Index.open(copy) as index:
        index.delete(["d9"])
        index.add([Document(id="d9", text="a ship")])
    assert not path.exists()
    path.write_bytes(kept)
    assert codes_by_passage(copy).keys() - {("d9", 0, 6)} == before.keys() - {
        key for key in before if key[0] == "d9"
    }
    with Index.open(copy) as index, pytest.raises(ClozeError, match="first token vectors, by"):
        index.store.keep_projection(b"another")


@pytest.fixture
def without(tmp_path: Path, tiny_model: Path) -> Iterator[Path]:
    with Index.open(tmp_path / "index", Settings(model=str(tiny_model))) as index:
        index.add([Document(id="a", text="a ship")])
    yield tmp_path / "index"


def test_other_settings_than_those_sealed_name_reindex(without: Path, library: Path) -> None:
    with pytest.raises(ClozeError, match=r"without token vectors, asked for --token-vectors.*rei"):
        Index.open(without, Settings(token_vectors=True))
    with pytest.raises(ClozeError, match=r"with token vectors, asked for --no-token-vectors.*rei"):
        Index.open(library, Settings(token_vectors=False))
    with pytest.raises(ClozeError, match="leave --token-vectors out"):
        Index.open(without.parent / "new", Settings(lexical_only=True, token_vectors=True))


def test_the_command_line(
    tiny_model: Path, corpus_file: Path, tmp_path: Path, cloze: Cloze
) -> None:
    made = cloze("index", tmp_path / "x", corpus_file, "--model", tiny_model, "--token-vectors")
    assert made.returncode == 0, made.stderr
    told = cloze("info", tmp_path / "x").stdout
    size = sum(map(len, codes_by_passage(tmp_path / "x").values())) / 2**20
    assert f"{size:.1f} MiB (64 bytes a token)" in told
    done = cloze("reindex", tmp_path / "x", "--model", tiny_model, "--no-token-vectors")
    assert done.returncode == 0, done.stderr
    assert "not stored" in cloze("info", tmp_path / "x").stdout
