"""The page's files as they are served: types, caching, and a policy that nothing in them breaks."""

import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

import search.web
from search.api.page import POLICY

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FOLDER = Path(str(files(search.web)))
NAMES = sorted(each.name for each in FOLDER.iterdir() if each.suffix in (".css", ".js"))
TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}


@pytest.fixture(scope="module")
def client(service: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service) as client:
        yield client


@pytest.mark.parametrize("name", NAMES)
def test_every_style_and_module_comes_as_it_is_in_the_package(
    client: httpx.Client, name: str
) -> None:
    answer = client.get(f"/assets/{name}")
    assert answer.status_code == 200
    assert answer.content == (FOLDER / name).read_bytes()
    assert answer.headers["content-type"] == TYPES[Path(name).suffix]


def test_the_page_comes_with_a_policy_and_without_cookies(client: httpx.Client) -> None:
    answer = client.get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.content == (FOLDER / "index.html").read_bytes()
    assert answer.headers.get_list("content-security-policy") == [POLICY]
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
    assert answer.headers.get_list("referrer-policy") == ["no-referrer"]
    assert "set-cookie" not in answer.headers


def test_no_string_becomes_markup_or_a_script(browser: "Browser", service: str) -> None:
    page = browser.new_page()
    page.goto(service)
    for attempt in (
        "document.body.innerHTML = '<b>bold</b>'",
        "document.createElement('script').text = 'document.title = 1'",
        "trustedTypes.createPolicy('mine', { createHTML: (text) => text })",
    ):
        refused = page.evaluate(
            f"() => {{ try {{ {attempt}; return null; }} catch (error) {{ return error.name; }} }}"
        )
        assert refused == "TypeError", attempt
    page.close()


@pytest.mark.parametrize("path", ["/", "/assets/main.js"])
def test_a_file_that_is_known_is_not_sent_again(client: httpx.Client, path: str) -> None:
    etag = client.get(path).headers["etag"]
    assert re.fullmatch(r'"[0-9a-f]{32}"', etag)
    for condition in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        answer = client.get(path, headers={"If-None-Match": condition})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == etag
    assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    "name", ["none.js", "index.html", "__init__.py", "..%2fapp.py", "%2e%2e%2f__init__.py", ""]
)
def test_nothing_else_of_the_package_can_be_had(client: httpx.Client, name: str) -> None:
    answer = client.get(f"/assets/{name}")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


def test_the_page_has_nothing_inline_and_names_nobody_else() -> None:
    page = (FOLDER / "index.html").read_text()
    scripts = re.findall(r"<script\b([^>]*)>(.*?)</script>", page, re.DOTALL)
    assert scripts
    for attributes, content in scripts:
        assert "src=" in attributes and content == ""
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page)
    # The name of a language of drawings, which nobody is asked for.
    known = "http://www.w3.org/2000/svg"
    for name in [*NAMES, "index.html"]:
        text = (FOLDER / name).read_text().replace(known, "")
        assert not re.search(r"https?://|//cdn|url\(['\"]?//", text), name
        assert "innerHTML" not in text and "outerHTML" not in text, name


def test_every_file_is_short_and_used() -> None:
    texts = {name: (FOLDER / name).read_text() for name in [*NAMES, "index.html"]}
    assert {name for name, text in texts.items() if text.count("\n") > 250} == set()
    named = {
        found
        for text in texts.values()
        for found in re.findall(r'(?:assets/|from "\./)([\w.]+)"', text)
    }
    assert named == set(NAMES)
