"""`/v1/search`: what it takes, what it asks the engine, what it answers."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from indexer.errors import ClozeError, DamagedIndexError, RequestError
from indexer.filters import Filter, parse
from search.api import conditions
from search.api.answers import encoded, results_json
from search.api.body import parse as parse_json
from search.api.errors import ApiError
from search.api.names import Names
from search.hits import Facets, FacetValue, Request
from search.service.errors import BusyError, LateError, StoppingError
from search.service.settings import Limits, ServiceSettings
from tests.search.api.stubs import HIT, StubService, results, stubbed

LIMITS = Limits(
    body=2_000, query=20, top=50, reach=100, batch=3, filter_depth=3, filter_terms=4,
    rerank_depth=30, facets=2, passages=5,
)  # fmt: skip
JSON = {"Content-Type": "application/json"}


SETTINGS = ServiceSettings(limits=LIMITS, rerank="/models/judge")


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[StubService, TestClient]]:
    with stubbed(SETTINGS) as both:
        yield both


@pytest.fixture
def service(shared: tuple[StubService, TestClient]) -> StubService:
    service = shared[0]
    service.settings, service.answer = SETTINGS, None
    service.calls.clear()
    return service


@pytest.fixture
def client(shared: tuple[StubService, TestClient], service: StubService) -> TestClient:
    return shared[1]


def asked(service: StubService) -> Request:
    """The engine's request of the last call."""
    request: Request = service.calls[-1][0]
    return request


