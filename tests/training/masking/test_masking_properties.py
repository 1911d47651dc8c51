"""What holds for every row, of all three maskings."""

from collections.abc import Callable
from math import ceil, floor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from training.masking import MASKINGS, Rates, Vocabulary
from training.masking.numbering import number_words

SPECIAL = 5  # ids 0 to 4; [MASK] is 4
PIECES = 20  # ids 5 to 24 go on with a word
SIZE = 30_000
MASK = 4


def vocabulary() -> Vocabulary:
    ids = np.arange(SIZE)
    return Vocabulary(
        size=SIZE, pad=0, cls=2, sep=3, mask=MASK, special=ids < SPECIAL,
        starts_word=(ids < SPECIAL) | (ids >= SPECIAL + PIECES), marks=ids < 0,
    )  # fmt: skip


VOCABULARY = vocabulary()

IDS = st.lists(
    st.one_of(
        st.integers(SPECIAL + PIECES, SIZE - 1),
        st.integers(SPECIAL, SIZE - 1),
        st.integers(0, 2 * SPECIAL + PIECES),
    ),
    max_size=80,
).map(lambda ids: np.array(ids, dtype=np.uint16))
RATES = st.builds(
    lambda chosen, masked, rest: Rates(chosen=chosen, masked=masked, random=(1 - masked) * rest),
    st.one_of(st.just(0.15), st.floats(0.01, 1)),
    st.floats(0, 1),
    st.floats(0, 1),
)
SEEDS = st.integers(0, 2**32)
every_masking = pytest.mark.parametrize("name", ["token", "word", "span"])
whole_words = pytest.mark.parametrize("name", ["word", "span"])


