"""Precisions held against each other: of the first documents, and of queries with documents."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from indexer import agreement, sealed_encoder
from indexer.agreement import varied, worst_cosine
from indexer.caches import cache_home
from indexer.creation import Settings
from indexer.documents import Document
from indexer.encoder import Encoder
from indexer.errors import ClozeError
from indexer.index import Index
from indexer.manifest import read_manifest, write_manifest
from indexer.runtime import precision as precisions


@pytest.fixture(autouse=True)
def _automatic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLOZE_PRECISION")


def bent(share: float, precision: str) -> Callable[..., NDArray[np.float32]]:
    """Return encode_documents turned by an angle of cosine `share` in one precision."""
    encode = Encoder.encode_documents

    def turned(self: Encoder, texts: Sequence[str], **options: object) -> NDArray[np.float32]:
        vectors = encode(self, texts, **options)  # type: ignore[arg-type]
        if self.precision != precision:
            return vectors
        across = np.roll(vectors, 1, axis=1)
        across -= (across * vectors).sum(1, keepdims=True) * vectors
        across /= np.linalg.norm(across, axis=1, keepdims=True)
        rest = np.float32(np.sqrt(1 - share**2))
        return np.asarray(np.float32(share) * vectors + rest * across)

    return turned


def test_worst_cosine_by_hand() -> None:
    first = np.array([[1, 0], [3, 4], [0, 0]], dtype=np.float16)
    second = np.array([[5, 0], [4, 3], [0, 0]], dtype=np.float32)
    assert worst_cosine(first, second) == pytest.approx(24 / 25)
    assert worst_cosine(first[:1], second[:1]) == 1
    assert worst_cosine(first[2:], first[:1]) == 0  # zeros are like nothing else
    assert worst_cosine(first[:0], second[:0]) == 1
    assert worst_cosine(first[:1] * np.nan, second[:1]) == -1  # what is no number agrees with none


@given(st.lists(st.text(max_size=30), max_size=200), st.integers(1, 70))
def test_varied_texts_spread_over_the_lengths(texts: list[str], count: int) -> None:
    chosen = varied(texts, count)
    assert len(chosen) == len(set(chosen)) == min(count, len(set(texts)))
    if len(chosen) > 1:
        lengths = sorted(map(len, texts))
        assert (len(chosen[0]), len(chosen[-1])) == (lengths[0], lengths[-1])


@pytest.mark.parametrize(
    ("losing", "expected"), [([], "int8"), (["int8"], "bf16"), (["int8", "bf16"], "fp32")]
)
def test_a_new_index_takes_the_fastest_precision_that_agrees_with_fp32(
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    documents: list[Document],
    losing: list[str],
    expected: str,
) -> None:
    flags = frozenset({"avx512_vnni", "avx512_bf16"})
    monkeypatch.setattr(precisions, "processor_flags", lambda: flags)
    monkeypatch.setattr(sealed_encoder, "LEAST_OF_DOCUMENTS", 0.6)
    for precision in losing:
        monkeypatch.setattr(Encoder, "encode_documents", bent(0.55, precision))
    with Index.open(tmp_path / "ix", Settings(model=str(tiny_model))) as index:
        index.add(documents[:70])
        assert index.encoder.precision == expected
        assert [line.split()[0] for line in index.notices] == losing
        assert all("worst cosine to fp32 0.5" in line for line in index.notices)
        stored = np.concatenate([
            np.frombuffer(blob, dtype=np.float16) for _, blob in index.store.vectors(-1)
        ])  # fmt: skip
    sealed = read_manifest(tmp_path / "ix").encoder
    assert sealed is not None
    assert sealed.precision == expected
    # What is stored was made in it, and later runs add in the same.
    with Index.open(
        tmp_path / "explicit", Settings(model=str(tiny_model)), precision=expected
    ) as ix:
        ix.add(documents[:70])
        again = np.concatenate([
            np.frombuffer(blob, dtype=np.float16) for _, blob in ix.store.vectors(-1)
        ])  # fmt: skip
    assert stored.tobytes() == again.tobytes()
    with Index.open(tmp_path / "ix") as index:
        index.add(documents[70:80])
        assert index.encoder.precision == expected
        assert index.notices == []


def test_a_precision_asked_for_is_taken_as_it_is(
    tiny_model: Path, tmp_path: Path, documents: list[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Encoder, "encode_documents", bent(0.5, "int8"))
    with Index.open(tmp_path, Settings(model=str(tiny_model)), precision="int8") as index:
        index.add(documents[:5])
        assert (index.encoder.precision, index.notices) == ("int8", [])
    monkeypatch.setattr(sealed_encoder, "LEAST_OF_QUERIES", 0)  # may search it, but not add to it
    with (
        Index.open(tmp_path, precision="fp32") as index,
        pytest.raises(ClozeError, match=r"vectors made in int8 \w{16}, asked to add some in fp32"),
    ):
        index.add(documents[5:6])


@pytest.fixture
def fp32_index(tiny_model: Path, tmp_path: Path, documents: list[Document]) -> Path:
    with Index.open(tmp_path / "ix", Settings(model=str(tiny_model)), precision="fp32") as index:
        index.add(documents[:40])
    return tmp_path / "ix"


def remembered() -> set[str]:
    return {path.name for path in (cache_home() / "agreement").glob("*.json")}


def test_a_query_of_another_precision_must_agree_with_stored_passages(
    fp32_index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Index.open(fp32_index) as index:
        assert index.encoder.precision == "fp32"  # what the documents have, where it is there
    before = remembered()
    with Index.open(fp32_index, precision="int8") as index:
        monkeypatch.setattr(sealed_encoder, "LEAST_OF_QUERIES", 0.5)
        assert index.encoder.precision == "int8"
    (found,) = remembered() - before
    path = cache_home() / "agreement" / found
    worst = json.loads(path.read_bytes())["worst_cosine"]
    assert 0.5 < worst < 1
    # It is remembered, and asked of the file alone the next time.
    path.write_text(json.dumps({"worst_cosine": 0.4321}))
    with (
        Index.open(fp32_index, precision="int8") as index,
        pytest.raises(ClozeError, match=r"made in fp32, .* in int8 .*0\.4321.*cloze reindex"),
    ):
        _ = index.encoder
    path.write_text("torn")
    with Index.open(fp32_index, precision="int8") as index:
        assert index.encoder.precision == "int8"
    assert json.loads(path.read_bytes())["worst_cosine"] == worst


def test_the_worst_cosine_is_that_of_the_stored_vectors(fp32_index: Path) -> None:
    with Index.open(fp32_index) as index:
        stored = dict(list(index.store.vectors(-1))[:32])
        texts, vectors = agreement._texts(index, index.encoder, stored)
        assert len(texts) == len(vectors) == len(set(stored.values()))
        expected = index.encoder.encode_documents(texts).astype(np.float16)
        assert expected.tobytes() == vectors.tobytes()
        assert agreement.stored_agreement(index, index.encoder) > 0.99999


def test_a_processor_with_neither_bf16_nor_luck_takes_fp32(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, documents: list[Document]
) -> None:
    monkeypatch.setattr(precisions, "processor_flags", lambda: frozenset({"avx_vnni"}))
    monkeypatch.setattr(Encoder, "encode_documents", bent(0.5, "int8"))
    with Index.open(tmp_path / "ix", Settings(model=str(tiny_model))) as index:
        index.add([Document(id="empty", text=" ")])  # tells nothing of a precision
        found = [str(index.encoder.precision)]
        index.add(documents[:20])
        assert [*found, index.encoder.precision] == ["int8", "fp32"]


def test_queries_try_every_precision_that_the_machine_has(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, documents: list[Document]
) -> None:
    """Documents in bf16, on a processor with VNNI alone: int8 differs too much, fp32 does not."""
    if not precisions.has("bf16", "cpu"):
        pytest.skip("this processor has no bf16")
    with Index.open(tmp_path / "ix", Settings(model=str(tiny_model)), precision="bf16") as index:
        index.add(documents[:40])
    monkeypatch.setattr(precisions, "processor_flags", lambda: frozenset({"avx512_vnni"}))
    with Index.open(tmp_path / "ix") as index:
        assert index.encoder.precision == "fp32"
    monkeypatch.setattr(Encoder, "encode_documents", bent(0.5, "fp32"))
    monkeypatch.setenv("CLOZE_HOME", str(tmp_path / "home"))
    with Index.open(tmp_path / "ix") as index, pytest.raises(ClozeError) as error:
        _ = index.encoder
    assert "made in bf16" in str(error.value)
    assert " in int8 " in str(error.value)
    assert "fp32 0.4" in str(error.value) or "fp32 0.5" in str(error.value)


def test_an_index_without_documents_takes_another_precision(
    tiny_model: Path, tmp_path: Path, documents: list[Document]
) -> None:
    Index.open(tmp_path / "ix", Settings(model=str(tiny_model)), precision="int8").close()
    with Index.open(tmp_path / "ix", precision="fp32") as index:
        index.add(documents[:5])
    sealed = read_manifest(tmp_path / "ix").encoder
    assert sealed is not None
    assert sealed.form == "fp32"


def test_two_that_settle_at_once_do_not_mix(
    tiny_model: Path, tmp_path: Path, documents: list[Document]
) -> None:
    corpus = documents
    Index.open(tmp_path / "ix", Settings(model=str(tiny_model)), precision="int8").close()
    with (
        Index.open(tmp_path / "ix", precision="int8") as first,
        Index.open(tmp_path / "ix", precision="fp32") as second,
    ):
        _ = second.encoder
        settle = second._settle

        def late(documents: list[Document]) -> None:
            first.add(corpus[:3])
            settle(documents)

        second._settle = late  # type: ignore[method-assign]
        with pytest.raises(ClozeError, match=r"has just written .* in int8 .* has fp32; run"):
            second.add(documents[3:6])
    assert read_manifest(tmp_path / "ix").encoder.precision == "int8"  # type: ignore[union-attr]


def test_another_calibration_is_another_form(
    tiny_model: Path, tmp_path: Path, documents: list[Document]
) -> None:
    with Index.open(tmp_path / "ix", Settings(model=str(tiny_model)), precision="int8") as index:
        index.add(documents[:30])
    manifest = read_manifest(tmp_path / "ix")
    assert manifest.encoder is not None
    assert len(manifest.encoder.calibration) == 16
    older = replace(manifest.encoder, calibration="0" * 16)
    write_manifest(tmp_path / "ix", replace(manifest, encoder=older))
    with Index.open(tmp_path / "ix") as index:
        assert index.encoder.precision == "int8"  # which agrees with what is stored
        with pytest.raises(ClozeError, match=r"made in int8 0{16}, asked to add some in int8 "):
            index.add(documents[30:32])


def test_torchs_names_of_precisions_are_read_as_ours(fp32_index: Path) -> None:
    manifest = read_manifest(fp32_index)
    assert manifest.encoder is not None
    long = replace(manifest.encoder, precision="float32")  # type: ignore[arg-type]
    write_manifest(fp32_index, replace(manifest, encoder=long))
    assert read_manifest(fp32_index) == manifest