def refusal(client: TestClient, body: object, status: int = 422) -> dict[str, Any]:
    answer = client.post("/v1/search", json=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    error: dict[str, Any] = answer.json()["error"]
    assert error.keys() == {"code", "message", "type", "param", "id"}
    assert error["id"] == answer.headers["x-request-id"]
    assert "\n" not in error["message"]
    return error


def test_a_query_is_answered_as_the_command_line_does(client: TestClient) -> None:
    answer = client.post("/v1/search", json={"query": "one"})
    expected = results(Request(query="one")).as_json()
    assert answer.status_code == 200
    assert answer.json() == json.loads(json.dumps(expected))
    assert list(answer.json()) == list(expected)
    assert list(answer.json()["hits"][0]) == list(expected["hits"][0])
    assert answer.json()["index_version"] == "7"


def test_what_was_asked_for_besides_is_there() -> None:
    hit = replace(HIT, duplicates=("x",))
    counts = Facets(counted=3, fields={"lang": (FacetValue(value="en", count=2),)})
    told = replace(results(Request(query="q")), hits=(hit,), facets=counts)
    assert json.loads(encoded(results_json(told))) == json.loads(json.dumps(told.as_json()))


def test_integers_beyond_64_bits_are_written() -> None:
    told = replace(results(Request(query="q")), hits=(replace(HIT, metadata={"n": 2**70}),))
    assert json.loads(encoded(results_json(told)))["hits"][0]["metadata"] == {"n": 2**70}


def test_several_queries_are_answered_in_order(client: TestClient, service: StubService) -> None:
    answer = client.post("/v1/search", json={"queries": ["b", "a"], "top": 3}).json()
    assert answer.keys() == {"results", "index_version"}
    assert [each["query"] for each in answer["results"]] == ["b", "a"]
    assert answer["index_version"] == "7"
    assert [each.top for each in service.calls[-1]] == [3, 3]


def test_a_long_answer_is_the_same(client: TestClient, service: StubService) -> None:
    long = replace(results(Request(query="a")), hits=(HIT,) * 150)
    service.answer = lambda call: [long]
    answer = client.post("/v1/search", json={"query": "a"}).json()
    assert answer == json.loads(json.dumps(long.as_json()))


def test_a_list_of_one_query_is_answered_with_a_list(client: TestClient) -> None:
    assert len(client.post("/v1/search", json={"queries": ["a"]}).json()["results"]) == 1


OPTIONS: dict[str, Any] = {
    "top": 5, "offset": 2, "mode": "hybrid", "fusion": "rrf", "weight": 1, "depth": 20,
    "filter": "year >= 2000", "passages": 2, "count": True, "rerank_depth": 7,
    "rerank_weight": 0.25, "highlight": False, "explain": True, "facets": ["lang", "year"],
    "collapse": True,
}  # fmt: skip


def test_every_option_reaches_the_engine(client: TestClient, service: StubService) -> None:
    assert client.post("/v1/search", json={"query": "q", **OPTIONS}).status_code == 200
    assert asked(service) == Request(
        query="q", **{**OPTIONS, "filter": parse("year >= 2000"), "facets": ("lang", "year")}
    )


def test_a_url_asks_the_same(client: TestClient, service: StubService) -> None:
    text = {**OPTIONS, "facets": "lang, year", "count": "true", "highlight": "0", "explain": "1"}
    text["collapse"] = "true"
    assert client.get("/v1/search", params={"q": "q", **text}).status_code == 200
    by_url = asked(service)
    client.post("/v1/search", json={"query": "q", **OPTIONS})
    assert by_url == asked(service)


def test_nothing_said_is_the_index_own(client: TestClient, service: StubService) -> None:
    client.post("/v1/search", json={"query": "q"})
    assert asked(service) == Request(query="q")
    client.get("/v1/search?q=")
    assert asked(service) == Request(query="")


@pytest.mark.parametrize(
    ("wanted", "engine"),
    [
        (True, "/models/judge"), ("cross-encoder", "/models/judge"), (False, "none"),
        ("none", "none"), ("late", "late"), (None, None),
    ],
)  # fmt: skip
def test_a_reranker_is_named_by_what_it_is(
    client: TestClient, service: StubService, wanted: object, engine: str | None
) -> None:
    assert client.post("/v1/search", json={"query": "q", "rerank": wanted}).status_code == 200
    assert asked(service).rerank == engine


@pytest.mark.parametrize("name", ["/models/judge", "/etc", "org/model", "", "true"])
def test_no_checkpoint_is_taken_from_a_request(client: TestClient, name: str) -> None:
    error = refusal(client, {"query": "q", "rerank": name})
    assert error["param"] == "rerank"
    assert "'none', 'late' or 'cross-encoder'" in error["message"]


@pytest.mark.parametrize(("served", "wanted"), [(None, True), ("late", "cross-encoder")])
def test_a_reranker_that_is_not_there(
    client: TestClient, service: StubService, served: str | None, wanted: object
) -> None:
    service.settings = replace(service.settings, rerank=served)
    error = refusal(client, {"query": "q", "rerank": wanted})
    assert "start it with --rerank MODEL" in error["message"]
    assert error["param"] == "rerank"


@pytest.mark.parametrize(
    ("body", "message", "code", "param"),
    [
        ({}, "query is missing", "missing_field", "query"),
        ({"query": "a", "queries": ["b"]}, "there are both query and queries; give one of them",
         "invalid_request", "queries"),
        ({"queries": []}, "queries is a list; it must be not empty", "invalid_value", "queries"),
        ({"query": None}, "query is missing", "missing_field", "query"),
        ({"query": 5}, "query is 5; it must be a string", "invalid_value", "query"),
        ({"queries": ["a", 5]}, "queries[1] is 5; it must be a string", "invalid_value",
         "queries[1]"),
        ({"query": "a", "topp": 5}, "there is no field 'topp'; did you mean top?", "unknown_field",
         "topp"),
        ({"query": "a", "top": "5"}, "top is '5'; it must be a whole number", "invalid_value",
         "top"),
        ({"query": "a", "top": 5.5}, "top is 5.5; it must be a whole number", "invalid_value",
         "top"),
        ({"query": "a", "top": True}, "top is true; it must be a whole number", "invalid_value",
         "top"),
        ({"query": "a", "top": -1}, "top is -1; it must be 0 or more", "invalid_value", "top"),
        ({"query": "a", "top": None}, "top is null; it must be a whole number", "invalid_value",
         "top"),
        ({"query": "a", "mode": "hybird"},
         "mode is 'hybird'; it must be 'hybrid', 'dense' or 'lexical'", "invalid_value", "mode"),
        ({"query": "a", "weight": 1.5}, "weight is 1.5; it must be 1 or less", "invalid_value",
         "weight"),
        ({"query": "a", "count": 1}, "count is 1; it must be true or false", "invalid_value",
         "count"),
        ({"query": "a", "filter": 5}, "filter is 5; it must be a string or an object",
         "invalid_value", "filter"),
        ({"query": "a", "facets": "lang"}, "facets is 'lang'; it must be a list", "invalid_value",
         "facets"),
        (["a"], "the body must be a JSON object", "invalid_request", None),
        ("a", "the body must be a JSON object", "invalid_request", None),
    ],
)  # fmt: skip
def test_a_mistake_is_told_in_a_sentence(
    client: TestClient, service: StubService, body: object, message: str, code: str, param: str
) -> None:
    error = refusal(client, body)
    assert (error["message"], error["code"], error["param"]) == (message, code, param)
    assert service.calls == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"query": "a" * 21}, "query has 21 characters; at most 20 (--max-query)"),
        ({"queries": ["a"] * 4}, "queries has 4 queries; at most 3 (--max-batch)"),
        ({"query": "a", "top": 51}, "top is 51; at most 50 (--max-top)"),
        ({"query": "a", "top": 50, "offset": 51},
         "offset has 101 hits before the page's end; at most 100 (--max-reach)"),
        ({"queries": ["a"] * 3, "top": 34},
         "queries has 102 hits in all; at most 100 (--max-reach)"),
        ({"query": "a", "depth": 101}, "depth is 101; at most 100 (--max-reach)"),
        ({"query": "a", "passages": 6}, "passages is 6; at most 5 (--max-passages)"),
        ({"query": "a", "rerank": True, "rerank_depth": 31},
         "rerank_depth is 31; at most 30 (--max-rerank-depth)"),
        ({"query": "a", "facets": ["a", "b", "c"]},
         "facets has 3 fields; at most 2 (--max-facets)"),
        ({"query": "a", "filter": "not (not (not (a = 1)))"},
         "filter has 4 nested levels; at most 3 (--max-filter-depth)"),
        ({"query": "a", "filter": {"a": {"in": [1, 2, 3]}, "b": 1, "c": 2}},
         "filter has 5 conditions and values; at most 4 (--max-filter-terms)"),
        ({"query": "a", "top": 10**9}, "top is 1,000,000,000; at most 50 (--max-top)"),
    ],
)  # fmt: skip
def test_a_limit_is_named_with_its_flag(
    client: TestClient, body: Mapping[str, Any], message: str
) -> None:
    error = refusal(client, body)
    assert (error["code"], error["message"]) == ("limit_exceeded", message)


