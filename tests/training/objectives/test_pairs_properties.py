"""Pairs of segments: where a run is split, what comes second, and its label."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from indexer.errors import ClozeError
from training.masking import Vocabulary
from training.objectives.nsp import next_sentence
from training.objectives.pair import Pair
from training.objectives.sop import sentence_order
from training.shards.runs import Run

if TYPE_CHECKING:
    from training.shards.runs import Runs

SIZE = 20_000
IDS = np.arange(SIZE)
# Every third token goes on with a word.
VOCABULARY = Vocabulary(
    size=SIZE, pad=0, cls=2, sep=3, mask=4, special=IDS < 5, starts_word=IDS % 3 > 0
)
Objective = Callable[..., Pair]
both = pytest.mark.parametrize("objective", [next_sentence, sentence_order])
SEEDS = st.integers(0, 2**32)


def runs_of(*documents: Sequence[tuple[int, list[int]]]) -> "Runs":
    """Runs of documents, each (length, borders); no token comes twice, so one tells its place."""
    made: list[Run] = []
    begin = 6
    for document, stretches in enumerate(documents):
        for length, borders in stretches:
            ids = np.arange(begin, begin + length, dtype=np.uint16)
            made.append(Run(ids=ids, borders=np.array(borders, dtype=np.int64), document=document))
            begin += length
    return cast("Runs", made)


@st.composite
def stretches(draw: st.DrawFn) -> tuple[int, list[int]]:
    length = draw(st.integers(1, 40))
    inside = st.sets(st.integers(1, length - 1), max_size=5) if length > 1 else st.just(set())
    return length, sorted(draw(inside))


DOCUMENTS = st.lists(stretches(), min_size=1, max_size=4)
CORPORA = st.lists(DOCUMENTS, min_size=2, max_size=4).map(lambda all: runs_of(*all))


def make(objective: Objective, runs: "Runs", number: int, seed: int) -> Pair:
    return objective(runs, number, np.random.default_rng(seed), vocabulary=VOCABULARY)


def joined(*parts: Any) -> list[int]:  # noqa: ANN401
    return [int(token) for part in parts for token in part]


def may_split(run: Run) -> set[int]:
    """The places where a run may be split, by the definition."""
    if len(run.borders):
        return set(run.borders.tolist())
    return {place for place in range(1, len(run.ids)) if run.ids[place] % 3}


@both
@given(runs=CORPORA, seed=SEEDS, data=st.data())
def test_a_run_is_split_where_a_sentence_or_else_a_word_begins(
    objective: Objective, runs: "Runs", seed: int, data: st.DataObject
) -> None:
    number = data.draw(st.integers(0, len(runs) - 1))
    run = runs[number]
    pair = make(objective, runs, number, seed)
    if not may_split(run):
        assert (joined(pair.a), len(pair.b), pair.label) == (run.ids.tolist(), 0, -100)
        return
    assert pair.label in (0, 1)
    swapped = objective is sentence_order and pair.label == 1
    front = pair.b if swapped else pair.a
    assert len(front) in may_split(run)
    assert joined(front) == run.ids[: len(front)].tolist()
    assert 0 < len(pair.b)
    assert len(pair.a) + len(pair.b) <= len(run.ids)
    if objective is sentence_order or pair.label == 0:
        parts = (pair.b, pair.a) if swapped else (pair.a, pair.b)
        assert joined(*parts) == run.ids.tolist()


@given(runs=CORPORA, seed=SEEDS, data=st.data())
def test_what_does_not_follow_is_of_another_document(
    runs: "Runs", seed: int, data: st.DataObject
) -> None:
    number = data.draw(st.integers(0, len(runs) - 1))
    run = runs[number]
    pair = make(next_sentence, runs, number, seed)
    if pair.label != 1:
        return
    [other] = [each for each in runs if pair.b[0] in each.ids]
    begin = int(pair.b[0] - other.ids[0])
    room = len(run.ids) - len(pair.a)
    assert other.document != run.document
    assert begin in (0, *other.borders)
    assert joined(pair.b) == other.ids[begin : begin + room].tolist()
    # Shorter than what it stands for only where the other run is.
    assert len(pair.b) == min(room, len(other.ids))


@both
@settings(max_examples=25)
@given(runs=CORPORA, seed=SEEDS)
def test_the_generator_alone_decides(objective: Objective, runs: "Runs", seed: int) -> None:
    one, other = (make(objective, runs, 0, seed) for _ in range(2))
    assert joined(one.a) == joined(other.a)
    assert joined(one.b) == joined(other.b)
    assert one.label == other.label


@both
def test_half_of_the_pairs_follow(objective: Objective) -> None:
    runs = runs_of([(30, [10, 20])], [(30, [15])])
    labels = [make(objective, runs, 0, seed).label for seed in range(2000)]
    assert set(labels) == {0, 1}
    assert abs(sum(labels) - 1000) < 90  # four deviations of sqrt(2000) / 2


@both
def test_every_border_is_as_likely(objective: Objective) -> None:
    runs = runs_of([(30, [5, 10, 20, 29])], [(40, [])])
    pairs = [make(objective, runs, 0, seed) for seed in range(2000)]
    fronts = [len(pair.a) for pair in pairs if pair.label == 0]
    counts = np.bincount(fronts)[[5, 10, 20, 29]]
    assert counts.sum() == len(fronts)
    assert chisquare(counts).pvalue > 0.01


def test_by_hand_both_orders() -> None:
    runs = runs_of([(5, [2])])
    found = {
        (pair.label, *joined(pair.a, [0], pair.b))
        for pair in (make(sentence_order, runs, 0, seed) for seed in range(20))
    }
    assert found == {(0, 6, 7, 0, 8, 9, 10), (1, 8, 9, 10, 0, 6, 7)}


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("bert", "0 indicates sequence B is a continuation of sequence A, - 1 indicates"),
        ("albert", "`0` indicates original order (sequence A, then sequence B), `1` indicates"),
    ],
)
def test_labels_are_those_of_hugging_face(model: str, says: str) -> None:
    # Its source is read, not imported: that takes seconds.
    spec = find_spec("transformers")
    assert spec and spec.origin
    source = Path(spec.origin).parent / "models" / model / f"modeling_{model}.py"
    assert says in " ".join(source.read_text(encoding="utf-8").split())


@both
@pytest.mark.parametrize("length", [1, 2])
def test_a_run_of_one_word_is_all_of_a(objective: Objective, length: int) -> None:
    # Of the ids 8 and 9, the second goes on with the word of the first.
    runs = runs_of([(2, [])], [(length, [])], [(30, [])])
    pairs = [make(objective, runs, 1, seed) for seed in range(20)]
    assert {(*joined(pair.a), len(pair.b), pair.label) for pair in pairs} == {
        (*range(8, 8 + length), 0, -100)
    }


@pytest.mark.parametrize("own", [0, 1, 2])
def test_runs_of_other_documents_are_drawn_evenly(own: int) -> None:
    """Also where nearly all runs are of the own document."""
    sizes = [3, 2, 3]
    sizes[own] = 60
    runs = runs_of(*[[(8, [4])] * size for size in sizes])
    first = sum(sizes[:own])
    found: dict[int, int] = {}
    for seed in range(2400):
        pair = make(next_sentence, runs, first + 1, seed)
        if pair.label == 1:
            number = int(pair.b[0] - 6) // 8
            assert runs[number].document != own
            found[number] = found.get(number, 0) + 1
    assert len(found) == sum(sizes) - 60
    assert chisquare(list(found.values())).pvalue > 0.01


def test_one_document_alone_has_no_other() -> None:
    runs = runs_of([(9, [3]), (9, [5]), (4, [])])
    with pytest.raises(ClozeError, match="needs two documents, and the text is 3") as caught:
        for seed in range(20):
            make(next_sentence, runs, 1, seed)
    assert "\n" not in str(caught.value)
    assert {make(sentence_order, runs, 1, seed).label for seed in range(20)} == {0, 1}
