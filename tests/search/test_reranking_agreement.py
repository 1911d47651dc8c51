"""The precision of a cross-encoder, chosen by its scores of the index's own texts."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.creation import Settings
from indexer.documents import Document
from indexer.runtime import precision as precisions
from indexer.runtime.classifier import ClassifierCheckpoint
from indexer.runtime.precision import Precision
from search.index import Index
from search.reranking.agreement import Pairs, agreed_precision, correlation

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

    def __call__(self, precision: Precision, pairs: Pairs) -> NDArray[np.float32]:
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
    assert judge.asked[0] == ("fp32", 64)
    assert [line.split(" in ")[1].split()[0] for line in index.notices] == list(noise)
    again = Judge()
    assert agreed_precision(index, CHECKPOINT, again) == expected
    assert again.asked == []
    # Other texts are measured anew.
    index.delete(["d0"])
    index.refresh()
    agreed_precision(index, CHECKPOINT, again)
    assert again.asked


def test_what_is_asked_for_is_not_measured(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOZE_PRECISION", "bf16")
    judge = Judge()
    assert agreed_precision(index, CHECKPOINT, judge) == "bf16"
    assert judge.asked == []