def test_at_its_limits_everything_is_taken(client: TestClient) -> None:
    body = {
        "queries": ["a" * 20] * 2, "top": 50, "offset": 50, "depth": 100, "passages": 5,
        "rerank": True, "rerank_depth": 30, "facets": ["a", "b"],
        "filter": {"and": [{"not": {"a": 1}}, {"b": {"in": [1, 2, 3]}}]},
    }  # fmt: skip
    assert client.post("/v1/search", json=body).status_code == 200


@pytest.mark.parametrize(
    ("query_string", "status", "message"),
    [
        ("", 422, "q is missing"),
        ("query=a", 422, "q is missing"),
        ("q=a&query=b", 422, "there is no field 'query'; did you mean q?"),
        ("q=a&q=b", 422, "q is there twice; give it once"),
        ("q=a&top=5.0", 422, "top is '5.0'; it must be a whole number"),
        ("q=a&top=1_0", 422, "top is '1_0'; it must be a whole number"),
        ("q=a&top=٣", 422, "top is '٣'; it must be a whole number"),
        ("q=a&top=99999999999999999999", 422,
         "top is '99999999999999999999'; it must be a whole number"),
        ("q=a&weight=nan", 422, "weight is nan; it must be a finite number"),
        ("q=a&weight=heavy", 422, "weight is 'heavy'; it must be a number"),
        ("q=a&explain=maybe", 422, "explain is 'maybe'; it must be true or false"),
        ("q=a&limit=5", 422, None),
        ("q=%FF", 400, "the URL's parameters are not UTF-8"),
        ("&".join(f"a{n}=1" for n in range(70)), 422, "the URL has more than 64 parameters"),
    ],
)  # fmt: skip
def test_a_url_is_read_strictly(
    client: TestClient, query_string: str, status: int, message: str | None
) -> None:
    answer = client.get(f"/v1/search?{query_string}")
    assert answer.status_code == status
    assert message in (None, answer.json()["error"]["message"])


