import math
import random

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from eval.measures import DEFAULT_MEASURES, mean, parse_measures, recall_curve, score
from eval.runs import Run
from indexer.errors import ClozeError

Grades = dict[str, dict[str, int]]
Scores = dict[str, dict[str, float]]

# What trec_eval calls our measures.
TREC = {
    "nDCG@10": "ndcg_cut_10",
    "nDCG@3": "ndcg_cut_3",
    "nDCG": "ndcg",
    "RR": "recip_rank",
    "AP": "map",
    "AP@3": "map_cut_3",
    "R@100": "recall_100",
    "R@3": "recall_3",
    "P@10": "P_10",
    "Success@5": "success_5",
    "Rprec": "Rprec",
    "Bpref": "bpref",
    "infAP": "infAP",
    "IPrec@0.2": "iprec_at_recall_0.20",
}

queries = st.sampled_from(["1", "q-2", "3 drei", "四"])
documents = st.sampled_from([f"d{number}" for number in range(20)])
grades = st.dictionaries(queries, st.dictionaries(documents, st.integers(-2, 4), min_size=1))
# Few values, for ties; two of them equal only as float32.
scores = st.dictionaries(
    queries,
    st.dictionaries(documents, st.sampled_from([-1.5, 0.0, 0.25, 0.25 + 1e-12, 1 / 3, 7.0])),
)


def as_trec_orders(answers: Scores) -> Run:
    """Order as trec_eval does: score as float32 descending, then id descending."""
    return Run(
        name="random",
        ranked={
            query: sorted(
                found.items(), key=lambda hit: (np.float32(hit[1]), hit[0].encode()), reverse=True
            )
            for query, found in answers.items()
        },
    )


@given(grades, scores)
def test_equal_to_trec_eval(qrels: Grades, answers: Scores) -> None:
    # trec_eval crashes where all grades of a query are below -1; nothing is relevant to it.
    safe = {query: judged for query, judged in qrels.items() if max(judged.values()) >= 0}
    reference = pytrec_eval.RelevanceEvaluator(safe, set(TREC.values())).evaluate(answers)
    ours = score(qrels, as_trec_orders(answers), list(TREC))
    for name, trec_name in TREC.items():
        assert ours[name].keys() == qrels.keys()
        for query in qrels:
            expected = reference.get(query, {}).get(trec_name, 0.0) if answers.get(query) else 0.0
            assert ours[name][query] == pytest.approx(expected, abs=1e-9), (name, query)


@given(grades, scores)
def test_equal_to_the_definitions(qrels: Grades, answers: Scores) -> None:
    run = as_trec_orders(answers)
    names = ["RR@3", "Judged@3", "nDCG(dcg='exp-log2')@3", "P(rel=2)@3", "P(judged_only=True)@3"]
    ours = score(qrels, run, names)
    for query, judged in qrels.items():
        ids = [document for document, _ in run.ranked.get(query, ())]
        found = [judged.get(document, 0) for document in ids]
        first = next((1 / rank for rank, grade in enumerate(found[:3], 1) if grade > 0), 0.0)
        known = [document in judged for document in ids[:3]]
        ideal = exponential(sorted(judged.values(), reverse=True))
        expected = [
            first,
            sum(known) / len(known) if known else 0.0,
            exponential(found) / ideal if ideal else 0.0,
            sum(grade >= 2 for grade in found[:3]) / 3,
            sum([judged[each] > 0 for each in ids if judged.get(each, -1) >= 0][:3]) / 3,
        ]
        assert [ours[name][query] for name in names] == pytest.approx(expected, abs=1e-9)


def exponential(ranked: list[int]) -> float:
    return math.fsum(
        (2.0 ** max(grade, 0) - 1) / math.log2(rank + 2) for rank, grade in enumerate(ranked[:3])
    )


