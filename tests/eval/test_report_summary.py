"""The figures and tables of a report, from experiments made by hand."""

import dataclasses
import json
import math
from collections.abc import Mapping
from itertools import pairwise

import pytest
from rich.cells import cell_len

from eval.report import tables
from eval.report.definitions import definitions
from eval.report.notation import (
    cut,
    decimal,
    elide,
    fixed,
    judged_on,
    printable,
    probability,
    size,
)
from eval.report.summary import as_json
from eval.report.tables import escape_latex, latex_table, markdown_table, text_table
from eval.report.verdict import remarks, verdicts
from eval.results import Comparison, Cost, Experiment, Shown, SystemResult, TieRange
from eval.runs import Run

MEASURES = ("nDCG@10", "R@100")


def comparison(difference: float, p_holm: float, **changes: float) -> Comparison:
    made = Comparison(
        difference=difference,
        ci95=(difference - 0.0214, difference + 0.0211),
        p_value=p_holm / 2,
        p_holm=p_holm,
        p_t=0.03,
        effect_size=0.5,
        wins=2,
        ties=1,
        losses=1,
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def cost(p50: float) -> Cost:
    return Cost(
        queries=4,
        queries_per_second=1000 / p50,
        latency_ms={"p50": p50, "p95": 2 * p50, "p99": 3 * p50},
        stages_ms={"encode": {"p50": p50, "p95": p50, "p99": p50}},
        index_bytes=3 * 1024**2,
        peak_bytes=None,
    )


def system(name: str, mean: float, **changes: object) -> SystemResult:
    values = {f"q{number}": mean for number in range(4)}
    made = SystemResult(
        name=name,
        run=Run(name=name, ranked={"q0": [("d1", 2.0), ("d2", 1.0)]}),
        means=dict.fromkeys(MEASURES, mean),
        per_query=dict.fromkeys(MEASURES, values),
        ci95=dict.fromkeys(MEASURES, (mean - 0.01, mean + 0.01)),
        comparisons={},
        unanswered=0,
        ties=TieRange(queries=0, low=mean, high=mean),
        cost=None,
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def experiment(*systems: SystemResult, **changes: object) -> Experiment:
    made = Experiment(
        collection="tiny",
        split="test",
        measures=MEASURES,
        baseline=systems[0].name,
        queries={f"q{number}": f"query {number}" for number in range(4)},
        qrels={"q0": {"d1": 1}},
        systems=systems,
        notices=(),
        provenance={"seed": 0},
        documents=lambda ids: {each: Shown(title="t", text="x") for each in ids},
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def against(difference: float, p_holm: float, **changes: float) -> Mapping[str, Comparison]:
    return dict.fromkeys(MEASURES, comparison(difference, p_holm, **changes))


@pytest.fixture
def three() -> Experiment:
    return experiment(
        system("lexical", 0.6789, cost=cost(1.5)),
        system("dense", 0.6702, comparisons=against(-0.0087, 0.41)),
        system("hybrid", 0.7209, comparisons=against(0.042, 0.0003), cost=cost(11.2)),
    )


def test_json_has_the_agreed_keys_and_values(three: Experiment) -> None:
    made = as_json(three)
    assert set(made) == {
        "collection", "split", "queries", "measures", "systems", "baseline", "notices",
        "provenance",
    }  # fmt: skip
    assert (made["queries"], made["measures"]) == (4, ["nDCG@10", "R@100"])
    assert list(made["systems"]) == ["lexical", "dense", "hybrid"]
    hybrid = made["systems"]["hybrid"]
    assert set(hybrid) == {
        "measures", "ci95", "p_value", "p_raw", "wins", "ties", "losses", "difference",
        "effect_size", "comparisons", "tie_range", "unanswered", "latency_ms",
        "queries_per_second", "stages_ms", "index_bytes", "peak_bytes",
    }  # fmt: skip
    assert (hybrid["p_value"], hybrid["p_raw"]) == (0.0003, 0.00015)
    assert (hybrid["wins"], hybrid["ties"], hybrid["losses"]) == (2, 1, 1)
    assert hybrid["ci95"]["R@100"] == pytest.approx([0.7109, 0.7309])
    assert hybrid["latency_ms"] == {"p50": 11.2, "p95": 22.4, "p99": pytest.approx(33.6)}
    assert (hybrid["index_bytes"], hybrid["peak_bytes"]) == (3145728, None)
    assert hybrid["comparisons"]["R@100"] == {
        "difference": 0.042, "ci95": pytest.approx([0.0206, 0.0631]), "p_value": 0.00015,
        "p_holm": 0.0003, "p_t": 0.03, "effect_size": 0.5, "wins": 2, "ties": 1, "losses": 1,
    }  # fmt: skip
    assert hybrid["tie_range"] == {"queries": 0, "low": 0.7209, "high": 0.7209}


def test_json_is_null_for_the_baseline_and_without_cost(three: Experiment) -> None:
    made = as_json(three)["systems"]
    for field in ("p_value", "p_raw", "wins", "ties", "losses", "difference", "effect_size"):
        assert made["lexical"][field] is None
    assert made["lexical"]["comparisons"] == {}
    for field in ("latency_ms", "queries_per_second", "stages_ms", "index_bytes", "peak_bytes"):
        assert made["dense"][field] is None


def test_json_has_no_figure_that_json_lacks() -> None:
    odd = experiment(
        system("a", 0.5),
        system("b", 0.5, comparisons=against(0.0, 1.0, effect_size=math.nan, p_t=math.inf)),
        provenance={"rates": [math.nan, {"x": -math.inf}], "kept": (1, "two", None, True)},
    )
    made = as_json(odd)
    assert made["provenance"] == {"rates": [None, {"x": None}], "kept": [1, "two", None, True]}
    assert made["systems"]["b"]["effect_size"] is None
    assert json.loads(json.dumps(made, allow_nan=False)) == made


def test_verdicts_say_better_worse_and_not_told_apart() -> None:
    said = verdicts(
        experiment(
            system("lexical", 0.6),
            system("hybrid", 0.7, comparisons=against(0.042, 0.0003)),
            system("dense", 0.59, comparisons=against(-0.009, 0.41)),
            system("random", 0.1, comparisons=against(-0.5, 0.00001)),
        )
    )
    assert said == (
        "hybrid is better than lexical by .042 nDCG@10 (95% .021 to .063, p=.0003 after Holm).",
        "dense is not told apart from lexical (−.009 nDCG@10, 95% −.030 to +.012, "
        "p=.41 after Holm).",
        "random is worse than lexical by .500 nDCG@10 (95% .479 to .521, p<.0001 after Holm).",
    )


def test_one_comparison_is_not_said_to_be_corrected() -> None:
    two = experiment(system("a", 0.6), system("b", 0.7, comparisons=against(0.1, 0.02)))
    assert verdicts(two) == ("b is better than a by .100 nDCG@10 (95% .079 to .121, p=.020).",)
    assert "Holm-corrected" not in text_table(two)


def test_a_system_alone_is_compared_with_nothing() -> None:
    alone = experiment(system("lexical", 0.6789))
    assert verdicts(alone) == (
        "lexical reaches .679 nDCG@10 (95% .669 to .689); there is no other system to compare "
        "it with.",
    )
    assert "difference" not in text_table(alone)
    assert "**" not in markdown_table(alone)
    assert "textbf" not in latex_table(alone)


def test_remarks_tell_of_ties_and_of_unanswered_queries() -> None:
    told = remarks(
        experiment(
            system("a", 0.5, ties=TieRange(queries=1, low=0.4, high=0.51234), unanswered=3),
            system("b", 0.4, unanswered=1),
            notices=("read\nthis",),
        )
    )
    assert told == (
        "Equal scores reach the cut-off (a 1 query); another order of them could make nDCG@10 "
        "anything from .4000 to .5123 for a.",
        "a found nothing for 3 of 4 queries, which count 0.",
        "b found nothing for 1 of 4 queries, which counts 0.",
        "read this",
    )


def test_text_table_is_ordered_aligned_and_marked(three: Experiment) -> None:
    lines = text_table(three).splitlines()
    assert lines[0] == "tiny, test: 4 queries, baseline lexical"
    table = lines[2:7]
    assert [line.split()[0] for line in table] == [
        "system", "───────", "hybrid", "lexical", "dense"
    ]  # fmt: skip
    assert table[2].split()[:9] == [
        "hybrid", ".7209", ".7209", "+.0420", ".0003*", "2/1/1", "89.3", "11.2", "22.4",
    ]  # fmt: skip
    assert table[4].split()[:9] == [
        "dense", ".6702", ".6702", "-.0087", ".41", "2/1/1", "–", "–", "–",
    ]  # fmt: skip
    first = table[0].index("nDCG@10") + len("nDCG@10")
    assert {line[:first][-6:] for line in table[2:]} == {" .7209", " .6789", " .6702"}
    assert lines[-1].startswith("* told apart from lexical: p < .05")
    assert lines[-1].endswith("Holm-corrected over 2 comparisons")


def test_text_table_stays_narrow_and_keeps_names_apart() -> None:
    names = ["日本語" * 20 + end for end in "ab"] + ["word " * 20 + end for end in "ab"]
    measures = tuple(f"P@{depth}" for depth in range(1, 15))
    systems = [
        system(name, 0.5, means=dict.fromkeys(measures, 0.5), comparisons={}) for name in names
    ]
    lines = text_table(experiment(*systems, measures=measures)).splitlines()
    assert max(map(cell_len, lines[2:])) <= tables.WIDTH
    titles = [word for line in lines if line.startswith("system") for word in line.split()[1:]]
    assert titles == list(measures)
    assert len({line.split("  ")[0] for line in lines if " .5" in line}) == len(names)


def test_markdown_escapes_names_and_keeps_its_cells() -> None:
    hostile = "a|b <script>alert(1)</script> [x](javascript:y) *z*\n`_`"
    made = markdown_table(
        experiment(system("lexical", 0.6), system(hostile, 0.7, comparisons=against(0.1, 0.01)))
    )
    rows = [line for line in made.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in rows} == {7}
    assert "<script" not in made and "](" not in made.replace("\\](", "")
    assert rows[2].startswith(
        r"| a\|b &lt;script&gt;alert(1)&lt;/script&gt; \[x\](javascript:y) \*z\* \`\_\` |"
    )
    assert "| **.7000** | **.7000** | +.1000 | .010\\* | 2/1/1 |" in rows[2]


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("50% & more_#1", r"50\% \& more\_\#1"),
        (r"\input{x}", r"\textbackslash{}input\{x\}"),
        ("a~b^c$d|e<f>g", r"a\textasciitilde{}b\textasciicircum{}c\$d\textbar{}e"
         r"\textless{}f\textgreater{}g"),
        ("two\nlines -- \"q\" 'r' `s`", r"two lines {-}{-} {\char34}q{\char34} "
         r"\textquotesingle{}r\textquotesingle{} \textasciigrave{}s\textasciigrave{}"),
        ("[x] *y", "{[}x] {*}y"),
    ],
)  # fmt: skip
def test_latex_is_escaped(text: str, escaped: str) -> None:
    assert escape_latex(text) == escaped


def test_a_name_is_no_option_of_the_line_before_it() -> None:
    made = latex_table(experiment(system("[x", 0.6), system("*y", 0.5), system("[1ex]", 0.4)))
    lines = [line.strip() for line in made.splitlines()]
    for before, after in pairwise(lines):
        if before.endswith((r"\\", "rule")):
            assert not after.startswith(("[", "*"))
    assert r"{[}1ex] & 0.4000 & 0.4000 \\" in lines


@pytest.mark.parametrize(
    ("collection", "split", "named"),
    [("scifact", "test", "scifact, test"), ("my.qrels", "", "my.qrels"), ("a\nb", " ", "a b")],
)
def test_a_collection_is_named_with_the_split_it_has(
    collection: str, split: str, named: str
) -> None:
    made = experiment(system("a", 0.6), collection=collection, split=split)
    assert judged_on(collection, split) == named
    assert text_table(made).startswith(f"{named}: 4 queries\n")
    assert markdown_table(made).startswith(f"{named}: 4 queries\n")
    assert rf"\caption{{{named}: 4 queries.}}" in latex_table(made)


def test_latex_marks_best_better_and_worse() -> None:
    made = latex_table(
        experiment(
            system("a_b", 0.6),
            system("c&d", 0.7, comparisons=against(0.1, 0.01)),
            system("e", 0.1, comparisons=against(-0.5, 0.01)),
            system("f", 0.7, comparisons=against(0.1, 0.2)),
        )
    )
    rows = [line.strip() for line in made.splitlines() if line.endswith(r"\\")]
    assert rows[1] == (
        r"c\&d & \textbf{0.7000}\rlap{$^\dagger$} & \textbf{0.7000}\rlap{$^\dagger$} \\"
    )
    assert rows[2] == r"f & \textbf{0.7000} & \textbf{0.7000} \\"
    assert rows[3] == r"a\_b & 0.6000 & 0.6000 \\"
    assert rows[4] == r"e & 0.1000\rlap{$^\ddagger$} & 0.1000\rlap{$^\ddagger$} \\"


def test_judged_is_nothing_to_be_best_in() -> None:
    measures = ("Judged@10",)
    pair = [system(name, mean, means={"Judged@10": mean}) for name, mean in (("a", 0.9), ("b", 0))]
    assert "**" not in markdown_table(experiment(*pair, measures=measures))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.41, ".41"), (1.0, "1.00"), (0.0243, ".024"), (0.0003, ".0003"), (0.00001, "<.0001"),
     (math.nan, "–")],
)  # fmt: skip
def test_probabilities(value: float, text: str) -> None:
    assert probability(value) == text