def test_a_url_calls_its_query_q(client: TestClient) -> None:
    error = client.get(f"/v1/search?q={'a' * 21}").json()["error"]
    assert error["message"] == "q has 21 characters; at most 20 (--max-query)"
    assert error["param"] == "q"
    unknown = client.get("/v1/search?q=a&zzzzzz=5").json()["error"]["message"]
    assert unknown.endswith(" q") and "query" not in unknown


@pytest.mark.parametrize(("words", "inline"), [(10, True), (400, False)])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_long_filter_is_read_beside_the_loop(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, method: str, words: int, inline: bool
) -> None:
    found = []

    def parse_there(value: str) -> Filter:
        found.append(in_loop())
        return parse(value)

    monkeypatch.setattr(conditions, "parse", parse_there)
    text = "a = " + "x" * words * 4
    if method == "GET":
        answer = client.get("/v1/search", params={"q": "a", "filter": text})
    else:
        answer = client.post("/v1/search", json={"query": "a", "filter": text})
    assert (answer.status_code, found) == (200, [inline])


def in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def test_a_filter_without_end_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    longest = "a = " + "x" * (65_536 - 4)
    assert conditions.read_filter(longest, LIMITS) == parse(longest)
    monkeypatch.delattr(conditions, "parse")
    with pytest.raises(ApiError, match=r"filter has 65,537 characters; at most 65,536") as told:
        conditions.read_filter(longest + "x", LIMITS)
    assert (told.value.code, told.value.param) == ("limit_exceeded", "filter")


@pytest.mark.parametrize(
    "number", [2**64 - 1, 2**64, 2**70, -(2**63), -(2**63) - 1, -(10**19) + 1, 10**300]
)
def test_integers_are_read_exactly(number: int) -> None:
    text = json.dumps({"n": [number], "text": "1" * 30, "float": 0.1}).encode()
    read = parse_json(text)
    assert read == {"n": [number], "text": "1" * 30, "float": 0.1}
    assert type(read["n"][0]) is int


def test_a_filter_in_a_url_may_be_json(client: TestClient, service: StubService) -> None:
    client.get("/v1/search", params={"q": "a", "filter": '{"year": {"gte": 2000}}'})
    assert asked(service).filter == parse("year >= 2000")


@pytest.mark.parametrize("text", ["year >>", "and", "(((", "a = ", '{"a": {"near": 1}}'])
def test_a_filter_that_is_none(client: TestClient, text: str) -> None:
    error = refusal(client, {"query": "a", "filter": text})
    assert (error["code"], error["param"]) == ("invalid_filter", "filter")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the body is empty"),
        (b"  \n", "the body is empty"),
        (b"{", "the body is not JSON"),
        (b'{"query": NaN}', "the body is not JSON"),
        (b'{"query": "a", "weight": Infinity}', "the body is not JSON"),
        (b'{"query": "\xff"}', "the body is not JSON"),
        (b'{"query": "\\ud800"}', "the body is not JSON"),
        (b'{"query": "a"} {}', "the body is not JSON"),
        (b'{"a":' * 600 + b"1" + b"}" * 600, "the body has 3,601 bytes"),
        (b"[" * 500 + b"]" * 500, "the body is nested deeper than 128 levels"),
        (b"[" * 990 + b"]" * 990, "the body is nested deeper than 128 levels"),
    ],
)
def test_what_is_no_json(client: TestClient, content: bytes, message: str) -> None:
    answer = client.post("/v1/search", content=content, headers=JSON)
    assert answer.status_code == (413 if "bytes" in message else 400)
    assert answer.json()["error"]["message"].startswith(message)


def test_as_deep_as_may_be(client: TestClient) -> None:
    body = b'{"query":' + b"[" * 127 + b"]" * 127 + b"}"
    assert client.post("/v1/search", content=body, headers=JSON).status_code == 422


