import json
from pathlib import Path

import bm25s
import numpy as np
import pytest

from cloze import Settings
from eval.measures import mean, score
from eval.runs import Ranked, Run
from indexer.analysis import Analyzer
from indexer.corpus import Corpus
from indexer.documents import Document
from search.index import Index

DEPTH = 100


@pytest.mark.parametrize("name", ["scifact", "cranfield", "cacm", "med"])
def test_ndcg_is_that_of_bm25s(name: str, real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "collections" / name
    documents = list(Corpus([str(folder)]))
    queries, qrels = read_judged(folder)
    ours = mean_ndcg(qrels, our_answers(documents, queries, tmp_path / "index"))
    reference = mean_ndcg(qrels, bm25s_answers(documents, queries))
    assert reference > 0.3
    assert ours == pytest.approx(reference, abs=0.005)


def read_judged(folder: Path) -> tuple[dict[str, str], dict[str, dict[str, int]]]:
    qrels: dict[str, dict[str, int]] = {}
    for line in (folder / "qrels" / "test.tsv").read_text().splitlines()[1:]:
        query, document, grade = line.split("\t")
        qrels.setdefault(query, {})[document] = int(grade)
    lines = (folder / "queries.jsonl").read_text().splitlines()
    texts = {entry["_id"]: entry["text"] for entry in map(json.loads, lines)}
    return {query: texts[query] for query in qrels}, qrels


def our_answers(
    documents: list[Document], queries: dict[str, str], folder: Path
) -> dict[str, Ranked]:
    with Index.open(folder, Settings(lexical_only=True)) as index:
        index.add(documents)
        return {
            query: list(index.rank(text, top=DEPTH, mode="lexical"))
            for query, text in queries.items()
        }


def bm25s_answers(documents: list[Document], queries: dict[str, str]) -> dict[str, Ranked]:
    analyzer = Analyzer()
    reference = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    terms = [analyzer.terms(each.title) + analyzer.terms(each.text) for each in documents]
    reference.index(terms, show_progress=False)
    answers: dict[str, Ranked] = {}
    for query, text in queries.items():
        known = [term for term in analyzer.terms(text) if term in reference.vocab_dict]
        scores = reference.get_scores(known)
        best = np.argsort(-scores, kind="stable")[:DEPTH]
        answers[query] = [(documents[at].id, float(scores[at])) for at in best if scores[at] > 0]
    return answers


def mean_ndcg(qrels: dict[str, dict[str, int]], ranked: dict[str, Ranked]) -> float:
    return mean(score(qrels, Run(name="lexical", ranked=ranked), ["nDCG@10"])["nDCG@10"])
