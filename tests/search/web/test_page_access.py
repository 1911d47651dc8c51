"""Whom the page is for: screen readers (axe), phones, and people who choose light or dark."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.search.web.visits import Visitor

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


@pytest.mark.parametrize(
    ("view", "scheme"),
    [*((view, "light") for view in VIEWS), ("hits", "dark"), ("compare", "dark"),
     ("document", "dark")],
)  # fmt: skip
def test_axe_finds_nothing_serious(visit: Visitor, service: str, view: str, scheme: str) -> None:
    page = visit(service, color_scheme=scheme, reduced_motion="reduce").open(VIEWS[view]).page
    settled(page, view)
    if view == "document":
        page.locator("#explain").click()
        expect(page.locator("#explanation table").first).to_be_visible()
    # Light and dark differ in nothing but colours.
    rules = {"runOnly": ["color-contrast"]} if scheme == "dark" else None
    found: list[dict[str, Any]] = Axe().run(page, options=rules).response["violations"]
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