@pytest.mark.parametrize("chunked", [True, False])
def test_a_large_body_is_refused(client: TestClient, service: StubService, chunked: bool) -> None:
    body = json.dumps({"query": "a" * 3_000}).encode()
    answer = client.post("/v1/search", content=iter([body]) if chunked else body, headers=JSON)
    assert answer.status_code == 413
    assert answer.json()["error"]["message"] == (
        f"the body has {len(body):,} bytes or more; at most 2,000 (--max-body)"
    )
    assert service.calls == []


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (BusyError("all places are taken", 2.4), 429, "overloaded"),
        (LateError("too late"), 504, "timeout"),
        (StoppingError("stopping"), 503, "unavailable"),
        (DamagedIndexError("/secret/place/docs/store.sqlite is damaged"), 500, "internal_error"),
        (RuntimeError("at /secret/place"), 500, "internal_error"),
        (ClozeError("there is no folder /secret/place; name a checkpoint"), 500, "internal_error"),
        (RequestError("the index /secret/place/docs has no vectors"), 422, "invalid_request"),
    ],
)
def test_what_the_service_refuses(
    client: TestClient, service: StubService, error: Exception, status: int, code: str
) -> None:
    service.answer = lambda call: error
    told = refusal(client, {"query": "a"}, status)
    assert told["code"] == code
    assert "/secret" not in told["message"]


def test_a_busy_service_tells_when_to_come_again(client: TestClient, service: StubService) -> None:
    service.answer = lambda call: BusyError("all places are taken", 2.4)
    assert client.post("/v1/search", json={"query": "a"}).headers["retry-after"] == "3"


def test_the_index_goes_by_its_name(client: TestClient, service: StubService) -> None:
    error = RequestError("/secret/place/docs was built with --lexical-only", param="mode")
    service.answer = lambda call: [error]
    told = refusal(client, {"query": "a"})
    assert (told["message"], told["param"]) == ("docs was built with --lexical-only", "mode")


def test_what_clients_wrote_is_told_as_it_is(client: TestClient, service: StubService) -> None:
    service.answer = lambda call: [RequestError("there is no field '/etc/passwd' nor /usr/bin/x")]
    told = refusal(client, {"query": "a"})
    assert told["message"] == "there is no field '/etc/passwd' nor /usr/bin/x"


def test_folders_of_this_machine_go_by_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOZE_HOME", str(tmp_path / "caches"))
    names = Names.of(tmp_path / "index", tmp_path).beside(tmp_path / "index" / "model")
    told = names.hide(f"{tmp_path}/index/model/a, {tmp_path}/index/b, {tmp_path}/caches/c, /d/e")
    assert told == "model/a, index/b, caches/c, /d/e"


def test_one_bad_query_of_several_is_named(client: TestClient, service: StubService) -> None:
    good = results(Request(query="a"))
    service.answer = lambda call: [good, RequestError("bad"), good]
    error = refusal(client, {"queries": ["a", "b", "c"]})
    assert (error["message"], error["param"]) == ("query 2 of 3: bad", "queries[1]")


@pytest.mark.parametrize("error", [DamagedIndexError("x is damaged"), ClozeError("x is gone")])
def test_what_is_no_fault_of_one_query(
    client: TestClient, service: StubService, caplog: pytest.LogCaptureFixture, error: ClozeError
) -> None:
    service.answer = lambda call: [error, results(Request(query="b"))]
    told = refusal(client, {"queries": ["a", "b"]}, 500)
    assert told["code"] == "internal_error"
    assert str(error) not in told["message"]
    assert caplog.messages == [f"request {told['id']}: {error}"]


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
VALUES = st.recursive(
    SCALARS, lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(), each, max_size=3)
)


@settings(max_examples=40)
@given(
    body=st.dictionaries(
        st.sampled_from([*OPTIONS, "query", "queries", "rerank"]) | st.text(), VALUES, max_size=4
    )
)
def test_any_object_is_answered_or_refused(client: TestClient, body: dict[str, Any]) -> None:
    answer = client.post("/v1/search", json=body)
    assert answer.status_code in (200, 400, 413, 422)
    assert ("error" in answer.json()) == (answer.status_code != 200)


def test_a_default_beyond_a_limit_is_within_it(client: TestClient, service: StubService) -> None:
    service.settings = replace(SETTINGS, limits=replace(LIMITS, top=4))
    assert client.post("/v1/search", json={"query": "a"}).status_code == 200
    assert asked(service).top == 4
    assert "top is 5" in refusal(client, {"query": "a", "top": 5})["message"]
