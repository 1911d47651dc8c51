"""The page and its charts: hostile texts, missing data, thousands of queries."""

import dataclasses
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eval.measures
from eval.judgements import Qrels
from eval.report.changes import sections
from eval.report.charts import draw_charts
from eval.report.charts.gains import differences
from eval.report.charts.labels import Box, label, place
from eval.report.page import html
from eval.results import Comparison, Cost, Experiment, Shown, SystemResult, TieRange
from eval.runs import Run

HOSTILE = (
    "<script>alert('x')</script> \"q\" & 'r' </style> $x_1$ --> "
    "\u202e\u05e9\u05dc\u05d5\u05dd \x00 "
)
VOID = {"meta", "br", "link", "img", "input", "hr"}


class Reader(HTMLParser):
    """Collects elements and attributes, and checks that every element is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture(autouse=True)
def recall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        eval.measures, "recall_curve", lambda qrels, run: {1: 0.25, 2: 0.5, 5: 0.75, 10: 0.75}
    )


def system(
    name: str, values: Mapping[str, float], ranked: Mapping[str, Sequence[str]], *, base: bool
) -> SystemResult:
    mean = sum(values.values()) / len(values)
    compared = Comparison(
        difference=0.1, ci95=(0.05, 0.15), p_value=0.001, p_holm=0.002, p_t=0.001,
        effect_size=0.3, wins=1, ties=1, losses=1,
    )  # fmt: skip
    run = {
        query: [(d, float(-at)) for at, d in enumerate(found)] for query, found in ranked.items()
    }
    return SystemResult(
        name=name, run=Run(name=name, ranked=run), means={"nDCG@10": mean},
        per_query={"nDCG@10": values}, ci95={"nDCG@10": (mean - 0.05, mean + 0.05)},
        comparisons={} if base else {"nDCG@10": compared}, unanswered=0,
        ties=TieRange(queries=0, low=mean, high=mean), cost=None,
    )  # fmt: skip


def experiment(
    systems: Sequence[SystemResult],
    queries: Mapping[str, str],
    qrels: Qrels,
    documents: Mapping[str, Shown] | None = None,
) -> Experiment:
    known = documents or {}
    return Experiment(
        collection="tiny", split="test", measures=("nDCG@10",), baseline=systems[0].name,
        queries=queries, qrels=qrels, systems=tuple(systems), notices=(), provenance={},
        documents=lambda asked: {each: known[each] for each in asked if each in known},
    )  # fmt: skip


@pytest.fixture
def small() -> Experiment:
    """Query a is lost, b is gained, c is equal."""
    found = [f"d{number}" for number in range(15)]
    base = system(
        "base", {"a": 1.0, "b": 0.25, "c": 0.5}, {"a": ["rel", "no", *found], "b": found}, base=True
    )
    other = system(
        "other", {"a": 0.4, "b": 0.5, "c": 0.5}, {"a": found, "b": ["rel", *found]}, base=False
    )
    return experiment(
        [base, other],
        {"a": "lost one", "b": "gained one", "c": ""},
        {"a": {"rel": 2, "no": 0, "d13": 1, "gone": 1}, "b": {"rel": 1}, "c": {"x": 1}},
        {"rel": Shown(title="The title", text="a text " * 100)},
    )


def test_sections_have_losses_gains_and_what_both_missed(small: Experiment) -> None:
    (section,) = sections(small)
    (lost,), (gained,) = section.losses, section.gains
    assert (lost.id, lost.text, lost.baseline_value, lost.system_value) == ("a", "lost one", 1, 0.4)
    assert (gained.id, gained.difference) == ("b", 0.25)
    assert [(hit.rank, hit.id, hit.grade) for hit in lost.baseline_hits[:3]] == [
        (1, "rel", 2), (2, "no", 0), (3, "d0", None)
    ]  # fmt: skip
    assert len(lost.baseline_hits) == len(lost.system_hits) == 10
    assert lost.baseline_hits[0].title == "The title"
    assert len(lost.baseline_hits[0].snippet) == 160
    assert [(each.id, each.baseline_rank, each.system_rank) for each in lost.missed] == [
        ("d13", 16, 14), ("gone", None, None)
    ]  # fmt: skip


def test_page_shows_both_rankings_and_marks_by_text(small: Experiment) -> None:
    page = html(small, draw_charts(small))
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page))
    assert "other is better than base by .100 nDCG@10 (95% .050 to .150, p=.002)." in text
    assert "✓ grade 2 rel The title" in text and "✗ grade 0 no" in text and "unjudged d0" in text
    assert "d13: found at 16 by base, found at 14 by other" in text
    assert "gone: not found by base, not found by other" in text
    assert "Lost most: 1 " in text and "Gained most: 1 " in text
    assert read(page).tags.count("details") == 2


def test_page_needs_nothing_from_outside(small: Experiment) -> None:
    page = html(small, draw_charts(small))
    reader = read(page)
    assert "default-src 'none'" in page
    assert not {"script", "link", "img", "iframe", "object"} & set(reader.tags)
    links = [value or "" for name, value in reader.attributes if name.endswith(("href", "src"))]
    assert links and all(link.startswith("#") for link in links)
    assert not any(name.startswith("on") for name, _ in reader.attributes)
    ids = [value for name, value in reader.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in links} <= set(ids)


def test_hostile_texts_stay_texts() -> None:
    document = "../" + HOSTILE.replace(" ", "%20") + "/x"
    base = system(HOSTILE, {HOSTILE: 0.0}, {HOSTILE: [document]}, base=True)
    other = system(HOSTILE + "2", {HOSTILE: 1.0}, {HOSTILE: [document, "b"]}, base=False)
    made = experiment(
        [base, other],
        {HOSTILE: HOSTILE + "w" * 10_000},
        {HOSTILE: {document: 1, "<b>far": 3}},
        {document: Shown(title=HOSTILE + "t" * 10_000, text=HOSTILE + "\ud800" + "x" * 10_000)},
    )
    made = dataclasses.replace(
        made, collection=HOSTILE, split=HOSTILE, notices=(HOSTILE,), provenance={HOSTILE: HOSTILE}
    )
    charts = draw_charts(made)
    page = html(made, charts)
    assert len(page.encode()) < 200_000
    assert "<script" not in page and "\x00" not in page and "\u202e" not in page
    assert page.count("</style>") == 1 + sum(
        (chart.svg or "").count("</style>") for chart in charts
    )
    assert "script" not in read(page).tags
    for chart in charts:
        if chart.svg:
            ET.fromstring(chart.svg)
            assert "$x_1$" in chart.svg or chart.name == "gains"


def test_one_system_leaves_comparisons_out(small: Experiment) -> None:
    alone = dataclasses.replace(small, systems=small.systems[:1])
    charts = {chart.name: chart for chart in draw_charts(alone)}
    assert charts["gains"].svg is None and charts["intervals"].svg
    page = html(alone, tuple(charts.values()))
    assert "there is no other system" in page and "<details" not in page
    assert "Left out: there is no other system to compare with." in page


@pytest.mark.parametrize(("split", "named"), [("test", "tiny, test"), ("", "tiny")])
def test_the_page_names_the_split_where_there_is_one(
    small: Experiment, split: str, named: str
) -> None:
    made = html(dataclasses.replace(small, split=split), ())
    assert f"<title>{named}: nDCG@10</title>" in made
    assert f"<h1><bdi>{named}</bdi></h1>" in made


def test_empty_runs_are_shown_as_such(small: Experiment) -> None:
    empty = [dataclasses.replace(s, run=Run(name=s.name, ranked={})) for s in small.systems]
    made = dataclasses.replace(small, systems=tuple(empty))
    charts = {chart.name: chart for chart in draw_charts(made)}
    assert charts["depth"].svg is None and "no run has results" in charts["depth"].caption
    assert html(made, tuple(charts.values())).count("found nothing") == 4


def test_latency_is_drawn_where_two_systems_were_timed(small: Experiment) -> None:
    cost = Cost(
        queries=3, queries_per_second=100.0, latency_ms={"p50": 10.0, "p95": 20.0, "p99": 30.0},
        stages_ms={"encode": {"p50": 7.0, "p95": 8.0, "p99": 9.0}}, index_bytes=1, peak_bytes=None,
    )  # fmt: skip
    base, other = small.systems

    def tradeoff(*systems: SystemResult) -> tuple[str | None, str]:
        chart = draw_charts(dataclasses.replace(small, systems=systems))[3]
        return chart.svg, chart.caption

    timed = dataclasses.replace(base, cost=cost), dataclasses.replace(other, cost=cost)
    assert tradeoff(base, other) == (None, "Left out: no system was timed.")
    assert tradeoff(timed[0], other) == (None, "Left out: only one system was timed.")
    drawn, _ = tradeoff(*timed)
    assert drawn and drawn.count(">base<") == drawn.count(">other<") == 1
    page = html(dataclasses.replace(small, systems=timed), ())
    assert "Where the time goes" in page and "<td>encode</td><td>7.00</td>" in page


def test_queries_that_both_fail_open_as_well() -> None:
    queries = {"bad": "what nobody finds", "good": "what all find"}
    systems = [
        system("a", {"bad": 0.0, "good": 1.0}, {"bad": ["x"], "good": ["d"]}, base=True),
        system("b", {"bad": 0.0, "good": 1.0}, {"bad": ["y"], "good": ["d"]}, base=False),
    ]
    qrels = {"bad": {"z": 1}, "good": {"d": 1}}
    made = html(experiment(systems, queries, qrels, {}), [])
    section = made[made.index("Neither found a relevant document") :]
    assert "what nobody finds" in section and "what all find" not in section


def test_thousands_of_queries_and_many_systems_stay_small() -> None:
    queries = {f"q{number}": f"question {number} " * 20 for number in range(2000)}
    found = [f"doc{number}" for number in range(10)]
    texts = {each: Shown(title="<&'>" * 100, text="\"'<&" * 1000) for each in found}
    ranked = dict.fromkeys(queries, found)
    systems = [
        system(
            f"system {place} with a name of forty chars", 
            {query: (number * (place + 7) % 13) / 13 for number, query in enumerate(queries)},
            ranked, base=not place,
        )
        for place in range(9)
    ]  # fmt: skip
    made = experiment(systems, queries, {query: {"doc1": 1} for query in queries}, texts)
    charts = draw_charts(made)
    page = html(made, charts)
    assert len(page.encode()) < 5_000_000
    assert all(len(chart.svg or "") < 600_000 for chart in charts)
    assert "Lost most: 7 of " in page and "per_query.parquet" in page
    for section in sections(made):
        changes = differences(made, next(s for s in systems if s.name == section.system))
        assert section.all_losses == sum(value < 0 for value in changes.values())
        worst = sorted(changes.values())[: len(section.losses)]
        assert [each.difference for each in section.losses] == pytest.approx(worst)


def test_charts_are_the_same_bytes_and_have_their_text_as_text(small: Experiment) -> None:
    first, second = draw_charts(small), draw_charts(small)
    assert [chart.svg for chart in first] == [chart.svg for chart in second]
    for chart in first[:3]:
        texts = [
            "".join(node.itertext()).strip()
            for node in ET.fromstring(chart.svg or "").iter("{http://www.w3.org/2000/svg}text")
        ]
        assert "other" in texts
        assert not re.search(r"20\d\d-\d\d-\d\d|matplotlib v", chart.svg or "")


def test_settings_of_the_user_do_not_reach_the_charts(small: Experiment) -> None:
    import matplotlib

    before = draw_charts(small)
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.fonttype": "path"}):
        assert draw_charts(small) == before
        assert matplotlib.rcParams["font.size"] == 30


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("short", ["short"]),
        ("splade-cocondenser-ensembledistil-v3", ["splade-cocondenser-", "ensembledistil-v3"]),
        ("x" * 40, ["x" * 20, "x" * 20]),
        ("hybrid with a weight of 0.3, tuned", ["hybrid with a", "weight of 0.3, tuned"]),
    ],
)
def test_labels_break_where_words_end(name: str, lines: list[str]) -> None:
    assert label(name).split("\n") == lines


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.floats(20, 480), st.floats(20, 280), st.floats(10, 120), st.sampled_from([11, 23])
        ),
        min_size=1,
        max_size=8,
    )
)
def test_labels_do_not_overlap(given_points: list[tuple[float, float, float, float]]) -> None:
    bounds = Box(0, 0, 500, 300)
    boxes = place(
        [(x, y) for x, y, _, _ in given_points], [(w, h) for _, _, w, h in given_points], bounds
    )
    assert all(box.within(bounds) for box in boxes)
    for number, box in enumerate(boxes):
        assert sum(box.overlap(other) for other in boxes[:number]) == 0
