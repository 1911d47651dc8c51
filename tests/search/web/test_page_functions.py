"""The page's pure functions in the browser, with Python's own strings and lists as the judge."""

import json
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.search.web.visits import PATIENCE_MS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# Half of them astral, so that code points and UTF-16 part ways; JSON and UTF-8 have no surrogates.
TEXTS = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("🌊𝔴😀a ")))
SCALARS = st.one_of(
    TEXTS, st.booleans(), st.none(), st.integers(-(2**53) + 1, 2**53 - 1),
    st.floats(-1e15, 1e15),
    st.sampled_from(["null", "1", "1.0", "true", '"x"', "[1]", "{}", '"', " 1", "-0"]),
)  # fmt: skip
NAMES = st.one_of(st.none(), TEXTS)
WAYS = st.fixed_dictionaries(
    {
        "mode": st.sampled_from(["hybrid", "dense", "lexical"]),
        "rerank": st.sampled_from([None, "none", "late", "cross-encoder"]),
    }
)
STATES = st.fixed_dictionaries(
    {
        "query": TEXTS,
        "mode": NAMES,
        "rerank": NAMES,
        "filters": st.lists(
            st.fixed_dictionaries({"field": TEXTS, "value": SCALARS}), max_size=3
        ),
        "compare": st.one_of(st.none(), st.lists(WAYS, min_size=2, max_size=2)),
        "open": NAMES,
        "top": st.sampled_from([10, 20, 100]),
    }
)  # fmt: skip

# Of many cases each, in one call; the cases of a failure are short enough without shrinking.
FEW = settings(max_examples=5, phases=[Phase.generate])


@pytest.fixture(scope="module")
def page(browser: "Browser", service: str) -> "Iterator[Page]":
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(service)
    yield page
    page.close()


def called(page: "Page", module: str, function: str, arguments: list[Any]) -> list[Any]:
    """Call a function of a module once for each list of arguments."""
    returned: str = page.evaluate(
        """async ([module, name, all]) => {
          const found = (await import(`/assets/${module}.js`))[name];
          return JSON.stringify(JSON.parse(all).map((each) => found(...each)));
        }""",
        [module, function, json.dumps(arguments)],
    )
    found: list[Any] = json.loads(returned)
    return found


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


@FEW
@given(st.lists(st.tuples(TEXTS, st.lists(st.integers(0, 40), max_size=6)), min_size=40))
def test_code_points_become_utf_16(page: "Page", cases: list[tuple[str, list[int]]]) -> None:
    expected = [[units(text[:place]) for place in places] for text, places in cases]
    assert called(page, "codepoints", "utf16Offsets", [list(case) for case in cases]) == expected


@FEW
@given(st.lists(st.tuples(TEXTS, st.integers(0, 30), st.integers(0, 30)), min_size=40))
def test_a_slice_is_pythons(page: "Page", cases: list[tuple[str, int, int]]) -> None:
    ordered = [(text, min(a, b), max(a, b)) for text, a, b in cases]
    expected = [text[start:end] for text, start, end in ordered]
    assert called(page, "codepoints", "slice", [list(case) for case in ordered]) == expected


@FEW
@given(st.lists(st.tuples(TEXTS, st.sets(st.integers(0, 40), max_size=8)), min_size=30))
def test_marked_words_are_those_of_the_spans(
    page: "Page", cases: list[tuple[str, set[int]]]
) -> None:
    """The snippet is a part of a longer text, and spans may lie outside of it or on its edge."""
    arguments, expected = [], []
    for number, (text, edges) in enumerate(cases):
        choose = random.Random(number)
        begin = choose.randint(0, len(text))
        snippet = text[begin : choose.randint(begin, len(text))]
        ordered = sorted(edges)
        spans = list(zip(ordered[::2], ordered[1::2], strict=False))
        marked = [
            any(start <= begin + at < end for start, end in spans) for at in range(len(snippet))
        ]
        arguments.append([snippet, begin, [{"start": start, "end": end} for start, end in spans]])
        expected.append(list(zip(snippet, marked, strict=True)))
    found = called(page, "marks", "runs", arguments)
    assert [
        [(letter, run["marked"]) for run in each for letter in run["text"]] for each in found
    ] == expected


