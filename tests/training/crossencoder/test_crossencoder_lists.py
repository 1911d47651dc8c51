"""Lists: whose passages are in them, and that position and seed alone decide."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.crossencoder.made import made_examples
from training.crossencoder.lists import Lists, Size
from training.pairs.example import Example
from training.pairs.identity import identity

EXAMPLES = made_examples(30, scores=True)
SIZES = st.builds(Size, batch=st.integers(1, 9), negatives=st.integers(1, 9))
BY_QUERY = {each.query: each for each in EXAMPLES}


@given(size=SIZES, seed=st.integers(0, 2**63 - 1), position=st.integers(0, 200))
def test_a_list_has_own_passages_first_and_foreign_ones_behind(
    size: Size, seed: int, position: int
) -> None:
    made = Lists(EXAMPLES, size, seed=seed, filled=True)[position]
    assert len(made) == size.batch
    drawn = {text for each in made for text in each.texts[: each.positives]}
    for each in made:
        example = BY_QUERY[each.query]
        own = {*example.positives, *example.negatives}
        assert 1 <= each.positives <= max(1, size.places // 2)
        assert set(each.texts[: each.positives]) <= set(example.positives)
        assert len(set(map(identity, each.texts))) == len(each.texts) <= size.places
        behind = each.texts[each.positives :]
        negatives = [text for text in behind if text in own]
        assert set(negatives) <= set(example.negatives)
        # All that there is room for.
        room = size.places - each.positives
        assert len(negatives) == min(room, len(example.negatives))
        foreign = [text for text in behind if text not in own]
        assert behind == (*negatives, *foreign)
        assert set(foreign) <= drawn - own
        assert len(foreign) == min(room - len(negatives), len(drawn - own))


@given(size=SIZES, seed=st.integers(0, 2**63 - 1), position=st.integers(0, 200))
def test_position_and_seed_alone_decide(size: Size, seed: int, position: int) -> None:
    lists = Lists(EXAMPLES, size, seed=seed, filled=True)
    first = lists[position]
    for other in (0, position + size.batch):
        assert lists[other]
    assert lists[position] == first == Lists(EXAMPLES, size, seed=seed, filled=True)[position]


def test_an_epoch_has_each_example_once_and_the_next_draws_anew() -> None:
    lists = Lists(EXAMPLES, Size(batch=5, negatives=2), seed=1, filled=True)
    epochs = [[made for step in range(6) for made in lists[30 * e + 5 * step]] for e in (0, 1)]
    for made in epochs:
        assert Counter(each.query for each in made) == Counter(each.query for each in EXAMPLES)
    assert [each.query for each in epochs[0]] != [each.query for each in epochs[1]]
    several = {each.query for each in EXAMPLES if len(each.positives) > 1}
    drawn = [
        {each.query: each.texts[0] for each in made if each.query in several} for made in epochs
    ]
    assert drawn[0] != drawn[1]


@given(size=SIZES, position=st.integers(0, 60))
def test_scores_stay_with_their_passages(size: Size, position: int) -> None:
    for made in Lists(EXAMPLES, size, seed=5, filled=False)[position]:
        example = BY_QUERY[made.query]
        known = dict(
            zip((*example.positives, *example.negatives), example.scores or (), strict=True)
        )
        assert made.scores == tuple(known[text] for text in made.texts)


@pytest.mark.parametrize("same", ["The  Old River", "the old river", "ＴＨＥ old river"])
def test_what_is_one_by_identity_is_never_a_filler(same: str) -> None:
    """Another query's positive that is one's own, however it is spelled."""
    examples = (
        Example(query="a", positives=("the old river", "water"), negatives=("stone",)),
        Example(query="b", positives=(same,)),
        Example(query="c", positives=("Stone",)),
    )
    for position in range(0, 60, 3):
        made = Lists(examples, Size(batch=3, negatives=4), seed=2, filled=True)[position]
        for each in made:
            own = next(one for one in examples if one.query == each.query)
            closed = {identity(text) for text in own.positives}
            behind = {identity(text) for text in each.texts[each.positives :]}
            assert not behind & closed
        (first,) = (each for each in made if each.query == "a")
        assert [identity(text) for text in first.texts].count(identity("stone")) == 1


def test_a_query_is_never_its_own_negative() -> None:
    """Pairs that come both ways around: each query is the other's positive."""
    examples = (
        Example(query="how to swim", positives=("learning to swim",)),
        Example(query="learning to swim", positives=("How to  swim", "swimming for beginners")),
        Example(query="c", positives=("stone",)),
    )
    (made,) = (
        each
        for each in Lists(examples, Size(batch=3, negatives=5), seed=2, filled=True)[0]
        if each.query == "how to swim"
    )
    assert made.texts[0] == "learning to swim"
    assert set(made.texts[1:]) == {"swimming for beginners", "stone"}


def test_a_list_with_foreign_passages_has_no_teachers_scores() -> None:
    """Scores go by place, and nobody has scored these."""
    lists = Lists(EXAMPLES, Size(batch=6, negatives=4), seed=5, filled=True)
    made = [each for position in range(0, 30, 6) for each in lists[position]]
    for each in made:
        example = BY_QUERY[each.query]
        is_filled = bool(set(each.texts) - {*example.positives, *example.negatives})
        assert (each.scores is None) == is_filled
    assert {each.scores is None for each in made} == {False, True}
