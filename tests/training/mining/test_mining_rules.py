"""The rules of mining one by one: overlap, margins, and options that contradict each other."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.errors import ClozeError
from tests.training.mining.brute_mining import held, words
from training.mining.overlap import holds, spelled
from training.mining.plan import Margin, Plan
from training.mining.rules import by_ranking, greatest_score

_TEXTS = st.lists(
    st.sampled_from(["a", "b", "c", "D!", "d", "ﬁsh", "fish", "用水", "-", "x_y"]), max_size=30
).map(" ".join)


@given(_TEXTS, _TEXTS)
@settings(max_examples=60)
def test_holding_is_what_brute_force_says(whole: str, part: str) -> None:
    assert holds(spelled(whole), spelled(part)) == held(words(whole), words(part))


@given(_TEXTS, _TEXTS, _TEXTS)
@settings(max_examples=60)
def test_a_text_holds_its_parts(before: str, part: str, after: str) -> None:
    whole = spelled(f"{before} {part} {after}")
    assert holds(whole, spelled(part)) or len(words(part)) < 4
    assert holds(whole, whole)


def test_spelling_drops_case_punctuation_and_forms() -> None:
    assert spelled("The  “ﬁrst” Word,\n用水.") == " the first word 用 水 "
    assert spelled("STRASSE straße") == " strasse strasse "


@pytest.mark.parametrize(
    ("whole", "part", "wanted"),
    [
        ("one two three four five", "Two, three: four five!", True),
        ("one two three four five", "two three four", False),  # too short to tell anything
        ("two three four", "Two three four.", True),
        ("one two three fourteen", "one two three four", False),  # whole words alone
    ],
)
def test_short_texts_are_held_by_their_equals_alone(whole: str, part: str, wanted: bool) -> None:
    assert holds(spelled(whole), spelled(part)) is wanted


def test_a_passage_without_one_sentence_is_held_by_its_document() -> None:
    sentences = [f"sentence {n} says this and that about thing{n}." for n in range(6)]
    rest = " ".join([*sentences[:2], *sentences[3:]])
    assert holds(spelled(" ".join(sentences)), spelled(rest))
    other = " ".join(f"sentence {n} says this and that about thing{n}." for n in range(6, 12))
    assert not holds(spelled(other), spelled(rest))


@pytest.mark.parametrize(
    ("text", "positive", "most"),
    [
        ("0.1", 0.8, 0.7),
        ("5%", 0.8, 0.76),
        ("5%", -2.0, -2.1),  # below it too
        ("-0.1", 0.8, 0.9),
        (" .5 ", 1.0, 0.5),
    ],
)
def test_a_margin_is_an_amount_or_a_share(text: str, positive: float, most: float) -> None:
    assert Margin.parse("--margin", text).most(positive) == pytest.approx(most)


@pytest.mark.parametrize("text", ["", "x", "5 %", "1e3", "nan", "%", "--1"])
def test_what_is_no_margin_is_refused(text: str) -> None:
    with pytest.raises(ClozeError, match="--margin is"):
        Margin.parse("--margin", text)


def test_the_lowest_known_positive_sets_the_limit() -> None:
    margin = Margin(amount=0.25)
    assert greatest_score([0.5, 1.0, None], margin) == 0.25
    assert greatest_score([None], margin) == math.inf
    assert greatest_score([0.5], None) == math.inf
    assert greatest_score([1.0, -math.inf], margin) == -math.inf
    assert greatest_score([-math.inf], Margin(amount=0.05, relative=True)) == -math.inf


def test_a_candidate_counts_for_the_first_rule_that_it_breaks() -> None:
    plan = Plan(scores=(0.2, 0.8))
    own = [spelled("the red fox sleeps")]
    whole = spelled("here the red fox sleeps well")
    other = spelled("a blue whale swims here")
    assert by_ranking(0.9, whole, own, 0.1, plan) == "positive"
    assert by_ranking(0.5, spelled("the red fox sleeps"), [whole], 1.0, plan) == "positive"
    assert by_ranking(0.9, other, own, 0.1, plan) == "scores"
    assert by_ranking(0.1, other, own, 0.1, plan) == "scores"
    assert by_ranking(0.5, other, own, 0.4, plan) == "margin"
    assert by_ranking(0.4, other, own, 0.4, plan) is None
    assert by_ranking(0.8, other, own, 0.8, plan) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ranks": (0, 5)}, "--ranks is 0,5"),
        ({"ranks": (9, 5)}, "--ranks is 9,5"),
        ({"ranks": (2, 4)}, "has 3 places for --negatives 4"),
        ({"scores": (0.5, 0.4)}, "lesser one first"),
        ({"mode": "sparse"}, "--mode is 'sparse'"),
        ({"sampling": "last"}, "--sampling is 'last'"),
        ({"rerank_margin": Margin(amount=1)}, "needs a reranker"),
        ({"rerank": "late"}, "alone changes nothing"),
    ],
)
def test_a_plan_that_contradicts_itself_is_refused(
    options: dict[str, object], message: str
) -> None:
    with pytest.raises(ClozeError, match=message):
        Plan(**options)  # type: ignore[arg-type]
