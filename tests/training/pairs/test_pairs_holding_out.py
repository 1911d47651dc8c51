"""Held out are the queries of the least hash; nothing of theirs stays in training."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from indexer.errors import ClozeError
from tests.training.pairs.written import key, write_lines
from training.pairs.example import Example
from training.pairs.holding_out import hold_out, left_out
from training.pairs.identity import identity
from training.pairs.reading import Pairs, read_pairs

WORD = st.sampled_from("a b c d e f g h i j".split())
LISTED = st.lists(
    st.tuples(st.lists(WORD, min_size=2, max_size=2), st.lists(WORD, min_size=1, max_size=3)),
    min_size=2,
    max_size=12,
)


def pairs_of(examples: Sequence[tuple[str, list[str]]]) -> Pairs:
    with TemporaryDirectory() as folder:
        lines = [
            {"query": q, "positives": p, "negatives": ["z"], "scores": [*range(len(p)), -1]}
            for q, p in examples
        ]
        return read_pairs([write_lines(Path(folder) / "a.jsonl", lines)])


def texts(examples: Sequence[Example]) -> set[str]:
    return {key(text) for each in examples for text in each.positives}


@given(LISTED, st.integers(1, 6))
def test_properties(listed: list[tuple[list[str], list[str]]], count: int) -> None:
    pairs = pairs_of([(" ".join(words), positives) for words, positives in listed])
    assume(count < len(pairs.examples))
    try:
        train, held_out = hold_out(pairs, count)
    except ClozeError:
        least = sorted(pairs.examples, key=lambda each: identity(each.query))[:count]
        assert texts(pairs.examples) == texts(least)
        return
    assert len(held_out) == count
    # Both are in the order of the pairs.
    order = [each.query for each in pairs.examples]
    for part in (train, held_out):
        assert [each.query for each in part] == [q for q in order if q in {e.query for e in part}]
    assert set(held_out) <= set(pairs.examples)
    kept_out = {identity(each.query) for each in held_out}
    assert max(kept_out) < min(
        identity(each.query) for each in pairs.examples if identity(each.query) not in kept_out
    )
    assert not texts(train) & texts(held_out)
    before = {each.query: each for each in pairs.examples}
    for each in train:
        whole = before[each.query]
        kept = [text for text in whole.positives if key(text) not in texts(held_out)]
        assert list(each.positives) == kept
        assert each.negatives == whole.negatives
        if whole.scores is not None:
            by_text = dict(zip((*whole.positives, *whole.negatives), whole.scores, strict=True))
            assert each.scores == tuple(by_text[text] for text in (*kept, *each.negatives))
    gone = [each for each in pairs.examples if each.query not in {e.query for e in train}]
    gone = [each for each in gone if each not in held_out]
    assert texts(gone) <= texts(held_out)
    counts = left_out(pairs, train, held_out)
    assert counts["examples"] == len(gone)
    assert counts["positives"] == sum(
        key(text) in texts(held_out)
        for each in pairs.examples
        if each not in held_out
        for text in each.positives
    )


def test_the_text_alone_decides() -> None:
    listed = [(f"query {number}", [f"p{number}"]) for number in range(50)]
    _, held_out = hold_out(pairs_of(listed), 5)
    _, again = hold_out(pairs_of(listed[::-1]), 5)
    assert set(held_out) == set(again)
    _, fewer = hold_out(pairs_of([each for each in listed if each[0] != held_out[0].query]), 4)
    assert set(fewer) == set(held_out[1:])


def test_none_or_too_many() -> None:
    pairs = pairs_of([("a", ["x"]), ("b", ["y"]), ("c", ["x"])])
    assert hold_out(pairs, 0) == (pairs.examples, ())
    with pytest.raises(ClozeError, match=r"3 queries are to be held out of 3; hold out fewer"):
        hold_out(pairs, 3)
    shared = pairs_of([("a", ["x"]), ("b", ["X"]), ("c", ["x "])])
    with pytest.raises(ClozeError, match=r"every positive is one of the 1 queries held out"):
        hold_out(shared, 1)


def test_pairs_of_one_kind_on_both_sides_share_nothing_either_way() -> None:
    pairs = pairs_of([("a", ["b"]), ("b", ["c", "d"]), ("d", ["a", "e"]), ("e", ["c"])])
    (asked, *_) = sorted((each.query for each in pairs.examples), key=identity)
    assert asked == "d"  # whose positives are a and e
    train, (held_out,) = hold_out(pairs, 1)
    assert held_out.query == "d"
    assert [(each.query, each.positives) for each in train] == [("b", ("c",))]
    assert left_out(pairs, train, [held_out]) == {"examples": 2, "positives": 3}
