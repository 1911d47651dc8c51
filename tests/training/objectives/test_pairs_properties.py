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
    size=SIZE, pad=0, cls=2, sep=3, mask=4, special=IDS < 5, starts_word=IDS % 3 > 0,
    marks=IDS % 7 == 1,
)  # fmt: skip


def is_mark(token: int) -> bool:
    return bool(token % 7 == 1)


Objective = Callable[..., Pair]
both = pytest.mark.parametrize("objective", [next_sentence, sentence_order])
SEEDS = st.integers(0, 2**32)


def runs_of(*documents: Sequence[tuple[int, list[int]]]) -> "Runs":
    """Runs of documents, each (length, borders); no token comes twice, so one tells its place.

    The documents' own ends are the only ends of runs where sentences end too, but for each third.
    """
    made: list[Run] = []
    begin = 6
    for document, stretches in enumerate(documents):
        for number, (length, borders) in enumerate(stretches):
            ids = np.arange(begin, begin + length, dtype=np.uint16)
            made.append(
                Run(
                    ids=ids,
                    borders=np.array(borders, dtype=np.int64),
                    begins_sentence=number % 3 == 0,
                    ends_sentence=number % 3 == 2 or number == len(stretches) - 1,
                    document=document,
                )
            )
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


def sentence_starts(run: Run) -> set[int]:
    return set(run.borders.tolist()) | ({0} if run.begins_sentence else set())


def sentence_ends(run: Run) -> set[int]:
    return set(run.borders.tolist()) | ({len(run.ids)} if run.ends_sentence else set())


def word_starts(run: Run) -> set[int]:
    return {place for place in range(1, len(run.ids)) if run.ids[place] % 3}


def whole(run: Run) -> tuple[int, int]:
    """Where the whole sentences of a run begin and end."""
    return min(sentence_starts(run), default=0), max(sentence_ends(run), default=0)


def may_split(objective: Objective, run: Run) -> set[int]:
    """The places where a run may be split, by the definition."""
    if objective is next_sentence:
        return set(run.borders.tolist()) or word_starts(run)
    if not sentence_starts(run) | sentence_ends(run):
        return word_starts(run)
    begin, end = whole(run)
    places = sentence_starts(run) & sentence_ends(run)
    return {
        place
        for place in places
        if begin < place < end and is_mark(run.ids[place - 1]) == is_mark(run.ids[end - 1])
    }


@both
@given(runs=CORPORA, seed=SEEDS, data=st.data())
def test_a_run_is_split_where_a_sentence_or_else_a_word_begins(
    objective: Objective, runs: "Runs", seed: int, data: st.DataObject
) -> None:
    number = data.draw(st.integers(0, len(runs) - 1))
    run = runs[number]
    pair = make(objective, runs, number, seed)
    places = may_split(objective, run)
    if not places:
        assert (joined(pair.a), len(pair.b), pair.label) == (run.ids.tolist(), 0, -100)
        return
    assert pair.label in (0, 1)
    front = pair.b if objective is sentence_order and pair.label == 1 else pair.a
    inside = sentence_starts(run) | sentence_ends(run)
    begin, end = whole(run) if objective is sentence_order and inside else (0, len(run.ids))
    place = begin + len(front)
    assert place in places
    assert joined(front) == run.ids[begin:place].tolist()
    back = pair.a if front is pair.b else pair.b
    if objective is sentence_order or pair.label == 0:
        assert joined(back) == run.ids[place:end].tolist()
    assert 0 < len(back) <= end - place


@given(runs=CORPORA, seed=SEEDS, data=st.data())
def test_what_does_not_follow_is_of_another_document_and_begins_and_ends_as_what_follows(
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
    assert joined(pair.b) == other.ids[begin : begin + len(pair.b)].tolist()
    fits = fitting(other, run, room)
    if fits:
        assert (begin, len(pair.b)) in fits
        assert len(pair.b) == max(length for _, length in fits)
    else:  # nor any of those that were looked at before
        assert (begin, len(pair.b)) == (0, min(room, len(other.ids)))


def fitting(other: Run, run: Run, room: int) -> set[tuple[int, int]]:
    """The stretches of another run that begin and end as what a run has after `room`."""
    starts = sentence_starts(other) if len(run.borders) else word_starts(other)
    every = set(range(len(other.ids) + 1))
    ends = sentence_ends(other) if run.ends_sentence else every - sentence_ends(other)
    return {
        (start, end - start)
        for start in starts
        for end in ends
        if 0 < end - start <= room and is_mark(other.ids[end - 1]) == is_mark(run.ids[-1])
    }


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
    runs = runs_of([(30, [5, 12, 20, 29])], [(40, [])])
    pairs = [make(objective, runs, 0, seed) for seed in range(2000)]
    fronts = [len(pair.a) for pair in pairs if pair.label == 0]
    counts = np.bincount(fronts)[[5, 12, 20, 29]]
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
    runs = runs_of([(9, [3]), (9, [3, 5, 7]), (4, [])])
    with pytest.raises(ClozeError, match="needs two documents, and the text is 3") as caught:
        for seed in range(20):
            make(next_sentence, runs, 1, seed)
    assert "\n" not in str(caught.value)
    assert {make(sentence_order, runs, 1, seed).label for seed in range(20)} == {0, 1}


@pytest.fixture(scope="module")
def prose() -> "Runs":
    """Runs of 60 tokens of documents with a title each, and sentences that end with a mark."""
    rng = np.random.default_rng(0)
    words, marks = np.flatnonzero(IDS % 7 != 1)[5:], np.flatnonzero(IDS % 7 == 1)[5:]
    runs: list[Run] = []
    for document in range(300):
        parts = [rng.choice(words, 1 + rng.integers(8))]
        for _ in range(1 + rng.integers(12)):
            parts.append(np.append(rng.choice(words, 4 + rng.integers(24)), rng.choice(marks)))
        ids = np.concatenate(parts)
        edges = np.cumsum([0, *map(len, parts)])
        for begin in range(0, len(ids), 60):
            end = min(begin + 60, len(ids))
            runs.append(
                Run(
                    ids=ids[begin:end].astype(np.uint16),
                    borders=edges[(edges > begin) & (edges < end)] - begin,
                    begins_sentence=begin in edges,
                    ends_sentence=end in edges,
                    document=document,
                )
            )
    return cast("Runs", runs)


@both
def test_whether_the_segments_end_with_marks_does_not_tell_the_label(
    objective: Objective, prose: "Runs"
) -> None:
    """The best rule that sees that alone is right as often as a coin."""
    found: dict[tuple[bool, bool], list[int]] = {}
    for seed in range(3000):
        pair = make(objective, prose, seed % len(prose), seed)
        if pair.label >= 0:
            ends = is_mark(pair.a[-1]), is_mark(pair.b[-1])
            found.setdefault(ends, [0, 0])[pair.label] += 1
    asked = sum(map(sum, found.values()))
    assert asked > 1800
    assert 0.45 < sum(map(max, found.values())) / asked < 0.55
