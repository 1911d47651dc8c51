"""Systems by name, the textbook baseline, and users' own."""

from pathlib import Path

import pytest
from rank_bm25 import BM25L, BM25Okapi, BM25Plus

from eval.baselines import RankBM25
from eval.systems import ask, check_answer, load_callable, named_systems
from indexer.analysis import Analyzer
from indexer.documents import Document
from indexer.errors import ClozeError


def test_names_and_options() -> None:
    systems = named_systems(
        ["rank-bm25, lexical,hybrid(weight=0.7,depth=50)", "hybrid(fusion=rrf)"]
    )
    assert [system.name for system in systems] == [
        "rank-bm25", "lexical", "hybrid(weight=0.7,depth=50)", "hybrid(fusion=rrf)",
    ]  # fmt: skip
    assert systems[2].options == {"mode": "hybrid", "weight": 0.7, "depth": 50}
    assert [system.needs_index for system in systems] == [True] * 4
    assert [system.needs_vectors for system in systems] == [False, False, True, True]
    reranked = named_systems(
        [
            "hybrid(rerank=late,rerank_weight=0.3),lexical(rerank=late)",
            "lexical(rerank=org/m),dense(rerank_depth=20)",
        ]
    )
    assert [system.options for system in reranked] == [
        {"mode": "hybrid", "rerank": "late", "rerank_weight": 0.3},
        {"mode": "lexical", "rerank": "late"},
        {"mode": "lexical", "rerank": "org/m"},
        {"mode": "dense", "rerank_depth": 20},
    ]
    assert [system.needs_vectors for system in reranked] == [True, True, False, True]


def test_run_files_and_functions(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for place in ("old.trec", "a/old.trec"):
        (tmp_path / place).write_text("")
    names = [str(tmp_path / "old.trec"), "mine.module:find"]
    run, function = named_systems(names)
    assert (run.kind, run.name) == ("run", "old")
    assert (function.kind, function.name) == ("callable", "find")
    assert not run.has_name and function.has_name
    both = named_systems([str(tmp_path / "old.trec"), str(tmp_path / "a" / "old.trec")])
    assert [system.name for system in both] == [system.place for system in both]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("hybird", "did you mean 'hybrid'"),
        ("hybrid(weigth=1)", "no option"),
        ("hybrid(weight=much)", "no option"),
        ("hybrid(weight=7)", "out of its range"),
        ("hybrid(fusion=sum)", "out of its range"),
        ("dense(depth=0)", "out of its range"),
        ("lexical(weight=.3)", "no option of lexical, which takes depth=100 and rerank=late"),
        ("hybrid(rerank_weight=1.01)", "out of its range"),
        ("dense(rerank_weight=nan)", "out of its range"),
        ("lexical(rerank_depth=0)", "out of its range"),
        ("lexical(rerank=)", "out of its range"),
        ("rank-bm25,rank-bm25", "2 systems are named"),
        ("", "no system was named"),
    ],
)
def test_what_is_none(names: str, said: str) -> None:
    with pytest.raises(ClozeError, match=said.replace("(", r"\(")):
        named_systems([names])


@pytest.mark.parametrize(
    ("name", "oracle"),
    [("rank-bm25", BM25Okapi), ("rank-bm25-l", BM25L), ("rank-bm25-plus", BM25Plus)],
)
def test_the_baseline_is_rank_bm25_over_our_terms(
    documents: list[Document], name: str, oracle: type[BM25Okapi]
) -> None:
    analyzer = Analyzer()
    terms = {d.id: analyzer.terms(d.title) + analyzer.terms(d.text) for d in documents}
    query = "the quick fish under water"
    wanted = set(analyzer.terms(query))
    scores = dict(
        zip(terms, oracle(list(terms.values())).get_scores(analyzer.terms(query)), strict=True)
    )
    ranked = RankBM25(name, documents, analyzer).rank(query, 30)
    expected = sorted(
        (document for document in terms if wanted & set(terms[document])),
        key=lambda document: (-scores[document], document),
    )[:30]
    assert [document for document, _ in ranked] == expected
    assert dict(ranked) == pytest.approx({document: scores[document] for document in expected})


def test_the_baseline_without_words(documents: list[Document]) -> None:
    baseline = RankBM25("rank-bm25", documents, Analyzer())
    assert baseline.rank("", 10) == baseline.rank("zyzzyva", 10) == []
    with pytest.raises(ClozeError, match="1 have none"):
        RankBM25("rank-bm25", [Document(id="a", text=" ")], Analyzer())


def test_a_function_of_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_search_module.py").write_text("def find(query, top):\n    return [('a', 1)]\n")
    monkeypatch.chdir(tmp_path)
    assert load_callable("my_search_module:find")("q", 1) == [("a", 1)]
    (tmp_path / "fails_on_import.py").write_text("1 / 0\n")
    for place in ("my_search_module:absent", "no_such_module_here:find", "fails_on_import:find"):
        with pytest.raises(ClozeError, match="can't be had"):
            load_callable(place)
    with pytest.raises(ClozeError, match="not a function"):
        load_callable("my_search_module:__doc__")


def test_a_function_that_fails_is_told_by_its_name_and_query() -> None:
    def fails(query: str, top: int) -> list[tuple[str, float]]:
        raise ValueError("boom")

    with pytest.raises(ClozeError, match=r"mine failed on the query 'what' \(ValueError: boom\)"):
        ask("mine", fails, "what", 10)


def test_an_answer_is_put_in_order_and_checked() -> None:
    assert check_answer("mine", [("b", 1), ("c", 2), ("a", 1)]) == [("c", 2), ("a", 1), ("b", 1)]
    for wrong, said in (
        ([("a", 1), ("a", 2)], "twice"),
        ([("a", float("nan"))], "score nan"),
        ([("a", float("inf"))], "score inf"),
        ([("a", 1e39)], "32 bits"),
        (["abc"], "did not return"),
        (3, "did not return"),
    ):
        with pytest.raises(ClozeError, match=said):
            check_answer("mine", wrong)  # type: ignore[arg-type]
