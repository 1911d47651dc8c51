"""Filters: the grammar by hand-made cases, the store against a direct evaluation in Python."""

import contextlib
import json
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import eq, ge, gt, le, lt
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from indexer.errors import ClozeError
from indexer.filters import And, Comparison, Filter, FilterError, Not, Or, facets, parse, to_json
from indexer.records import SCHEMA
from indexer.selections import Selections

FIELDS = ("a", "b", "a.b", "title", "x'y")
Draw = Callable[[st.SearchStrategy[Any]], Any]


# The oracle: what a filter means for one document's metadata.


Json = Any  # whatever json.loads returns
COMPARE: dict[str, Callable[[Json, Json], bool]] = {
    "eq": eq,
    "gt": gt,
    "gte": ge,
    "lt": lt,
    "lte": le,
}


def leaves(value: object, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, path)
    else:
        yield path, value


def kind(value: object) -> str:
    if value is None or isinstance(value, bool):
        return str(type(value))
    return "number" if isinstance(value, int | float) else "string"


def comparable(value: Json) -> tuple[Any, str]:
    """Values compare within their kind; integers of more than 64 bits are kept as floats."""
    wide = isinstance(value, int) and not -(2**63) <= value < 2**63
    return (float(value) if wide else value), kind(value)


def holds(operator: str, wanted: Json, value: Json) -> bool:
    if operator == "in":
        return any(holds("eq", one, value) for one in wanted)
    (value, its_kind), (wanted, wanted_kind) = comparable(value), comparable(wanted)
    if operator == "prefix":
        return its_kind == wanted_kind and bool(value.startswith(wanted))
    return its_kind == wanted_kind and COMPARE[operator](value, wanted)


def matches(filter: Filter, metadata: Mapping[str, Any]) -> bool:
    match filter:
        case And(parts):
            return all(matches(part, metadata) for part in parts)
        case Or(parts):
            return any(matches(part, metadata) for part in parts)
        case Not(part):
            return not matches(part, metadata)
        case Comparison(field, operator, wanted):
            found = [value for path, value in leaves(metadata) if path == field]
            if operator == "exists":
                return bool(found) == bool(wanted)
            return any(holds(operator, wanted, value) for value in found)


# The store's tables, filled as the store fills them, without texts.


class Stored(Selections):
    """Documents visible at sequence number 2, and as many each that are dead and still to come."""

    def __init__(self, documents: Sequence[Mapping[str, Any]]) -> None:
        self._db = sqlite3.connect(":memory:", isolation_level=None)
        self._db.executescript(SCHEMA)
        states = [(1, 2), (2, None), (3, None)]  # added and deleted at which sequence number
        for turn, (added, deleted) in enumerate(states):
            for place, metadata in enumerate(documents):
                self.insert(turn * len(documents) + place, metadata, added, deleted)

    def insert(
        self, number: int, metadata: Mapping[str, Any], added: int = 1, deleted: int | None = None
    ) -> None:
        self._db.execute(
            "INSERT INTO documents VALUES (?, ?, ?, ?, '', '', '', 0, 0, 0, NULL)",
            (number, str(number), added, deleted),
        )
        for name, kind, value in facets(metadata):
            self._db.execute("INSERT OR IGNORE INTO fields (name) VALUES (?)", [name])
            field = self.fields()[name]
            self._db.execute("INSERT INTO facets VALUES (?, ?, ?, ?)", [field, kind, value, number])


def selected(documents: Sequence[Mapping[str, Any]], filter: Filter) -> list[int]:
    """Return the places of the documents that the store's filter passes."""
    passed = Stored(documents).matching(filter, 2) - len(documents)
    return [int(place) for place in passed]


def found(documents: Sequence[Any], expression: str | Mapping[str, Any]) -> list[int]:
    return selected(documents, parse(expression))


strings = st.one_of(
    st.sampled_from(
        ["", "A", "Ab", "B", "a\0b", "\ud7ff", "\ue000", "\U0010ffff", "😀", "1", "null"]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
)
numbers = st.one_of(
    st.integers(-3, 3),
    st.sampled_from(
        [0.5, -0.0, 1.0, 0.1, 2**53 + 1, 2.0**53, -(2**63), 2**63, 10**20, 1e300, 5e-324]
    ),
    st.floats(allow_nan=False, allow_infinity=False),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, strings)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just("b"), inner, max_size=1),
    max_leaves=4,
)
metadata_objects = st.fixed_dictionaries({}, optional={name: values for name in FIELDS[:4]})


