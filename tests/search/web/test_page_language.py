"""Words in either language: all change when it does, and the server's are told to be English."""

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.search.web.visits import Visit, Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Route

REFUSED = {"error": {"code": "unauthorized", "message": "give a key"}}


@pytest.fixture
def home(visit: Visitor, service: str) -> Visit:
    return visit(service, failures=True)


@pytest.mark.parametrize("path", ["search", "index"])
def test_a_line_of_trouble_is_told_in_the_other_language(home: Visit, path: str) -> None:
    home.page.route(f"**/v1/{path}", lambda route: route.abort())
    page = home.open("?q=ship").page
    trouble = page.locator("#trouble")
    expect(trouble).to_contain_text("The server does not answer.")
    page.locator("#language").click()
    expect(trouble.locator("p")).to_have_text("服务器没有响应，正在重试。")
    expect(trouble.locator("button")).to_have_text("立即重试")
    expect(trouble.locator("[lang]")).to_have_count(0)


def test_the_key_is_asked_for_in_the_other_language_and_what_is_typed_stays(home: Visit) -> None:
    home.page.route("**/v1/index", lambda route: route.fulfill(status=401, json=REFUSED))
    page = home.open().page
    page.locator("#key").fill("half a k")
    page.locator("#language").click()
    expect(page.locator("#key")).to_have_accessible_name("密钥")
    expect(page.locator("#key")).to_have_accessible_description(
        "此服务器需要密钥。 密钥保留到关闭此标签页为止。"
    )
    expect(page.locator("#key")).to_have_value("half a k")
    # A live region would be read out whole at every change of the form.
    expect(page.locator("[role=status] #key")).to_have_count(0)


def test_a_document_that_waited_for_a_key_is_in_the_other_language(home: Visit) -> None:
    page = home.open("?q=ship").page
    page.locator("#hits a.open").first.click()
    expect(page.locator("#place")).to_have_text("Hit 1 of 10")
    expect(page.locator("#text .passage")).to_be_visible()
    page.route("**/v1/search", lambda route: route.fulfill(status=401, json=REFUSED))
    page.locator("#explain").click()
    expect(page.locator("#key")).to_be_focused()
    page.unroute("**/v1/search")
    page.locator("#language").click()
    page.locator("#key").fill("a-key")
    page.keyboard.press("Enter")
    expect(page.locator("#place")).to_have_text("第 1 条，共 10 条")


def test_what_screen_readers_hear_changes_too(home: Visit) -> None:
    page = home.open("?q=ship").page
    expect(page.locator("#announcer")).to_have_text("10 hits")
    page.locator("#language").click()
    expect(page.locator("#announcer")).to_have_text("10 条结果")


def test_the_servers_sentences_are_english_on_a_chinese_page(visit: Visitor, service: str) -> None:
    def noticed(route: "Route") -> None:
        answer = route.fetch()
        route.fulfill(json=answer.json() | {"notices": ["a word was left out"]})

    home = visit(service, locale="zh-CN", failures=True)
    page = home.page
    page.route("**/v1/search", noticed)
    home.open("?q=ship&doc=nowhere")
    expect(page.locator("#document-trouble [lang=en]")).to_contain_text("nowhere")
    page.keyboard.press("Escape")
    expect(page.locator(".notice[lang=en]")).to_have_text("a word was left out")
    page.unroute("**/v1/search")
    home.type("ship " * 2_000)
    expect(page.locator("#trouble [lang=en]")).to_contain_text("at most 8,192")
    busy = {"error": {"code": "overloaded", "message": "Too many."}}
    page.route("**/v1/search", lambda route: route.fulfill(status=429, json=busy))
    home.type("ship")
    expect(page.locator("#trouble [lang=en]")).to_have_text("Too many.")
    expect(page.locator("#trouble p")).to_have_text("Too many. 正在重试。")
