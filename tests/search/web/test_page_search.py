"""Searching in a real browser: typing, keys, filters, switches, history, languages."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from search.index import Index
from tests.search.web.visits import Visit, Visitor

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Route

QUERY = "ship under water"


@pytest.fixture
def home(visit: Visitor, service: str) -> Visit:
    return visit(service).open()


@pytest.fixture(scope="module")
def library(folder: "Path") -> Iterator[Index]:
    with Index.open(folder) as index:
        yield index


def test_results_come_as_one_types(home: Visit, library: Index) -> None:
    for text in ("ship", "ship under", QUERY):
        home.type(text)
        hits = library.search(text).hits
        expect(home.page.locator("#hits a.open")).to_have_text([h.title or h.id for h in hits])
    expect(home.page.locator("#summary")).to_contain_text("10 hits")
    expect(home.page.locator("#announcer")).to_have_text("10 hits")
    assert home.address() == {"q": QUERY}


def test_what_is_typed_fast_is_asked_once(home: Visit) -> None:
    home.stop_the_clock()
    for text in ("s", "sh", "shi", "ship"):
        home.page.locator("#query").fill(text)
        home.page.clock.run_for(119)
    assert home.searches == []
    with home.answered():
        home.page.clock.run_for(1)
    assert [asked["query"] for asked in home.searches] == ["ship"]


def test_enter_asks_at_once(home: Visit) -> None:
    home.stop_the_clock()
    home.page.locator("#query").fill("ship")
    with home.answered():
        home.page.keyboard.press("Enter")
    assert [asked["query"] for asked in home.searches] == ["ship"]


def test_a_query_that_is_typed_over_is_let_go(home: Visit) -> None:
    held: list[Route] = []

    def hold_the_first(route: "Route") -> None:
        if "chinese" in (route.request.post_data or ""):
            held.append(route)
        else:
            route.continue_()

    home.page.route("**/v1/search", hold_the_first)
    with home.page.expect_request("**/v1/search"):
        home.page.locator("#query").fill("chinese")
    with home.page.expect_event("requestfailed") as failed:
        home.type("ship 3")
    assert "chinese" in (failed.value.post_data or "")
    expect(home.page.locator("#hits a.open")).to_have_count(10)
    expect(home.page.locator("#trouble")).to_be_empty()
    assert len(held) == 1


def test_an_answer_that_comes_late_is_dropped(home: Visit) -> None:
    """Whatever the order in which tasks end, and although they do not listen to their signal."""
    told = home.page.evaluate(
        """async () => {
          const { Latest } = await import("/assets/latest.js");
          const told = [];
          const latest = new Latest({
            answered: (answer) => told.push(answer),
            failed: (error) => told.push(error.message),
          });
          const ends = [];
          for (let each = 0; each < 4; each += 1) {
            latest.run(() => new Promise((done, fail) => ends.push({ done, fail })));
          }
          ends[1].done("second");
          ends[2].fail(new Error("third"));
          ends[3].done("last");
          ends[0].done("first");
          await new Promise((soon) => setTimeout(soon));
          return told;
        }"""
    )
    assert told == ["last"]


def test_a_half_written_chinese_word_is_not_searched_for(home: Visit) -> None:
    compose = """(texts) => {
      const box = document.getElementById("query");
      box.dispatchEvent(new CompositionEvent("compositionstart"));
      for (const text of texts) {
        box.value = text;
        box.dispatchEvent(new InputEvent("input", { isComposing: true, bubbles: true }));
      }
    }"""
    home.stop_the_clock()
    home.page.evaluate(compose, ["s", "so", "sou suo"])
    home.page.clock.run_for(1000)
    assert home.searches == []
    with home.answered():
        home.page.evaluate(
            """() => {
              const box = document.getElementById("query");
              box.value = "搜索";
              box.dispatchEvent(new CompositionEvent("compositionend"));
            }"""
        )
        home.page.clock.run_for(121)
    assert [asked["query"] for asked in home.searches] == ["搜索"]


def test_the_page_by_keyboard_alone(home: Visit) -> None:
    home.type(QUERY)
    expect(home.page.locator("#hits a.open")).to_have_count(10)
    titles, press = home.titles(), home.page.keyboard.press
    press("ArrowDown")
    assert home.focused() == titles[0]
    press("ArrowDown")
    press("ArrowDown")
    press("ArrowUp")
    assert home.focused() == titles[1]
    press("Enter")
    expect(home.page.locator("#document")).to_be_visible()
    expect(home.page.locator("#document-title")).to_have_text(titles[1])
    assert home.focused() == "pane"
    press("ArrowRight")
    expect(home.page.locator("#document-title")).to_have_text(titles[2])
    press("Escape")
    expect(home.page.locator("#document")).to_be_hidden()
    assert home.focused() == titles[1]
    press("/")
    assert home.focused() == "query"
    assert home.page.locator("#query").input_value() == QUERY
    press("ArrowDown")
    press("ArrowUp")
    assert home.focused() == "query"
    press("Escape")
    assert home.page.locator("#query").input_value() == ""
    expect(home.page.locator("#hits a.open")).to_have_count(0)
    assert home.address() == {}


def test_the_first_stop_of_the_tab_key_skips_to_the_results(home: Visit) -> None:
    home.type(QUERY)
    home.page.evaluate("document.activeElement.blur()")
    home.page.locator(".skip").focus()
    home.page.keyboard.press("Enter")
    assert home.focused() == "results"
    home.page.keyboard.press("Tab")
    assert home.focused() in home.page.locator("#results").inner_text()


def test_a_facet_narrows_down_and_a_chip_widens_again(home: Visit, library: Index) -> None:
    home.type(QUERY)
    facet = home.page.get_by_role("button", name="Only lang de")
    counts = {
        each.value: each.count
        for each in library.search(QUERY, facets=("lang",)).facets.fields["lang"]  # type: ignore[union-attr]
    }
    expect(facet.locator(".count")).to_have_text(str(counts["de"]))
    facet.click()
    chip = home.page.locator("#chips button")
    expect(chip).to_have_accessible_name("Remove the filter lang de")
    found = library.search(QUERY, filter={"lang": "de"}, count=True)
    expect(home.page.locator("#hits a.open")).to_have_text([h.title for h in found.hits])
    expect(home.page.locator("#summary")).to_contain_text(f"of {found.total_matches}")
    assert home.address() == {"q": QUERY, "f.lang": "de"}
    expect(facet).to_have_attribute("aria-pressed", "true")
    expect(facet).to_be_focused()
    home.page.locator("button.value", has_text="1993").click()
    expect(chip).to_have_count(2)
    assert home.address() == {"q": QUERY, "f.lang": "de", "f.year": "1993"}
    with home.answered():
        chip.first.click()
    expect(chip).to_have_count(1)
    assert home.searches[-1]["filter"] == {"and": [{"year": {"eq": 1993}}]}


def test_values_of_every_kind_can_be_chosen(home: Visit) -> None:
    home.type("supersonic water ship")
    for name, value in (("tags", "deep"), ("open", "true")):
        group = home.page.locator(".facet", has=home.page.locator("h3", has_text=name))
        with home.answered() as answer:
            group.locator("button.value", has_text=value).click()
        assert answer.value.status == 200
    assert home.searches[-1]["filter"] == {
        "and": [{"tags": {"eq": "deep"}}, {"open": {"eq": True}}]
    }
    expect(home.page.locator("#hits a.open").first).to_be_visible()


def test_many_values_are_folded(home: Visit) -> None:
    home.type(QUERY)
    years = home.page.locator(".facet", has=home.page.locator("h3", has_text="year"))
    expect(years.locator(".value")).to_have_count(5)
    years.locator(".fold").click()
    expect(years.locator(".value")).to_have_count(10)
    expect(years.locator(".fold")).to_be_focused()
    expect(years.locator(".fold")).to_have_attribute("aria-expanded", "true")


@pytest.mark.parametrize("mode", ["dense", "lexical"])
def test_a_mode_ranks_as_the_engine_does(home: Visit, library: Index, mode: str) -> None:
    home.type(QUERY)
    home.page.locator(f"input[value={mode}]").check()
    hits = library.search(QUERY, mode=mode).hits  # type: ignore[arg-type]
    expect(home.page.locator("#hits a.open")).to_have_text([h.title or h.id for h in hits])
    assert home.address() == {"q": QUERY, "mode": mode}
    way = home.page.locator(".hit .way").first
    place = hits[0].stages[mode]
    assert place is not None
    expect(way.locator("li")).to_have_count(1)
    expect(way).to_contain_text(f"#{place.rank}")


def test_reranking_shows_in_the_way_of_every_hit(home: Visit, library: Index) -> None:
    home.type(QUERY)
    home.page.locator("input[value=late]").check()
    hits = library.search(QUERY, rerank="late").hits
    expect(home.page.locator("#hits a.open")).to_have_text([h.title or h.id for h in hits])
    for number, hit in enumerate(hits):
        text = home.page.locator(".hit .way").nth(number).inner_text()
        for stage, name in (("lexical", "Lexical"), ("dense", "Dense"), ("fused", "Fused"),
                            ("rerank", "Reranking")):  # fmt: skip
            place = hit.stages[stage]
            assert name in text
            assert place is None or f"#{place.rank}" in text
    assert home.address() == {"q": QUERY, "rerank": "late"}
    home.page.locator(".timings summary").first.click()
    expect(home.page.locator(".timings table")).to_contain_text("Reranking")


def test_more_hits_come_behind_the_first(home: Visit) -> None:
    home.type(QUERY)
    expect(home.page.locator("#hits a.open")).to_have_count(10)
    first = home.titles()
    home.page.locator("#more").click()
    expect(home.page.locator("#hits a.open")).to_have_count(20)
    assert home.titles()[:10] == first
    assert home.address() == {"q": QUERY, "top": "20"}
    home.type("ship")
    assert home.address() == {"q": "ship"}


def test_an_address_can_be_shared(visit: Visitor, service: str, library: Index) -> None:
    shared = visit(service).open(
        "?q=ship+under+water&mode=dense&rerank=late&f.lang=en&f.year=1995&doc=ship%2F5"
    )
    expect(shared.page.locator("#document-title")).to_have_text("Ship 5 on the water")
    shared.page.locator("#close").click()
    expect(shared.page.locator("#query")).to_have_value(QUERY)
    expect(shared.page.locator("input[value=dense]")).to_be_checked()
    expect(shared.page.locator("input[value=late]")).to_be_checked()
    expect(shared.page.locator("#chips button")).to_have_count(2)
    hits = library.search(QUERY, mode="dense", rerank="late", filter="lang=en and year=1995").hits
    expect(shared.page.locator("#hits a.open")).to_have_text([h.title for h in hits])


def test_back_and_forward_go_through_what_was_seen(home: Visit) -> None:
    page, back = home.page, "() => history.back()"
    home.type("ship")
    home.type("ship under")
    home.type(QUERY)
    page.locator("input[value=dense]").check()
    expect(page.locator(".hit .way").first).not_to_contain_text("Lexical")
    page.locator("#hits a.open").first.click()
    expect(page.locator("#document")).to_be_visible()
    page.evaluate(back)
    expect(page.locator("#document")).to_be_hidden()
    page.evaluate(back)
    expect(page.locator("input[value=hybrid]")).to_be_checked()
    expect(page.locator(".hit .way").first).to_contain_text("Lexical")
    page.evaluate(back)  # one entry for a bout of typing
    expect(page.locator("#query")).to_have_value("")
    expect(page.locator("#hits a.open")).to_have_count(0)
    page.evaluate("() => history.go(2)")
    expect(page.locator("#query")).to_have_value(QUERY)
    expect(page.locator("input[value=dense]")).to_be_checked()


def test_no_hits_are_told_plainly(home: Visit) -> None:
    home.page.locator("input[value=lexical]").check()
    home.type("xylophone")
    expect(home.page.locator("#message")).to_contain_text("Nothing found.")
    expect(home.page.locator("#announcer")).to_have_text("Nothing found.")


def test_labels_follow_the_browser_and_can_be_changed(visit: Visitor, service: str) -> None:
    chinese = visit(service, locale="zh-CN").open("?q=ship")
    page = chinese.page
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
    expect(page.locator("legend").first).to_have_text("排序")
    expect(page.locator("#summary")).to_contain_text("10 条结果")
    page.locator("#language").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator("legend").first).to_have_text("Ranking")
    expect(page.locator("#summary")).to_contain_text("10 hits")
    page.reload()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    assert page.context.cookies() == []


def test_the_theme_follows_the_system_until_it_is_chosen(visit: Visitor, service: str) -> None:
    page = visit(service, color_scheme="dark").open().page
    paper = "() => getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(paper)
    page.locator("#theme").click()
    light = page.evaluate(paper)
    assert light != dark
    page.reload()
    assert page.evaluate(paper) == light
    page.locator("#theme").click()
    assert page.evaluate(paper) == dark