@FEW
@given(st.lists(STATES, min_size=20))
def test_a_state_comes_back_from_its_address(page: "Page", states: list[dict[str, Any]]) -> None:
    written = called(page, "state", "formatState", [[state] for state in states])
    assert called(page, "state", "parseState", [[text] for text in written]) == states
    for state, text in zip(states, written, strict=True):
        fields = parse_qs(text.removeprefix("?"), keep_blank_values=True)
        assert fields.get("q", [""]) == [state["query"]]
        assert fields.get("doc", [None]) == [state["open"]]
        assert fields.get("mode", [None]) == [state["mode"]]


@pytest.mark.parametrize(
    ("value", "text"),
    [("stdlib", "stdlib"), (2020, "2020"), ("2020", '"2020"'), (None, "null"), ("null", '"null"'),
     (True, "true"), ("[1]", "[1]"), ('"a"', '"\\"a\\""'), (1.5, "1.5"), ("a b", "a b")],
)  # fmt: skip
def test_a_value_is_written_as_people_would(page: "Page", value: object, text: str) -> None:
    assert called(page, "state", "formatValue", [[value]]) == [text]


@pytest.mark.parametrize(
    "search",
    ["?top=-1&compare=dense", "?top=1e9&compare=,&f.=1", "?%ff=%f0%9f&top=x&compare=a,b,c"],
)
def test_an_address_that_makes_no_sense_is_read_as_far_as_it_does(
    page: "Page", search: str
) -> None:
    (state,) = called(page, "state", "parseState", [[search]])
    assert (state["query"], state["compare"], state["open"]) == ("", None, None)
    assert state["top"] in (10, 100)


@FEW
@given(
    st.lists(
        st.tuples(st.permutations(range(9)), st.permutations(range(9)), st.integers(0, 9),
                  st.integers(0, 9), st.integers(1, 10)),
        min_size=30,
    )
)  # fmt: skip
def test_what_moved_between_two_rankings(
    page: "Page", cases: list[tuple[list[int], list[int], int, int, int]]
) -> None:
    lists = [(left[:a], right[:b], shown) for left, right, a, b, shown in cases]
    found = called(page, "changes", "changes", [list(each) for each in lists])
    for (left, right, shown), pairs in zip(lists, found, strict=True):
        assert {pair["id"] for pair in pairs} == {*left[:shown], *right[:shown]}
        for pair in pairs:
            for side, ids in (("left", left), ("right", right)):
                rank = pair[side]
                assert rank is None if pair["id"] not in ids else ids[rank - 1] == pair["id"]
    kinds = called(page, "changes", "kind", [[pair] for pairs in found for pair in pairs])
    expected = [
        "onlyHere" if None in (left, right)
        else "same" if left == right
        else "up" if right < left
        else "down"
        for left, right in ((pair["left"], pair["right"]) for pairs in found for pair in pairs)
    ]  # fmt: skip
    assert kinds == expected


@FEW
@given(st.lists(st.dictionaries(st.sampled_from("abcd"), st.floats(0, 50)), min_size=20))
def test_the_parts_of_a_time_add_up_to_it(page: "Page", times: list[dict[str, float]]) -> None:
    whole = [took | {"total": sum(took.values()) + extra} for extra, took in enumerate(times)]
    for took, parts in zip(
        whole, called(page, "timings", "parts", [[w] for w in whole]), strict=True
    ):
        assert abs(sum(part["ms"] for part in parts) - took["total"]) < 0.06
        assert all(part["ms"] >= 0 for part in parts)


def test_both_languages_have_every_label(page: "Page") -> None:
    english, chinese = page.evaluate(
        """async () => {
          const { ENGLISH } = await import("/assets/english.js");
          const { CHINESE } = await import("/assets/chinese.js");
          const arity = (word) => (typeof word === "function" ? word.length : "text");
          const kinds = (words) => Object.entries(words).map(([name, word]) => [name, arity(word)]);
          return [kinds(ENGLISH), kinds(CHINESE)];
        }"""
    )
    assert english == chinese
    used = page.evaluate(
        "[...document.querySelectorAll('*')].flatMap((each) => [...each.attributes])"
        ".filter(({ name }) => name.startsWith('data-label')).map(({ value }) => value)"
    )
    assert set(used) <= {name for name, *_ in english}
