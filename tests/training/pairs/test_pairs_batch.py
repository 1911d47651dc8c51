from hypothesis import given
from hypothesis import strategies as st

from tests.training.pairs.written import key
from training.pairs.batch import batch_json, batch_lines, false_negatives
from training.pairs.example import Example

BATCH = [
    Example(query="one", positives=("Fish swim", "birds fly"), negatives=("dogs bark", "n2")),
    Example(query="two", positives=("fish  SWIM",), negatives=("Birds fly", "n3", "n4", "n5")),
    Example(query="three", positives=("dogs bark",), scores=(1.0,)),
]


def test_by_hand() -> None:
    assert false_negatives(BATCH) == [("fish  SWIM", "Birds fly"), ("Fish swim",), ("dogs bark",)]
    assert list(batch_lines(BATCH)) == [
        "a batch of 3: ? query, + positive, - negative, ! would be a false negative",
        "  ? one",
        "    + Fish swim (and 1 more)",
        "    - dogs bark",
        "    - n2",
        "    ! fish SWIM",
        "    ! Birds fly",
        "  ? two",
        "    + fish SWIM",
        "    - Birds fly",
        "    - n3",
        "    - n4",
        "    - (and 1 more)",
        "    ! Fish swim",
        "  ? three",
        "    + dogs bark",
        "    ! dogs bark",
    ]
    assert batch_json(BATCH)[2] == {
        "query": "three",
        "positives": ("dogs bark",),
        "negatives": (),
        "scores": (1.0,),
        "false_negatives": ("dogs bark",),
    }


TEXT = st.sampled_from(["a", "A", "b", "c", "d", "ﬁ", "fi"])


@st.composite
def examples(draw: st.DrawFn) -> Example:
    drawn = draw(st.lists(TEXT, min_size=1, max_size=5, unique_by=key))
    count = draw(st.integers(1, len(drawn)))
    return Example(query="q", positives=tuple(drawn[:count]), negatives=tuple(drawn[count:]))


@given(st.lists(examples(), max_size=5))
def test_brute_force(batch: list[Example]) -> None:
    for row, (example, found) in enumerate(zip(batch, false_negatives(batch), strict=True)):
        expected = {
            key(text)
            for other, each in enumerate(batch)
            for text in (each.positives[0], *each.negatives)
            if other != row and key(text) in map(key, example.positives)
        }
        assert {key(text) for text in found} == expected
        assert len(found) == len(expected)