def comparisons(negative: bool = True) -> st.SearchStrategy[Filter]:
    field = st.sampled_from(FIELDS)

    def of(operators: Sequence[str], value: st.SearchStrategy[Any]) -> st.SearchStrategy[Filter]:
        return st.builds(Comparison, field, st.sampled_from(operators), value)

    return st.one_of(
        of(["eq"], scalars),
        of(["in"], st.lists(scalars, min_size=not negative, max_size=4).map(tuple)),
        of(["gt", "gte", "lt", "lte"], numbers | strings),
        of(["prefix"], strings),
        of(["exists"], st.booleans() if negative else st.just(True)),
    )


def filters(negative: bool = True, least: int = 0) -> st.SearchStrategy[Filter]:
    def connectives(inner: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
        parts = st.lists(inner, min_size=least, max_size=4).map(tuple)
        return st.builds(Not, inner) | st.builds(And, parts) | st.builds(Or, parts)

    return st.recursive(comparisons(negative), connectives, max_leaves=8)


# Has every field, so that none is unknown.
EVERY_FIELD = dict.fromkeys(FIELDS, "anchor")


@given(st.lists(metadata_objects, max_size=6), filters())
@example([{"a": 2**53 + 1}, {"a": 2.0**53}], Comparison("a", "in", (2**53 + 1, 0.1)))
@example([{"a": "\ud7ffz"}, {"a": "\ue000"}], Comparison("a", "prefix", "\ud7ff"))
def test_the_store_selects_what_the_filter_means(
    documents: list[dict[str, Any]], filter: Filter
) -> None:
    documents = [*documents, EVERY_FIELD]
    expected = [n for n, metadata in enumerate(documents) if matches(filter, metadata)]
    assert selected(documents, filter) == expected


@given(filters())
def test_json_comes_back_as_the_same_filter(filter: Filter) -> None:
    text = json.dumps(to_json(filter))
    assert json.dumps(to_json(parse(text))) == text
    assert parse(to_json(filter)) == filter


def text_of(filter: Filter, draw: Draw, around: str = "") -> str:
    """Write the text form with as few parentheses, quotes and capitals as the draw decides."""
    match filter:
        case Comparison(field, operator, value):
            return comparison_text(quoted(field, draw), operator, value, draw)
        case Not(part):
            return f"{draw(st.sampled_from(['not', 'NOT']))} {text_of(part, draw, 'not')}"
        case And(parts) | Or(parts):
            word = "and" if isinstance(filter, And) else "or"
            text = f" {word} ".join(text_of(part, draw, word) for part in parts)
            free = around == "" or (around, word) == ("or", "and")
            return text if free and draw(st.booleans()) else f"({text})"


def comparison_text(field: str, operator: str, value: Json, draw: Draw) -> str:
    if operator == "exists":
        return f"{field} exists"
    if operator == "in":
        return f"{field} IN ({', '.join(quoted(one, draw) for one in value)})"
    signs = {"eq": ["=", "=="], "gt": [">"], "gte": [">="], "lt": ["<"], "lte": ["<="]}
    sign = draw(st.sampled_from(signs.get(operator, [" prefix "])))
    return f"{field}{sign}{quoted(value, draw)}"


def quoted(value: Json, draw: Draw) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    plain = re.fullmatch(r"[A-Za-z_][\w./-]*", value)
    if plain and value.lower() not in ("true", "false", "null", "and", "or", "not", "in"):
        if draw(st.booleans()):
            return value
    if draw(st.booleans()):
        return json.dumps(value, ensure_ascii=draw(st.booleans()))
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


@given(filters(negative=False, least=2), st.data())
def test_text_comes_back_as_the_same_filter(filter: Filter, data: st.DataObject) -> None:
    assert json.dumps(to_json(parse(text_of(filter, data.draw)))) == json.dumps(to_json(filter))


@pytest.mark.parametrize(
    ("text", "content"),
    [
        (
            'year >= 2000 and lang in (en, de) and not (title prefix "A")',
            {
                "and": [
                    {"year": {"gte": 2000}},
                    {"lang": {"in": ["en", "de"]}},
                    {"not": {"title": {"prefix": "A"}}},
                ]
            },
        ),
        (
            "a=1 or b=2 and not c=3",
            {
                "or": [
                    {"a": {"eq": 1}},
                    {"and": [{"b": {"eq": 2}}, {"not": {"c": {"eq": 3}}}]},
                ]
            },
        ),
        ("a != 1", {"not": {"a": {"eq": 1}}}),
        ("a NOT IN (1)", {"not": {"a": {"in": [1]}}}),
        ("a not exists", {"not": {"a": {"exists": True}}}),
        ("country == in", {"country": {"eq": "in"}}),
        ("date < 2020-01-31", {"date": {"lt": "2020-01-31"}}),
        (
            "date >= 2020-01 and date < 2020",
            {"and": [{"date": {"gte": "2020-01"}}, {"date": {"lt": 2020}}]},
        ),
        (
            "t > 2020-01-31T09:30:00.5Z and t in (2020-01-31T09:30, 2020-01-31T09:30:00+02:00)",
            {
                "and": [
                    {"t": {"gt": "2020-01-31T09:30:00.5Z"}},
                    {"t": {"in": ["2020-01-31T09:30", "2020-01-31T09:30:00+02:00"]}},
                ]
            },
        ),
        ("t = 2020-01-31T09", {"t": {"eq": "2020-01-31T09"}}),
        ("t = 2020-01-01-draft", {"t": {"eq": "2020-01-01-draft"}}),
        ("t = '2020-02-30'", {"t": {"eq": "2020-02-30"}}),
        ("code in (007, 0, -0.5, 00.5)", {"code": {"in": ["007", 0, -0.5, "00.5"]}}),
        ('{"lang": "en"}', {"lang": {"eq": "en"}}),
        (
            '{"lang": ["en", "de"], "n": 1, "x": null}',
            {"and": [{"lang": {"in": ["en", "de"]}}, {"n": {"eq": 1}}, {"x": {"eq": None}}]},
        ),
        ('{"not": {"flag": true}}', {"not": {"flag": {"eq": True}}}),
        ("a.b = -.5e3", {"a.b": {"eq": -500.0}}),
        ("'a b' = True", {"a b": {"eq": True}}),
        ("a = 'True'", {"a": {"eq": "True"}}),
        (r"a = 'it\'s \u00e9\n'", {"a": {"eq": "it's é\n"}}),
        ("語 = 日本", {"語": {"eq": "日本"}}),
        ('  {"a": {"gte": 1, "lt": 2}}', {"and": [{"a": {"gte": 1}}, {"a": {"lt": 2}}]}),
        (
            '{"a": {"eq": 1}, "or": [{"b": {"eq": 2}}]}',
            {"and": [{"a": {"eq": 1}}, {"or": [{"b": {"eq": 2}}]}]},
        ),
        ("{}", {"and": []}),
    ],
)
def test_forms_by_hand(text: str, content: dict[str, Any]) -> None:
    assert json.dumps(to_json(parse(text))) == json.dumps(content)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "character 1 .*name of a field.*end"),
        ("a", "character 2 .*operator"),
        ("a = 1 b = 2", "character 7 .*'b'"),
        ("a in (1, 2", r"character 11 .*'\)'"),
        ("a = 'x", "character 5 .*no end"),
        ("a # 1", "character 3 .*'#'"),
        ("a prefx B", "character 3 .*'prefx'.*did you mean 'prefix'"),
        (r"a = '\q'", "character 5 .*escape"),
        ("a = 1e999", "'a'.*finite"),
        ("a > true", "'gt'.*'a'.*a boolean"),
        ("a prefix 1", "'prefix'.*a string.*a number"),
        ('a = "\ud800"', "half a character"),
        ('"not" = 1', "'not'.*reserved"),
        ("a = 10:30", "character 7 .*':'.*quotes"),
        ("a = 2020-02-30", "character 5 .*2020-02-30 is no date.*quotes"),
        ("a = 2020-13", "character 5 .*2020-13 is no date"),
        ("a = 2020-01-01T24:01:00Z", "character 5 .*is no date"),
        ('{"a": {"gtt": 1}}', "'gtt'.*did you mean 'gt'"),
        ('{"a": {"b": 1}}', "'b'.*name the field 'a.b'"),
        ('{"a": [[1]]}', "'in' of field 'a' takes .*a list"),
        ('{"a": [{"b": 1}]}', "'in' of field 'a' takes .*an object"),
        ('{"a": {}}', "'a' has no operator"),
        ('{"a": {"eq": [1]}}', "'eq'.*a list"),
        ('{"a": {"in": 1}}', "'in'.*a list.*a number"),
        ('{"a": {"eq": NaN}}', "NaN"),
        ('{"a": {"eq": 1}, "a": {"eq": 2}}', "'a' twice"),
        ('{"a": {"eq": ' + "9" * 5000 + "}}", "number that is too long"),
        ('{"and": {"a": 1}}', "'and' takes a list"),
        ('{"a": ', "character 7 .*not JSON"),
        ({1: {"eq": 1}}, "strings, not a number"),
        ({"not": []}, "a filter is an object.*a list"),
    ],
)
def test_mistakes_are_named_in_one_line(expression: str | dict[str, Any], message: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse(expression)
    assert re.search(message, str(caught.value)) and len(str(caught.value).splitlines()) == 1


def test_an_unknown_field_names_the_nearest_and_the_choices() -> None:
    with pytest.raises(FilterError, match=r"'yaer'.*did you mean 'year'\?.*'lang', 'year'"):
        found([{"year": 1, "lang": 2}], "not yaer = 1")
    with pytest.raises(FilterError, match="unknown field 'yaer'"):  # though nothing is left to pass
        found([{"year": 1, "lang": 2}], "year = 5 and yaer = 1")


def test_semantics_by_hand() -> None:
    documents = [
        {"year": 1999, "tags": ["x", "y"], "a": {"b": 1}},
        {"year": 2001.0, "tags": [], "a": [{"b": 2}, {"b": 3}]},
        {"year": "2001", "tags": None},
        {"year": True},
        {},
    ]
    assert found(documents, "year = 2001") == [1]
    assert found(documents, "year = '2001'") == [2]
    assert found(documents, "year = true") == [3]
    assert found(documents, "year != 2001") == [0, 2, 3, 4]
    assert found(documents, "year > 0") == [0, 1]
    assert found(documents, "year >= ''") == [2]
    assert found(documents, "tags in (y, z)") == [0]
    assert found(documents, "tags exists") == [0, 2]
    assert found(documents, "tags = null") == [2]
    assert found(documents, '{"tags": {"exists": false}}') == [1, 3, 4]
    assert found(documents, "a.b >= 2") == [1]
    assert found(documents, "a.b > 2 and a.b < 3") == [1]  # each by an element of its own
    assert found(documents, "{}") == [0, 1, 2, 3, 4]
    assert found(documents, '{"or": []}') == []


def test_facets_flatten_and_keep_each_value_once() -> None:
    metadata = {
        "a": [1, 1.0, True, None, "1", {"b": -0.0}],
        "n": {"m": {"k": "v"}},
        "e": [],
        "o": {},
    }
    assert sorted(facets(metadata), key=repr) == [
        ("a", 0, 0),
        ("a", 1, 1),
        ("a", 2, 1),
        ("a", 3, "1"),
        ("a.b", 2, 0),
        ("n.m.k", 3, "v"),
    ]
    ((_, _, zero),) = facets({"z": -0.0})
    assert str(zero) == "0"


def test_facets_of_odd_values() -> None:
    assert list(facets({"n": 2**63})) == [("n", 2, 2.0**63)]
    assert list(facets({"n": -(10**400)})) == [("n", 2, float("-inf"))]
    assert list(facets({"s": "a\ud800"})) == [("s", 3, "a\ufffd")]
    with pytest.raises(ClozeError, match=r"'d\.n' holds NaN"):
        list(facets({"d": {"n": float("nan")}}))
    with pytest.raises(ClozeError, match="'d' holds a bytes"):
        list(facets({"d": b""}))
    deep: Any = "x"
    for _ in range(50_000):
        deep = [deep]
    assert list(facets({"a": deep})) == [("a", 3, "x")]


@given(st.text(max_size=40))
def test_hostile_text_is_only_a_filter_error(text: str) -> None:
    try:
        parse(text)
    except FilterError as error:
        assert len(str(error).splitlines()) == 1


lexemes = st.sampled_from(
    "a b and or not in exists prefix ( ) , = == != < >= 1 -2.5e3 'x' \" ' \\".split()
)


@given(st.lists(lexemes, max_size=12).map(" ".join))
def test_shuffled_lexemes_are_a_filter_or_an_error(text: str) -> None:
    try:
        filter = parse(text)
    except FilterError:
        return
    assert parse(to_json(filter)) == filter


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["and", "or", "not", "a", "eq", "in"]), inner, max_size=3
            )
        ),
    )
)
def test_hostile_json_is_only_a_filter_error(content: object) -> None:
    try:
        filter = parse(content if isinstance(content, dict) else {"and": content})
    except FilterError:
        return
    assert parse(to_json(filter)) == filter