def test_numbers() -> None:
    assert [decimal(each) for each in (0.0421, -0.5, 12.5, 0.0, math.inf)] == [
        ".042", "-.500", "12.500", ".000", "–"
    ]  # fmt: skip
    assert [fixed(each, sign=True) for each in (0.5, -0.5, -0.00001, 0)] == [
        "+0.5000", "-0.5000", "0.0000", "0.0000"
    ]  # fmt: skip
    assert [size(each) for each in (0, 1023, 1024, 1536 * 1024, 5 * 1024**5)] == [
        "0 B", "1023 B", "1.00 KiB", "1.50 MiB", "5,120 TiB"
    ]  # fmt: skip


def test_texts_become_one_printable_line() -> None:
    assert printable("a\x00b\ud800\n\t c\u202e \u05d0") == "a�b� c \u05d0"
    assert cut("word " * 10_000, 160) == ("word " * 32)[:159].rstrip() + "…"
    assert cut("x" * 160, 160) == "x" * 160
    assert elide("a" * 30 + "b" * 30, 9) == "aaaa…bbbb"


def test_measures_are_defined_with_their_source() -> None:
    made = {name: (text, source) for name, text, source in definitions(
        ["nDCG@10", "P(rel=2)@5", "ERR@20"], tests=False
    )}  # fmt: skip
    assert "log2(rank + 1)" in made["nDCG@10"][0] and "first 10" in made["nDCG@10"][0]
    assert made["P(rel=2)@5"][0].endswith("Only the first 5 results count. With rel=2.")
    assert made["ERR@20"][1] == "ir-measures"
    assert "p" not in made and "95% interval" in made