def test_hand_computed() -> None:
    qrels = {"q": {"a": 2, "b": 1, "c": 0, "d": -1}, "none": {"a": 0}, "unanswered": {"a": 1}}
    ranked = [("d", 9.0), ("a", 8.0), ("x", 7.0), ("b", 6.0)]
    run = Run(name="r", ranked={"q": ranked, "none": [("a", 1.0)], "other": [("a", 1.0)]})
    values = score(qrels, run, DEFAULT_MEASURES)
    assert {name: each["q"] for name, each in values.items()} == pytest.approx(
        {
            "nDCG@10": (2 / math.log2(3) + 1 / math.log2(5)) / (2 + 1 / math.log2(3)),
            "RR@10": 1 / 2,
            "AP": (1 / 2 + 2 / 4) / 2,
            "R@100": 1.0,
            "P@10": 2 / 10,
            "Success@5": 1.0,
            "Judged@10": 3 / 4,
        }
    )
    assert list(values) == list(DEFAULT_MEASURES)
    for name, each in values.items():
        assert list(each) == ["q", "none", "unanswered"]
        assert each["none"] == (1.0 if name == "Judged@10" else 0.0)
        assert each["unanswered"] == 0.0
    assert mean(values["RR@10"]) == pytest.approx(1 / 6)


def test_queries_with_negative_grades_alone() -> None:
    names = ["AP", "nDCG", "nDCG@10", "Bpref", "infAP", "RR@10", "Judged@10", "NumRet"]
    qrels = {"q": {"a": -2, "b": -3}, "p": {"a": 1}, "r": {"b": -9}}
    run = Run(name="r", ranked={query: [("a", 2.0), ("c", 1.0)] for query in qrels})
    values = score(qrels, run, names)
    for name in names:
        expected = {"Judged@10": (0.5, 0.0), "NumRet": (2.0, 2.0)}.get(name, (0.0, 0.0))
        assert (values[name]["q"], values[name]["r"]) == expected
        assert values[name]["p"] > 0


def test_order_counts_and_not_scores() -> None:
    qrels = {"q": {"a": 1}}
    names = ["RR", "RR@10", "nDCG@10", "Judged@1", "AP", "P(rel=1)@1", "Compat"]
    first = score(qrels, Run(name="r", ranked={"q": [("a", 0.0), ("b", 0.0), ("c", 5.0)]}), names)
    last = score(qrels, Run(name="r", ranked={"q": [("c", 5.0), ("b", 5.0), ("a", 5.0)]}), names)
    assert [first[name]["q"] for name in names] == pytest.approx([1.0] * len(names))
    assert [last[name]["q"] for name in names] < [first[name]["q"] for name in names]
    assert last["RR"]["q"] == last["RR@10"]["q"] == pytest.approx(1 / 3)


def test_measures_do_not_disturb_one_another() -> None:
    """ir-measures alone gives 0 for one of the first two."""
    qrels = {"q": {"a": 1, "b": 2, "c": 0}}
    run = Run(name="r", ranked={"q": [("a", 3.0), ("c", 2.0), ("b", 1.0)]})
    names = ["nDCG(gains={1:5})@10", "nDCG@10", "nDCG", "IPrec@0.1", "IPrec@0.101", "NumRet", "P@1"]
    together = score(qrels, run, names)
    for name in names:
        assert together[name] == score(qrels, run, [name])[name]
    log3 = math.log2(3)
    assert together["nDCG@10"]["q"] == pytest.approx((1 + 2 / 2) / (2 + 1 / log3))
    assert together["nDCG(gains={1:5})@10"]["q"] == pytest.approx((5 + 2 / 2) / (5 + 2 / log3))


def test_empty_runs_and_judgements() -> None:
    names = [*DEFAULT_MEASURES, "Accuracy", "Bpref", "Compat", "NumRet", "nDCG(dcg='exp-log2')"]
    assert score({"q": {"a": 1}}, Run(name="r", ranked={}), names) == {
        name: {"q": 0.0} for name in names
    }
    no_answer = Run(name="r", ranked={"q": [], "p": [("a", 1.0)]})
    values = score({"q": {"a": 1}, "p": {}}, no_answer, names)
    assert all(each["q"] == 0.0 for each in values.values())
    assert values["AP"]["p"] == values["RR@10"]["p"] == 0.0
    assert score({}, no_answer, ["AP"]) == {"AP": {}}
    with pytest.raises(ClozeError, match="no query"):
        mean({})


