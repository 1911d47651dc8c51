"""A filter over one document in memory selects what the store selects for the same metadata."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from indexer.creation import Settings
from indexer.documents import Document
from indexer.errors import ClozeError
from indexer.filters import And, Comparison, Filter, FilterError, Not, Or, parse
from indexer.filters.evaluation import Evaluation
from indexer.index import Index

FIELDS = ("a", "b", "a.b", "title")
EVERY_FIELD: Mapping[str, Any] = {"a": "only here", "b": 0, "a.b": 0, "title": 0}

strings = st.sampled_from(["", "A", "Ab", "B", "a\0b", "\ud7ff", "\ue000", "\U0010ffff", "1"])
numbers = st.integers(-3, 3) | st.sampled_from(
    [0.5, -0.0, 1.0, 0.1, 2**53 + 1, 2.0**53, -(2**63), 2**63, 10**20, 1e300, 5e-324, -(10**400)]
)
finite = numbers.filter(lambda number: isinstance(number, int) or abs(number) < 1e308)
scalars = st.one_of(st.none(), st.booleans(), finite, strings)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just("b"), inner, max_size=1),
    max_leaves=4,
)
metadata_objects = st.fixed_dictionaries({}, optional={name: values for name in FIELDS})


def comparisons() -> st.SearchStrategy[Filter]:
    def of(operators: Sequence[str], value: st.SearchStrategy[Any]) -> st.SearchStrategy[Filter]:
        return st.builds(Comparison, st.sampled_from(FIELDS), st.sampled_from(operators), value)

    return st.one_of(
        of(["eq"], scalars),
        of(["in"], st.lists(scalars, max_size=4).map(tuple)),
        of(["gt", "gte", "lt", "lte"], finite | strings),
        of(["prefix"], strings),
        of(["exists"], st.booleans()),
    )


def connectives(inner: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    parts = st.lists(inner, max_size=4).map(tuple)
    return st.builds(Not, inner) | st.builds(And, parts) | st.builds(Or, parts)


filters = st.recursive(comparisons(), connectives, max_leaves=8)


def passed(filter: Filter, documents: Sequence[Mapping[str, Any]]) -> list[int]:
    evaluation = Evaluation(filter)
    return [number for number, each in enumerate(documents) if evaluation.passes(each)]


@pytest.fixture(scope="module")
def samples() -> list[dict[str, Any]]:
    """Metadata of every shape that the filters of this file ask about, the same at each run."""
    made: list[dict[str, Any]] = []

    @settings(max_examples=200)
    @given(metadata_objects)
    def collect(metadata: dict[str, Any]) -> None:
        made.append(metadata)

    collect()
    return [*made, dict(EVERY_FIELD)]


@pytest.fixture(scope="module")
def store(samples: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Index:
    folder = tmp_path_factory.mktemp("filters") / "index"
    index = Index.open(str(folder), Settings(lexical_only=True))
    index.add(
        Document(id=f"{number:04}", text="x", metadata=metadata)
        for number, metadata in enumerate(samples)
    )
    return index


@settings(max_examples=200)
@given(filter=filters)
@example(filter=Comparison("a", "in", (2**53 + 1, 0.1)))
@example(filter=Comparison("a", "eq", True))
@example(filter=Comparison("a", "prefix", "\ud7ff"))
@example(filter=And(()))
@example(filter=Or(()))
def test_the_same_documents_as_the_store(
    store: Index, samples: list[dict[str, Any]], filter: Filter
) -> None:
    assert passed(filter, samples) == selected(store, filter)


def selected(index: Index, filter: Filter) -> list[int]:
    numbers = index.store.matching(filter, index.store.sequence).tolist()
    return sorted(int(name) for name in index.store.ids(numbers).values())


def test_semantics_by_hand() -> None:
    documents: list[dict[str, Any]] = [
        {"year": 1999, "tags": ["x", "y"], "a": {"b": 1}},
        {"year": 2001.0, "tags": [], "a": [{"b": 2}, {"b": 3}]},
        {"year": "2001", "tags": None},
        {"year": True},
        {},
    ]
    expected = {
        "year = 2001": [1],
        "year = true": [3],
        "year != 2001": [0, 2, 3, 4],
        "year >= ''": [2],
        "tags in (y, z)": [0],
        "tags exists": [0, 2],
        "a.b > 2 and a.b < 3": [1],
        "{}": [0, 1, 2, 3, 4],
        '{"or": []}': [],
    }
    assert {text: passed(parse(text), documents) for text in expected} == expected


def test_a_field_that_no_document_had_names_the_nearest() -> None:
    evaluation = Evaluation(parse("yaer = 2000 or not lang = en"))
    assert evaluation.passes({"year": 2000})
    assert not evaluation.passes({"lang": "en"})
    with pytest.raises(FilterError, match=r"'yaer': did you mean 'year'\?.*'lang', 'year'"):
        evaluation.check_fields()
    assert not evaluation.passes({"yaer": 1, "lang": "en"})
    evaluation.check_fields()


def test_what_the_store_refuses_is_refused() -> None:
    with pytest.raises(ClozeError, match="'n' holds NaN"):
        Evaluation(parse("a = 1")).passes({"n": float("nan")})


def test_deep_and_wide_filters() -> None:
    wide = " or ".join(f"a = {number}" for number in range(9_999))
    assert passed(parse(wide), [{"a": 9_998}, {"a": 9_999}]) == [0]
    many = {"a": {"in": [*range(99_998), 0.5, "x"]}}
    assert passed(parse(many), [{"a": 99_997}, {"a": 99_998}, {"a": "x"}, {"a": True}]) == [0, 2]
