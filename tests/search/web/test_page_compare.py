"""Two rankings side by side in a real browser: what moved, by lines, signs and words."""

import pytest
from playwright.sync_api import expect

from tests.search.web.visits import Visit, Visitor

QUERY = "supersonic ship under water"
FETCHED = 30


@pytest.fixture
def comparing(visit: Visitor, service: str) -> Visit:
    home = visit(service).open()
    home.type(QUERY)
    home.page.locator("button.switch").click()
    expect(home.page.locator(".column")).to_have_count(2)
    return home


def ranking(visited: Visit, mode: str, rerank: str = "none") -> list[str]:
    body = {"query": QUERY, "mode": mode, "rerank": rerank, "top": FETCHED}
    answer = visited.page.request.post(f"{visited.base}/v1/search", data=body).json()
    return [hit["id"] for hit in answer["hits"]]


def column(visited: Visit, side: int) -> list[str]:
    found = visited.page.locator(".column").nth(side).locator("a.open")
    return [each.get_attribute("data-document") or "" for each in found.all()]


def test_changes_of_rank_are_told_in_signs_words_and_lines(comparing: Visit) -> None:
    left, right = ranking(comparing, "lexical"), ranking(comparing, "hybrid")
    assert (column(comparing, 0), column(comparing, 1)) == (left[:10], right[:10])
    moved = comparing.page.locator(".column").nth(1).locator(".moved")
    signs, told = [], []
    for rank, id in enumerate(right[:10], start=1):
        if id not in left:
            signs.append("new")
            told.append(f"not among the first {len(left)} on the left")
            continue
        before = left.index(id) + 1
        by = abs(before - rank)
        signs.append("=" if not by else f"+{by}" if rank < before else f"−{by}")
        told.append(
            "same rank" if not by else f"{'up' if rank < before else 'down'} {by}, from {before}"
        )
    assert len(set(signs)) > 2
    expect(moved.locator("[aria-hidden]")).to_have_text(signs)
    expect(moved.locator(".unseen")).to_have_text(told)
    drawn = {
        each.get_attribute("data-id"): (each.get_attribute("class") or "").split()
        for each in comparing.page.locator(".lines path").all()
    }
    shown = {*left[:10], *right[:10]}
    assert drawn.keys() == {id for id in shown if id in left and id in right}
    for place, kinds in drawn.items():
        assert place is not None
        change = left.index(place) - right.index(place)
        assert kinds[0] == ("same" if not change else "up" if change > 0 else "down")
        assert ("outside" in kinds) == (place not in left[:10] or place not in right[:10])
    both = len({*left[:10]} & {*right[:10]})
    expect(comparing.page.locator("#summary")).to_contain_text(f"{both} of 10 in both")


def test_lines_end_beside_their_hits(comparing: Visit) -> None:
    ends = comparing.page.evaluate(
        """() => [...document.querySelectorAll(".lines path:not(.outside)")].map((path) => {
          const box = document.querySelector(".lines").getBoundingClientRect();
          const at = (where) => path.getPointAtLength(where).y + box.top;
          const middle = (side) => {
            const found = document.querySelector(
              `li[data-side=${side}][data-id="${CSS.escape(path.dataset.id)}"]`);
            const { top, height } = found.getBoundingClientRect();
            return top + height / 2;
          };
          return [at(0) - middle("left"), at(path.getTotalLength()) - middle("right")];
        })"""
    )
    assert ends
    assert all(abs(off) < 1 for pair in ends for off in pair)


def test_either_side_can_be_changed_and_the_address_has_both(comparing: Visit) -> None:
    assert comparing.address()["compare"] == "lexical.none,hybrid.none"
    chosen = comparing.page.locator(".column select").first
    chosen.focus()
    with comparing.answered():
        chosen.select_option("Dense + Late interaction")
    assert comparing.address()["compare"] == "dense.late,hybrid.none"
    expect(chosen).to_be_focused()
    expect(comparing.page.locator(".column").first.locator("a.open").first).to_have_attribute(
        "data-document", ranking(comparing, "dense", "late")[0]
    )
    comparing.page.locator("button.switch").click()
    expect(comparing.page.locator("#hits a.open")).to_have_count(10)
    assert "compare" not in comparing.address()


def test_arrows_move_within_a_side_and_across(comparing: Visit) -> None:
    press, there = comparing.page.keyboard.press, "document.activeElement.dataset.document"
    comparing.page.locator("#query").focus()
    left, right = column(comparing, 0), column(comparing, 1)
    for key, id in (("ArrowDown", left[0]), ("ArrowDown", left[1]), ("ArrowRight", right[1]),
                    ("ArrowDown", right[2]), ("ArrowLeft", left[2])):  # fmt: skip
        press(key)
        assert comparing.page.evaluate(there) == id
    expect(comparing.page.locator("li.pointed")).to_have_count(1 + (left[2] in right))
    press("Enter")
    expect(comparing.page.locator("#document")).to_be_visible()
    assert comparing.address()["doc"] == left[2]


def test_a_way_that_the_index_lacks_is_the_servers_sentence(visit: Visitor, service: str) -> None:
    shared = visit(service, failures=True).open(f"?q={QUERY}&compare=sideways,dense")
    expect(shared.page.locator("#trouble")).to_contain_text("sideways")