def mask(
    name: str, ids: NDArray[Any], seed: int, rates: Rates
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    starts = VOCABULARY.starts_word[ids]
    rng = np.random.default_rng(seed)
    return MASKINGS[name](ids, starts, rng, vocabulary=VOCABULARY, rates=rates)


def words_of(ids: NDArray[Any], starts: NDArray[np.bool_]) -> list[list[int]]:
    """The places of each word, one token after the other."""
    words: list[list[int]] = []
    for place, token in enumerate(ids.tolist()):
        if token < SPECIAL:
            continue
        first = place == 0 or ids[place - 1] < SPECIAL
        if starts[place] or first:
            words.append([])
        words[-1].append(place)
    return words


def test_there_are_three() -> None:
    assert list(MASKINGS) == ["token", "word", "span"]


@every_masking
@given(ids=IDS, seed=SEEDS, rates=RATES)
def test_only_chosen_ordinary_tokens_change(
    name: str, ids: NDArray[Any], seed: int, rates: Rates
) -> None:
    before = ids.copy()
    inputs, labels = mask(name, ids, seed, rates)
    assert np.array_equal(ids, before)
    assert inputs.dtype == labels.dtype == np.int64
    assert inputs.shape == labels.shape == ids.shape
    asked = labels != -100
    assert np.array_equal(labels[asked], ids[asked])
    assert np.array_equal(inputs[~asked], ids[~asked])
    assert (ids[asked] >= SPECIAL).all()
    assert (inputs[asked][inputs[asked] != MASK] >= SPECIAL).all()


@every_masking
@settings(max_examples=25)
@given(ids=IDS, seed=SEEDS, rates=RATES)
def test_the_generator_alone_decides(name: str, ids: NDArray[Any], seed: int, rates: Rates) -> None:
    for one, other in zip(mask(name, ids, seed, rates), mask(name, ids, seed, rates), strict=True):
        assert np.array_equal(one, other)


@every_masking
def test_another_seed_chooses_others(name: str) -> None:
    ids = np.arange(1000, 1100)
    labels = {mask(name, ids, seed, Rates())[1].tobytes() for seed in range(10)}
    assert len(labels) == 10


@given(ids=IDS, seed=SEEDS, rates=RATES)
def test_tokens_are_as_many_as_the_rate_says(ids: NDArray[Any], seed: int, rates: Rates) -> None:
    _, labels = mask("token", ids, seed, rates)
    wanted = rates.chosen * (ids >= SPECIAL).sum()
    assert floor(wanted) <= (labels != -100).sum() <= ceil(wanted)


@given(ids=IDS, starts=st.randoms(use_true_random=False))
def test_words_are_numbered_as_one_reads_them(ids: NDArray[Any], starts: Any) -> None:  # noqa: ANN401
    flags = np.array([starts.random() < 0.7 for _ in ids], dtype=np.bool_)
    numbers, lengths = number_words(ids, flags, VOCABULARY)
    words = words_of(ids, flags)
    expected = np.zeros(len(ids), dtype=np.int64)
    for number, places in enumerate(words, start=1):
        expected[places] = number
    assert numbers.tolist() == expected.tolist()
    assert lengths.tolist() == [0, *map(len, words)]


@whole_words
@given(ids=IDS, seed=SEEDS, rates=RATES)
def test_words_are_whole_and_within_the_rate(
    name: str, ids: NDArray[Any], seed: int, rates: Rates
) -> None:
    _, labels = mask(name, ids, seed, rates)
    asked = labels != -100
    words = words_of(ids, VOCABULARY.starts_word[ids])
    assert all(len({*asked[word].tolist()}) == 1 for word in words)
    chosen = [word for word in words if asked[word[0]]]
    wanted = rates.chosen * sum(map(len, words))
    if asked.sum() > ceil(wanted):
        assert len(chosen) == 1
        assert min(map(len, words)) > floor(wanted)
    if floor(wanted):
        assert chosen


@given(ids=IDS, seed=SEEDS, rates=RATES)
def test_no_word_that_would_fit_is_left(ids: NDArray[Any], seed: int, rates: Rates) -> None:
    _, labels = mask("word", ids, seed, rates)
    asked = labels != -100
    words = words_of(ids, VOCABULARY.starts_word[ids])
    left = floor(rates.chosen * sum(map(len, words))) - int(asked.sum())
    assert all(len(word) > left for word in words if not asked[word[0]])


@given(ids=IDS, seed=SEEDS, rates=RATES)
def test_spans_are_short_and_apart(ids: NDArray[Any], seed: int, rates: Rates) -> None:
    _, labels = mask("span", ids, seed, rates)
    words = words_of(ids, VOCABULARY.starts_word[ids])
    asked = [bool(labels[word[0]] != -100) for word in words]
    spans: list[list[list[int]]] = []
    for number, word in enumerate(words):
        if asked[number]:
            if not number or not asked[number - 1]:
                spans.append([])
            spans[-1].append(word)
    for span in spans:
        places = [place for word in span for place in word]
        # No special token inside, and no span that touches another: it would be one too long.
        assert places == list(range(places[0], places[-1] + 1))
        assert len(span) <= 10


@every_masking
def test_every_place_is_chosen_at_some_time(name: str) -> None:
    ids = np.arange(100, 112)
    labels = [mask(name, ids, seed, Rates())[1] for seed in range(300)]
    assert (np.array(labels) != -100).any(axis=0).all()


@whole_words
def test_a_word_too_long_for_the_rate_is_taken_where_it_is_the_only_one(name: str) -> None:
    ids = np.array([2, 100, *[SPECIAL] * 19, 3])
    for seed in range(20):
        inputs, labels = mask(name, ids, seed, Rates(masked=1, random=0))
        assert inputs.tolist() == [2, *[MASK] * 20, 3]
        assert labels.tolist() == [-100, *ids[1:-1].tolist(), -100]


@whole_words
def test_a_word_that_fits_is_preferred_to_one_too_long(name: str) -> None:
    ids = np.array([*[100, SPECIAL, SPECIAL] * 12, 200, 300])
    for seed in range(50):
        _, labels = mask(name, ids, seed, Rates(chosen=1.5 / 38))
        assert set(labels.tolist()) in ({-100, 200}, {-100, 300}, {-100, 200, 300})


def parts_that_changed(name: str, part: Callable[[NDArray[np.bool_]], list[Any]]) -> set[float]:
    """The share of changed tokens in each part of each row, where half the chosen change."""
    rates = Rates(masked=0, random=0.5)
    ids = np.tile([100, SPECIAL, SPECIAL + 1], 100)
    shares = set()
    for seed in range(20):
        inputs, labels = mask(name, ids, seed, rates)
        shares |= {float((inputs != ids)[places].mean()) for places in part(labels != -100)}
    return shares


def test_a_word_shares_its_fate() -> None:
    def words(asked: NDArray[np.bool_]) -> list[Any]:
        return [slice(first, first + 3) for first in range(0, 300, 3) if asked[first]]

    assert parts_that_changed("word", words) == {0.0, 1.0}
    assert parts_that_changed("token", words) - {0.0, 1.0}


def test_a_span_shares_its_fate() -> None:
    def spans(asked: NDArray[np.bool_]) -> list[Any]:
        edges = np.flatnonzero(np.diff(asked.astype(int), prepend=0, append=0)).tolist()
        return [slice(*edge) for edge in zip(edges[::2], edges[1::2], strict=True)]

    assert parts_that_changed("span", spans) == {0.0, 1.0}


@every_masking
def test_nothing_to_choose_is_no_error(name: str) -> None:
    for ids in (np.array([], dtype=np.uint16), np.array([2, 3, 1, 0], dtype=np.uint32)):
        inputs, labels = mask(name, ids, 0, Rates(chosen=1))
        assert inputs.tolist() == ids.tolist()
        assert labels.tolist() == [-100] * len(ids)


@every_masking
def test_a_single_token_is_chosen_as_often_as_the_rate_says(name: str) -> None:
    ids = np.array([2, 100, 3])
    chosen = sum(mask(name, ids, seed, Rates())[1][1] == 100 for seed in range(2000))
    assert 236 <= chosen <= 364  # 300, four deviations of sqrt(2000 x 0.15 x 0.85)