@pytest.mark.parametrize(
    "expression",
    [
        "(" * 100_000,
        "not " * 100_000 + "a = 1",
        "(" * 33 + "a = 1" + ")" * 33,
        '{"not": ' * 100_000,
        '{"not": ' * 33 + '{"a": {"eq": 1}}' + "}" * 33,
        '{"a": {"in": ' + "[" * 100_000,
        "[" * 100_000,
    ],
)
def test_deep_nesting_is_refused(expression: str) -> None:
    with pytest.raises(FilterError):
        parse(expression)


def test_a_mapping_within_itself_is_refused() -> None:
    endless: dict[str, Any] = {}
    endless["not"] = endless
    with pytest.raises(FilterError, match="deeper than 32"):
        parse(endless)


def test_the_deepest_filter_allowed_runs() -> None:
    text = "a = 1"
    for level in range(15):
        text = f"(not {text} or b = {level})" if level % 2 else f"not ({text} and b != {level})"
    filter = parse(text)
    with pytest.raises(FilterError, match="deeper"):
        parse(f"not not not not not not not not ({text})")
    documents: list[dict[str, Any]] = [{"a": 1, "b": b} for b in range(20)]
    expected = [n for n, metadata in enumerate(documents) if matches(filter, metadata)]
    assert found(documents, to_json(filter)) == expected


