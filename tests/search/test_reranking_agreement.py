"""The precision of a cross-encoder, chosen by its scores of the index's own texts."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.caches import cache_home
from indexer.creation import Settings
from indexer.documents import Document
from indexer.runtime import precision as precisions
from indexer.runtime.classifier import ClassifierCheckpoint
from indexer.runtime.precision import Precision
from search.index import Index
from search.reranking.agreement import agreed_precision, correlation

CHECKPOINT = cast(ClassifierCheckpoint, SimpleNamespace(name="judge", content_hash="abc"))


@pytest.fixture
def index(tmp_path: Path, documents: list[Document], monkeypatch: pytest.MonkeyPatch) -> Index:
    flags = frozenset({"amx_int8", "amx_bf16"})
    monkeypatch.setattr(precisions, "processor_flags", lambda: flags)
    monkeypatch.delenv("CLOZE_PRECISION")
    monkeypatch.setenv("CLOZE_HOME", str(tmp_path / "home"))
    opened = Index.open(tmp_path / "ix", Settings(lexical_only=True))
    opened.add(documents)
    return opened


class Judge:
    """Scores of pairs by their length, in some precisions with noise."""

    def __init__(self, **noise: float) -> None:
        self.noise = noise
        self.asked: list[tuple[Precision, int]] = []

    def __call__(self, precision: Precision, pairs: list[tuple[str, str]]) -> NDArray[np.float32]:
        self.asked.append((precision, len(pairs)))
        exact = np.array([len(query) - len(text) / 9 for query, text in pairs], dtype=np.float32)
        noise = np.random.default_rng(0).normal(size=len(pairs)) * exact.std()
        return np.asarray(exact + self.noise.get(precision, 0) * noise, dtype=np.float32)


def test_correlation_agrees_with_numpy() -> None:
    first, second = np.random.default_rng(1).normal(size=(2, 30)).astype(np.float32)
    assert correlation(first, second) == pytest.approx(np.corrcoef(first, second)[0, 1])
    assert correlation(first, first) == 1
    assert correlation(first, first * 0 + 3) == 0
    assert correlation(first[:0], first[:0]) == 1


@pytest.mark.parametrize(
    ("noise", "expected"),
    [({}, "int8"), ({"int8": 0.5}, "bf16"), ({"int8": 0.5, "bf16": 0.3}, "fp32")],
)
def test_the_fastest_that_agrees_is_taken_and_remembered(
    index: Index, noise: dict[str, float], expected: str
) -> None:
    judge = Judge(**noise)
    assert agreed_precision(index, CHECKPOINT, judge) == expected
    assert judge.asked[:2] == [("int8", 64), ("fp32", 64)]
    assert [line.split(" in ")[1].split()[0] for line in index.notices] == list(noise)
    again = Judge()
    assert agreed_precision(index, CHECKPOINT, again) == expected
    assert again.asked == []
    # Other texts are measured anew.
    index.delete(["d0"])
    index.refresh()
    agreed_precision(index, CHECKPOINT, again)
    assert again.asked


def test_what_is_lost_within_a_group_is_seen(index: Index) -> None:
    """Own texts score 100 higher, so that over both at once nothing shows."""

    def judged(lost: slice) -> Callable[[Precision, list[tuple[str, str]]], NDArray[np.float32]]:
        def judge(precision: Precision, pairs: list[tuple[str, str]]) -> NDArray[np.float32]:
            half = len(pairs) // 2
            scores = np.random.default_rng(0).normal(size=len(pairs)).astype(np.float32)
            if precision == "int8":
                scores[lost] = np.random.default_rng(1).normal(size=len(scores[lost]))
            scores[:half] += 100
            return scores

        return judge

    alike = judged(slice(0))
    pairs = [("", "")] * 64
    for lost in (slice(0, 32), slice(32, 64)):
        judge = judged(lost)
        assert correlation(judge("int8", pairs), alike("fp32", pairs)) > 0.999
        folder = CHECKPOINT.name + str(lost.start)
        checkpoint = cast(ClassifierCheckpoint, SimpleNamespace(name=folder, content_hash=folder))
        assert agreed_precision(index, checkpoint, judge) == "bf16"
    assert agreed_precision(index, CHECKPOINT, alike) == "int8"


def test_a_notice_is_told_each_time(index: Index) -> None:
    judge = Judge(int8=0.5)
    agreed_precision(index, CHECKPOINT, judge)
    asked = list(judge.asked)
    (told,) = index.notices
    agreed_precision(index, CHECKPOINT, judge)
    assert index.notices == [told, told]
    assert judge.asked == asked
    assert "on 64 pairs of this index, at least 0.99 is needed): bf16 is used" in told


@pytest.mark.parametrize(
    "content",
    [
        b"", b"null", b"[1]", b'{"int8": "high"}', b'{"int8": 7.0}', b'{"int8": NaN}',
        b'{"int8": null}', b'{"precision": "int8"}', b"\xff\xfe", b'{"int8": true}',
    ],
)  # fmt: skip
def test_a_damaged_memory_is_measured_anew(index: Index, content: bytes) -> None:
    assert agreed_precision(index, CHECKPOINT, Judge(int8=0.5)) == "bf16"
    (path,) = (cache_home() / "agreement").iterdir()
    whole = path.read_bytes()
    path.write_bytes(content)
    again = Judge(int8=0.5)
    assert agreed_precision(index, CHECKPOINT, again) == "bf16"
    assert again.asked
    assert path.read_bytes() == whole


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_few_documents_are_judged_by_fixed_pairs(
    index: Index, documents: list[Document], tmp_path: Path, count: int
) -> None:
    with Index.open(tmp_path / "few", Settings(lexical_only=True)) as few:
        few.add(documents[:count])
        judge = Judge()
        assert agreed_precision(few, CHECKPOINT, judge) == "int8"
        assert judge.asked == [("int8", 64), ("fp32", 64)]
        noisy = cast(ClassifierCheckpoint, SimpleNamespace(name="noisy", content_hash="n"))
        assert agreed_precision(few, noisy, Judge(int8=0.5)) == "bf16"
        (told,) = few.notices
        assert "on 64 fixed pairs, as this index has few texts" in told
        # Once texts have come they are measured.
        few.add(documents)
        few.refresh()
        again = Judge()
        agreed_precision(few, CHECKPOINT, again)
        assert again.asked


def test_eight_documents_are_enough(tmp_path: Path, index: Index) -> None:
    with Index.open(tmp_path / "few", Settings(lexical_only=True)) as few:
        few.add(Document(id=f"{n}", text=f"ship {n}. " * (n + 1)) for n in range(8))
        judge = Judge(int8=0.5)
        agreed_precision(few, CHECKPOINT, judge)
        assert judge.asked[0] == ("int8", 16)
        assert "on 16 pairs of this index" in few.notices[0]


def test_what_is_asked_for_is_not_measured(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOZE_PRECISION", "bf16")
    judge = Judge()
    assert agreed_precision(index, CHECKPOINT, judge) == "bf16"
    assert judge.asked == []
