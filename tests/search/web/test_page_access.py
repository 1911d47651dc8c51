"""Whom the page is for: screen readers (axe), phones, and people who choose light or dark."""

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.search.web.visits import PATIENCE_MS, Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser

QUERY = "?q=supersonic+ship+under+water"
VIEWS = {
    "start": "",
    "hits": f"{QUERY}&f.lang=en",
    "compare": f"{QUERY}&compare=lexical,dense",
    "document": f"{QUERY}&doc=evil%2F..%2Fid%3F%26%23%25",
    "nothing": "?q=xylophone&mode=lexical",
}
PHONE = {"width": 360, "height": 740}

_TOO_WIDE = """() => [document.documentElement, document.getElementById("pane")].map(
  ({ scrollWidth, clientWidth }) => scrollWidth - clientWidth)"""
_RIGHTMOST = """() => {
  const seen = [...document.querySelectorAll("body *")].filter(
    (each) => each.checkVisibility() && !each.closest(".unseen"));
  return Math.max(...seen.map((each) => each.getBoundingClientRect().right));
}"""
_VIOLATIONS = """async ([include, options]) => (
  await axe.run({ include }, { ...options, resultTypes: ["violations"] })).violations"""
_STOP = """() => {
  const focused = document.activeElement;
  const { left, top, height } = focused.getBoundingClientRect();
  return [focused.name || focused.id || focused.dataset.key || "home", top + height / 2, left];
}"""
_OUTLINE = """() => {
  const focused = document.activeElement;
  const label = focused.parentElement.querySelector(":focus-visible + span");
  const { outlineStyle, boxShadow } = getComputedStyle(label ?? focused);
  return [focused.outerHTML.slice(0, 80), outlineStyle === "solid" || boxShadow !== "none"];
}"""


def settled(page: Page, view: str) -> None:
    """Wait until a view shows what it is for."""
    shown = {
        "start": ".about", "hits": "#hits a.open", "compare": ".lines path",
        "document": "#text .passage", "nothing": ".nothing",
    }  # fmt: skip
    expect(page.locator(shown[view]).first).to_be_visible()


@pytest.fixture(scope="module")
def shown(browser: "Browser", service: str) -> Iterator[Page]:
    """A page that does not move, for one view after the other."""
    page = browser.new_page(locale="en-US", reduced_motion="reduce")
    page.set_default_timeout(PATIENCE_MS)
    yield page
    page.close()


@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing_serious(shown: Page, service: str, view: str) -> None:
    shown.emulate_media(color_scheme="light")
    shown.goto(f"{service}/{VIEWS[view]}")
    settled(shown, view)
    if view == "document":
        shown.locator("#explain").click()
        expect(shown.locator("#explanation table").first).to_be_visible()
    shown.evaluate(Axe().axe_script)
    # What surrounds a view is the same in all.
    parts = ["html"] if view == "start" else ["main", "dialog"]
    found: list[dict[str, Any]] = shown.evaluate(_VIOLATIONS, [parts, {}])
    # Light and dark differ in nothing but colours.
    shown.emulate_media(color_scheme="dark")
    found += shown.evaluate(_VIOLATIONS, [parts, {"runOnly": ["color-contrast"]}])
    serious = [
        (each["id"], node["html"])
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]
    assert serious == []


def test_a_phone_never_scrolls_sideways(visit: Visitor, service: str) -> None:
    phone = visit(service, viewport=PHONE, has_touch=True, is_mobile=True)
    for view, address in VIEWS.items():
        page = phone.open(address).page
        settled(page, view)
        if view == "hits":
            page.locator("#facets summary").click()
            expect(page.locator("button.value").first).to_be_visible()
        assert page.evaluate(_TOO_WIDE) == [0, 0], view
        assert page.evaluate(_RIGHTMOST) <= PHONE["width"] + 1, view


def test_very_long_words_break(visit: Visitor, service: str) -> None:
    page = visit(service, viewport=PHONE).open("?q=lake&doc=long").page
    expect(page.locator("#text .passage")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#hits a.open").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def test_results_are_announced_and_focus_is_seen(visit: Visitor, service: str) -> None:
    page = visit(service).open(QUERY).page
    expect(page.locator("#announcer")).to_have_text("10 hits")
    expect(page.locator("#announcer")).to_have_attribute("role", "status")
    for _ in range(14):
        page.keyboard.press("Tab")
        focused, seen = page.evaluate(_OUTLINE)
        assert seen, focused


def test_the_page_has_one_heading_of_the_first_rank(visit: Visitor, service: str) -> None:
    heading = visit(service).open().page.get_by_role("heading", level=1)
    expect(heading).to_have_text("cloze")
    expect(heading.locator("a")).to_have_attribute("href", "./")


def test_the_tab_key_goes_as_the_eye_does(visit: Visitor, service: str) -> None:
    page = visit(service, reduced_motion="reduce").open().page
    wide = ["home", "query", "language", "theme", "mode", "rerank", "compare"]
    narrow = ["home", "language", "theme", "query", "mode", "compare", "rerank"]
    for order, width in ((wide, 1280), (narrow, 390), (wide, 1000)):
        page.set_viewport_size({"width": width, "height": 800})
        page.locator(".skip").focus()
        stops = []
        for _ in order:
            page.keyboard.press("Tab")
            stops.append(page.evaluate(_STOP))
        assert [name for name, *_ in stops] == order
        for (_, above, left), (name, below, right) in pairwise(stops):
            same_line = abs(above - below) < 20
            assert left < right if same_line else above < below, name