@pytest.mark.parametrize("word", ["and", "or"])
def test_the_widest_filter_allowed_runs(word: str) -> None:
    text = f" {word} ".join(f"a = {number}" for number in range(9_999))
    assert found([{"a": 9_998}, {"a": 9_999}], text) == ([0] if word == "or" else [])
    with pytest.raises(FilterError, match="more than 10000 conditions"):
        parse(f"{text} {word} a = 1")


def test_many_negations_are_taken_away() -> None:
    text = " and ".join(f"a != {number}" for number in range(4_000))
    assert found([{"a": 3_999}, {"a": 4_000}, {}], text) == [1, 2]


def test_long_lists_of_values() -> None:
    wanted = [*range(50_000), *(f"s{number}" for number in range(49_990)), 0.5, "n\0ul", -(2**63)]
    documents = [{"a": 49_999}, {"a": "s49989"}, {"a": 0.5}, {"a": "n\0ul"}, {"a": -(2**63)}]
    others = [{"a": 50_000}, {"a": "7"}, {"a": "n"}, {"a": True}]
    assert found([*documents, *others], {"a": {"in": wanted}}) == [0, 1, 2, 3, 4]
    with pytest.raises(FilterError, match="more than 100000 values"):
        parse({"a": {"in": [*wanted, *range(8)]}})
    with pytest.raises(FilterError, match="more than 100000 values"):
        parse(f"a in ({','.join(['1'] * 100_001)})")


