"""What the page makes of a server that refuses, dies and returns, and of an empty index."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from indexer.creation import Settings
from search.api.keys import read_keys
from search.api.settings import ApiSettings
from search.index import Index
from search.service.service import Service
from search.service.settings import ServiceSettings
from tests.search.web.served import Served
from tests.search.web.visits import Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Route

KEY = "a-key-of-this-tab-0123456789abcdef"


@pytest.fixture
def words(tmp_path: Path) -> Iterator[Service]:
    """A service of words alone, without documents."""
    Index.open(tmp_path / "words", Settings(lexical_only=True)).close()
    service = Service(tmp_path / "words", ServiceSettings())
    service.start()
    yield service
    service.close(10)


def test_an_empty_index_says_so_and_is_no_longer_when_it_is_filled(
    words: Service, visit: Visitor
) -> None:
    with Served(words) as served:
        empty = visit(served.base)
        page = empty.page
        empty.own_clock()
        empty.open()
        expect(page.locator("#message")).to_contain_text("no documents yet")
        # There is one way to search such an index, so there is nothing to choose.
        expect(page.locator("#settings > *")).to_have_count(0)
        empty.type("ship")
        expect(page.locator("#message")).to_contain_text("no documents yet")
        body = {"documents": [{"id": "d1", "title": "A ship", "text": "It has come."}]}
        assert page.request.put(f"{served.base}/v1/documents", data=body).ok
        page.clock.fast_forward(11_000)
        with page.expect_response("**/v1/index"):
            empty.type("a ship")
        expect(page.locator("#hits a.open")).to_have_text(["A ship"])
        page.keyboard.press("Escape")
        expect(page.locator("#message")).to_contain_text("1 document")


def test_a_server_that_dies_is_waited_for_and_its_results_come_back(
    harbour: Service, visit: Visitor
) -> None:
    with Served(harbour) as served:
        home = visit(served.base, failures=True)
        page = home.page
        home.own_clock()
        home.open()
        home.type("ship")
        expect(page.locator("#hits a.open")).to_have_count(10)
        served.down()
        page.locator("#query").fill("laminar glass")
        expect(page.locator("#trouble")).to_contain_text("The server does not answer.")
        expect(page.locator("#results")).to_have_attribute("aria-busy", "true")
        expect(page.locator("#hits a.open")).to_have_count(10)
        served.up()
        page.clock.fast_forward(15_000)
        expect(page.locator("#hits a.open").first).to_contain_text("Boats")
        expect(page.locator("#trouble")).to_be_empty()
        expect(page.locator("#announcer")).to_contain_text("The server answers again.")
        served.down()
        page.locator("#hits a.open").first.click()
        expect(page.locator("#document-trouble")).to_contain_text("The server does not answer.")
        served.up()
        page.clock.fast_forward(15_000)
        expect(page.locator("#text")).to_contain_text("laminar flow")
        expect(page.locator("#document-trouble")).to_be_empty()


def test_waiting_grows_longer_and_ends_at_once_by_the_button(visit: Visitor, service: str) -> None:
    home = visit(service, failures=True).open()
    page, asked = home.page, home.searches
    home.stop_the_clock()
    page.route("**/v1/search", lambda route: route.abort())
    page.locator("#query").fill("ship")
    with page.expect_event("requestfailed"):
        page.clock.run_for(120)
    first = "(window.first ??= document.querySelector('#trouble > *'))"
    for seconds in (1, 2, 4, 8, 15, 15):
        expect(page.locator("#trouble button")).to_be_visible()
        page.evaluate(f"{first}.id")
        before = len(asked)
        page.clock.run_for(seconds * 1000 - 50)
        assert len(asked) == before
        page.locator("#trouble button").focus()
        with page.expect_event("requestfailed"):
            page.clock.run_for(50)
        assert len(asked) == before + 1
        # What is told again as it was would be read out again, and take the focus away.
        expect(page.locator("#trouble button")).to_be_focused()
        assert page.evaluate(f"{first} === document.querySelector('#trouble > *')")
    page.unroute("**/v1/search")
    with home.answered():
        page.locator("#trouble button").click()
    expect(page.locator("#hits a.open")).to_have_count(10)
    expect(page.locator("#trouble")).to_be_empty()


def test_a_refused_query_is_the_servers_sentence(visit: Visitor, service: str) -> None:
    home = visit(service, failures=True).open()
    home.type("ship")
    home.type("ship " * 2_000)
    expect(home.page.locator("#trouble")).to_contain_text("at most 8,192")
    expect(home.page.locator("#hits a.open")).to_have_count(0)
    assert home.page.locator("#trouble button").count() == 0
    home.type("ship")
    expect(home.page.locator("#trouble")).to_be_empty()
    expect(home.page.locator("#hits a.open")).to_have_count(10)


def test_a_busy_server_is_asked_again_when_it_says(visit: Visitor, service: str) -> None:
    home = visit(service, failures=True).open()
    sentence = "32 searches are in flight; come again"
    answers = [429]

    def busy_once(route: "Route") -> None:
        if answers:
            body = {"error": {"code": "overloaded", "message": sentence}}
            route.fulfill(status=answers.pop(), json=body, headers={"Retry-After": "7"})
        else:
            route.continue_()

    home.stop_the_clock()
    home.page.route("**/v1/search", busy_once)
    home.page.locator("#query").fill("ship")
    with home.answered():
        home.page.clock.run_for(120)
    expect(home.page.locator("#trouble")).to_contain_text(f"{sentence} Trying again.")
    home.page.clock.run_for(6_900)
    assert len(home.searches) == 1
    with home.answered():
        home.page.clock.run_for(100)
    expect(home.page.locator("#hits a.open")).to_have_count(10)


def test_a_key_is_asked_for_and_kept_in_the_tab(harbour: Service, visit: Visitor) -> None:
    keys = read_keys(None, f"read:{KEY}")
    with Served(harbour, ApiSettings(keys=keys, access_log=False)) as served:
        home = visit(served.base, failures=True).open("?q=ship")
        page = home.page
        expect(page.locator("#key-place")).to_contain_text("asks for a key")
        expect(page.locator("#key")).to_be_focused()
        for key, outcome in (("wrong-key", "does not take this key"), (KEY, "")):
            page.locator("#key").fill(key)
            page.keyboard.press("Enter")
            if outcome:
                expect(page.locator("#key-place")).to_contain_text(outcome)
        expect(page.locator("#hits a.open")).to_have_count(10)
        expect(page.locator("#trouble")).to_be_empty()
        page.reload()
        expect(page.locator("#hits a.open")).to_have_count(10)
        assert page.evaluate("[localStorage.length, sessionStorage.length]") == [0, 1]
        assert page.context.cookies() == []
