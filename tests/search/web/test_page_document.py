"""The document view in a real browser: marks at the right places, and markup that stays text."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from indexer.documents import Document
from search.index import Index
from tests.search.web.visits import Visit, Visitor


@pytest.fixture
def home(visit: Visitor, service: str) -> Visit:
    return visit(service).open()


def opened(visited: Visit, query: str, id: str) -> None:
    """Search, and open the document with this id by a click."""
    visited.type(query)
    visited.page.locator(f'#hits a[data-document="{id}"]').click()
    expect(visited.page.locator("#text")).not_to_contain_text("Loading")


def by_id(documents: list[Document], id: str) -> Document:
    return next(each for each in documents if each.id == id)


def test_markup_in_a_document_stays_text(home: Visit, awkward: list[Document]) -> None:
    evil = by_id(awkward, "evil/../id?&#%")
    home.type("supersonic")
    hit = home.page.locator(".hit", has=home.page.locator(f'a[data-document="{evil.id}"]'))
    expect(hit.locator("a.open")).to_have_text(evil.title)
    snippet = hit.locator(".snippet").text_content()
    assert snippet and "<script>" in snippet and snippet in evil.text
    hit.locator("a.open").click()
    expect(home.page.locator("#text")).to_contain_text("Supersonic again")
    assert home.address()["doc"] == evil.id
    expect(home.page.locator("#document-title")).to_have_text(evil.title)
    assert home.page.locator("#text").text_content() == evil.text
    ((field, value), _) = evil.metadata.items()
    expect(home.page.locator("#metadata")).to_contain_text(f"{field}{value}")
    assert home.page.evaluate("document.querySelectorAll('main script, dialog script').length") == 0
    assert home.page.evaluate("document.querySelectorAll('main img, dialog img').length") == 0
    assert home.page.title() == "cloze search"


@pytest.mark.parametrize(
    ("query", "id"),
    [("laminar glass", "emoji"), ("supersonic", "evil/../id?&#%"), ("搜索", "chinese"),
     ("lake", "long"), ("nobody plate", "bare")],
)  # fmt: skip
def test_marks_lie_where_the_engine_says(
    home: Visit, folder: Path, awkward: list[Document], query: str, id: str
) -> None:
    with Index.open(folder) as index:
        hit = next(each for each in index.search(query, mode="lexical").hits if each.id == id)
    text = by_id(awkward, id).text
    home.page.locator("input[value=lexical]").check()
    opened(home, query, id)
    assert home.page.locator("#text").text_content() == text
    passage = home.page.locator("#text .passage")
    assert passage.text_content() == text[hit.passage.start : hit.passage.end]
    marked = [text[span.start : span.end] for span in hit.highlights]
    assert marked
    assert home.page.locator("#text mark").all_text_contents() == marked
    end = hit.snippet_start + len(hit.snippet)
    in_snippet = [
        text[max(span.start, hit.snippet_start) : min(span.end, end)]
        for span in hit.highlights
        if span.start < end and span.end > hit.snippet_start
    ]
    snippet = home.page.locator(f'.hit:has(a[data-document="{id}"]) .snippet')
    assert snippet.text_content() == hit.snippet
    assert snippet.locator("mark").all_text_contents() == in_snippet


def test_the_best_passage_is_scrolled_to(visit: Visitor, service: str) -> None:
    small = visit(service, viewport={"width": 700, "height": 400}).open("?mode=lexical")
    opened(small, "laminar glass", "emoji")
    expect(small.page.locator("#text .passage")).to_be_in_viewport()
    assert small.page.evaluate("document.getElementById('pane').scrollTop") > 0


def test_a_score_is_explained_on_demand(home: Visit) -> None:
    home.type("ship under water")
    id = home.page.locator("#hits a.open").first.get_attribute("data-document")
    home.page.locator("#hits a.open").first.click()
    expect(home.page.locator("#text .passage")).to_be_visible()
    assert not any(asked.get("explain") for asked in home.searches)
    with home.answered() as answer:
        home.page.locator("#explain").click()
    (hit,) = answer.value.json()["hits"]
    assert hit["id"] == id
    tables = home.page.locator("#explanation table")
    expect(tables.nth(0)).to_contain_text("Lexical")
    expect(tables.nth(0).locator("tbody tr")).to_have_count(len(hit["explanation"]["parts"]))
    for term in hit["explanation"]["terms"]:
        expect(tables.nth(1)).to_contain_text(term["words"][0])
    alignments = hit["explanation"]["alignments"]
    text = home.page.locator("#text").text_content() or ""
    expect(home.page.locator("table.aligned tbody tr")).to_have_count(len(alignments))
    expect(home.page.locator("table.aligned td:first-of-type")).to_have_text(
        [text[each["start"] : each["end"]] or "title" for each in alignments]
    )
    home.page.locator("#explain").click()
    expect(tables).to_have_count(0)


def test_a_reranked_hit_is_explained_with_what_the_reranker_did(home: Visit) -> None:
    home.page.locator("input[value=late]").check()
    home.type("ship under water")
    home.page.locator("#hits a.open").first.click()
    home.page.locator("#explain").click()
    expect(home.page.locator("#explanation table.final")).to_contain_text("Before reranking")


def test_hits_can_be_leafed_through(home: Visit) -> None:
    home.type("ship under water")
    expect(home.page.locator("#hits a.open")).to_have_count(10)
    titles = home.titles()
    home.page.locator("#hits a.open").nth(8).click()
    expect(home.page.locator("#place")).to_have_text("Hit 9 of 10")
    home.page.locator("#next").click()
    expect(home.page.locator("#document-title")).to_have_text(titles[9])
    expect(home.page.locator("#next")).to_be_disabled()
    home.page.locator("#previous").click()
    expect(home.page.locator("#document-title")).to_have_text(titles[8])
    home.page.locator("#close").click()
    expect(home.page.locator("#document")).to_be_hidden()
    assert home.address() == {"q": "ship under water"}


def test_a_document_that_is_no_hit_is_shown_without_marks(visit: Visitor, service: str) -> None:
    shared = visit(service).open("?doc=chinese")
    expect(shared.page.locator("#text")).to_contain_text("天地水火")
    expect(shared.page.locator("#place")).to_have_text("Not among the hits shown")
    expect(shared.page.locator("#explain")).to_be_hidden()
    expect(shared.page.locator("#text mark")).to_have_count(0)
    shared.page.keyboard.press("Escape")
    expect(shared.page.locator("#document")).to_be_hidden()


def test_a_document_that_is_not_there_is_the_servers_sentence(visit: Visitor, service: str) -> None:
    shared = visit(service, failures=True).open("?doc=nowhere")
    expect(shared.page.locator("#document-trouble")).to_contain_text("nowhere")
    expect(shared.page.locator("#text")).to_be_empty()