def test_too_many_fractions_are_refused() -> None:
    fractions = [number + 0.5 for number in range(10_001)]
    assert found([{"a": 9_999.5}], {"a": {"in": fractions[:-1]}}) == [0]
    with pytest.raises(FilterError, match="more than 10000 numbers with a fraction"):
        found([{"a": 1}], {"a": {"in": fractions}})


def test_a_filter_too_long_to_read_is_refused() -> None:
    with pytest.raises(FilterError, match="10000001 characters"):
        parse(" " * 10_000_001)


# What a parser or SQLite may trip over, to be repeated and joined at random.
PIECES = st.sampled_from(
    "a b 'x' \" ' \\ \\u0000 \\ud800 \\q \0 \ud800 \U0010ffff \u2028 語 ( ) , = != < >= : . - / - "
    "not and or in prefix exists null 007 1e999 -.5e-9 9999999999999999999 2020-01- 2020-99-9 "
    '{ } [ ] {"a":{" "eq": "in":[ NaN Infinity ; DROP'.split(" ")
)


@given(
    st.lists(st.tuples(PIECES, st.sampled_from([1, 1, 1, 2, 40, 5_000])), max_size=12), st.data()
)
def test_hostile_filters_find_documents_or_are_an_error(
    pieces: list[tuple[str, int]], data: st.DataObject
) -> None:
    between = data.draw(st.sampled_from(["", " "]))
    text = between.join(piece * times for piece, times in pieces)
    store = Stored([EVERY_FIELD])
    for expression in (text, f"a = {text}", f"a in ({text})", f'{{"a": {text}}}', {"a": text}):
        try:
            assert store.matching(parse(expression), 2).tolist() in ([], [1])
        except FilterError as error:
            assert len(str(error).splitlines()) == 1 and len(str(error)) < 1_000