def test_document_twice() -> None:
    run = Run(name="r", ranked={"q7": [("a", 3.0), ("b", 2.0), ("a", 1.0)]})
    with pytest.raises(ClozeError, match="'a' stands twice in the answers to query 'q7'"):
        score({"q7": {"a": 1}}, run, ["P@1"])


def test_grades_too_large_for_exponential_gains() -> None:
    run = Run(name="r", ranked={"q": [("a", 3.0)]})
    with pytest.raises(ClozeError, match="up to 20, and the judgements have 100"):
        score({"q": {"a": 100}}, run, ["nDCG(dcg='exp-log2')@10"])
    assert score({"q": {"a": 100}}, run, ["nDCG@10"])["nDCG@10"]["q"] == 1.0


def test_failure_of_a_provider_names_the_measure() -> None:
    # ir-measures divides by the number of documents below that aren't relevant.
    run = Run(name="r", ranked={"q": [("a", 3.0)]})
    with pytest.raises(ClozeError, match="Accuracy can't be calculated"):
        score({"q": {"a": 1}}, run, ["Accuracy"])


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["nDCG@10"], ("nDCG@10",)),
        (["nDCG@10,AP  P@5", "AP"], ("nDCG@10", "AP", "P@5")),
        (["ndcg_cut_10", "map", "recip_rank", "P_5"], ("nDCG@10", "AP", "RR", "P@5")),
        (["success"], ("Success@1", "Success@5", "Success@10")),
        (["MRR@10 NDCG(cutoff=5)"], ("RR@10", "nDCG@5")),
        (["P(rel=2, judged_only=True)@5,AP"], ("P(rel=2,judged_only=True)@5", "AP")),
        (["nDCG(dcg='exp-log2')@10"], ("nDCG(dcg='exp-log2')@10",)),
        (["nDCG(gains={1: 3, 2:7})@5"], ("nDCG(gains={1:3,2:7})@5",)),
    ],
)
def test_names(names: list[str], expected: tuple[str, ...]) -> None:
    assert parse_measures(names) == expected
    assert parse_measures(expected) == expected


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ndgc@10", "unknown measure 'ndgc@10': did you mean 'nDCG@10'?"),
        ("ndcg@10", "did you mean 'nDCG@10'?"),
        ("P_10x", "unknown measure 'P_10x'"),
        ("official", "unknown measure 'official'"),
        ("@10", "can't be read"),
        ("P(rel=2@5", "can't be read"),
        ("11pt_avg", "can't be read"),
        ("1+1", "can't be read"),
        ("P", "lacks cutoff; write P@10"),
        ("P@0", "can't have cutoff=0"),
        ("P_0", "can't have cutoff=0"),
        ("P@1.5", "can't have cutoff=1.5"),
        ("P(rel=0)@5", "can't have rel=0"),
        ("nDCG(depth=3)", "can't have depth=3"),
        ("RR(judged_only=True)@10", "no installed package computes"),
        ("alpha_nDCG@10", "needs judged subtopics"),
        (" , ", "no measure was named"),
    ],
)
def test_names_refused(name: str, message: str) -> None:
    with pytest.raises(ClozeError) as caught:
        parse_measures([name])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names_that_need_another_package(monkeypatch: pytest.MonkeyPatch) -> None:
    import ir_measures

    monkeypatch.setattr(ir_measures.cwl_eval, "is_available", lambda: False)
    with pytest.raises(ClozeError, match=r"computes .* 'RBP\(rel=1\)'; to get one: pip install"):
        parse_measures(["RBP(rel=1)"])


def test_recall_curve() -> None:
    choose = random.Random(3)
    everything = [f"d{number}" for number in range(30)]
    qrels = {f"q{n}": dict.fromkeys(choose.sample(everything, 4), 1) for n in range(5)}
    ranked = {f"q{n}": [(d, 0.0) for d in choose.sample(everything, 20)] for n in range(4)}
    curve = recall_curve(qrels, Run(name="r", ranked=ranked), (1, 3, 10, 50))
    for depth, value in curve.items():
        found = [
            len({document for document, _ in ranked.get(query, [])[:depth]} & judged.keys()) / 4
            for query, judged in qrels.items()
        ]
        assert value == pytest.approx(sum(found) / 5)
    assert list(curve) == [1, 3, 10, 50]