SIZE = 300_000


@pytest.mark.parametrize(
    "expression",
    [
        "a = " + "9" * SIZE + "x",
        "a = 1." + "9" * SIZE + "/",
        "a = 1e" + "9" * SIZE + "-",
        "a = " + "2020-01-" * SIZE,
        "a = '" + r"\\" * SIZE,
        "a = '" + r"\\'" * SIZE,
        "a = '" + r"\q" * SIZE + "'",
        " " * SIZE + "#",
        "a " + "prefix" * SIZE + " 1",
        "{" + "".join(f'"{n}": 1, ' for n in range(SIZE)) + '"z": 1, "z": 2}',
        '{"a": {"' + "eq" * SIZE + '": 1}}',
        '{"a": [' + "1, " * SIZE + "1]}",
        '{"a": ' + "9" * SIZE + "}",
    ],
    ids=lambda expression: expression[:12],
)
def test_long_filters_take_time_in_proportion(expression: str) -> None:
    with contextlib.suppress(FilterError):  # in quadratic time, each would take minutes
        tree = parse(expression)
        assert parse(to_json(tree)) == tree


@pytest.mark.parametrize("hostile", ["'; DROP TABLE facets; --", '" OR 1=1 --', "?", "a%", "\\"])
def test_injection_stays_a_value(hostile: str) -> None:
    documents = [{hostile: hostile}, {hostile: "other"}]
    assert found(documents, {hostile: {"eq": hostile}}) == [0]
    assert found(documents, {hostile: {"in": [hostile]}}) == [0]
    assert found(documents, {hostile: {"prefix": hostile[:1]}}) == [0]
    assert found(documents, {"not": {hostile: {"eq": hostile}}}) == [1]


@pytest.mark.parametrize(
    "text",
    ["a = 1", "a in (1, x, 0.5)", "a > 1", "a prefix 'x'", "a exists", "a = 1 and not a > 'b'"],
)
def test_nothing_but_an_index_is_read(text: str) -> None:
    store = Stored([{"a": 1}, {"a": 2}])
    asked: list[str] = []
    store._db.set_trace_callback(asked.append)
    store.matching(parse(text), 2)
    store._db.set_trace_callback(None)
    plans = [[row[3] for row in store._db.execute(f"EXPLAIN QUERY PLAN {sql}")] for sql in asked]
    steps = [step for plan in plans for step in plan]
    assert sum("SEARCH facets USING PRIMARY KEY (field=?" in step for step in steps) >= 2
    assert not any(re.match("SCAN (documents|facets|fields)", step) for step in steps)
