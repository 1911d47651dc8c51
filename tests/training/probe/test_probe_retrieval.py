"""Retrieval by a layer's vectors on a collection small enough to rank by hand."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from eval.measures import score
from eval.runs import Run
from indexer.documents import Document
from indexer.errors import ClozeError
from training.probe.retrieval import (
    MEASURE,
    Retrieval,
    judge,
    judge_words,
    passage_text,
    read_pairs,
)

SMALL = Retrieval(
    name="small",
    documents=[Document(id=each, text=each) for each in ("a", "b", "c")],
    queries={"first": "x", "second": "y"},
    qrels={"first": {"a": 1}, "second": {"c": 1}},
)
PASSAGES = np.array([[1.0, 0.0], [0.0, 5.0], [0.7, 0.7]], dtype=np.float32)


def test_figures_by_hand() -> None:
    # Of the first query the order is a c b; of the second b c a, its answer second.
    queries = np.array([[9.0, 1.0], [0.1, 3.0]], dtype=np.float32)
    assert judge(SMALL, PASSAGES, queries).tolist() == pytest.approx([1.0, 1 / math.log2(3)])


def test_length_does_not_count_and_equals_stand_by_id() -> None:
    ids = [f"{number:03}" for number in range(300)]
    many = Retrieval(
        name="many",
        documents=[Document(id=each, text=each) for each in ids],
        queries={"first": "x", "second": "y"},
        qrels={"first": {"003": 1}, "second": {"009": 1}},
    )
    # Every third passage is the best one there is: in order 000, 003, 006, 009.
    passages = np.tile(np.array([[1, 0], [0, 1], [-1, 0]], dtype=np.float32), (100, 1))
    found = judge(many, passages, np.array([[2.0, 0.0]] * 2, dtype=np.float32))
    assert found.tolist() == pytest.approx([1 / math.log2(3), 1 / math.log2(5)])
    stretched = PASSAGES * np.array([[0.01], [1], [100]], dtype=np.float32)
    queries = np.array([[1.0, 0.2], [0.5, 0.6]], dtype=np.float32)
    assert judge(SMALL, stretched, queries).tolist() == judge(SMALL, PASSAGES, queries).tolist()


def test_figures_are_those_of_a_full_ranking() -> None:
    choose = np.random.default_rng(0)
    ids = [f"{number:02}" for number in range(30)]
    queries = {f"q{number}": "" for number in range(8)}
    qrels = {query: {each: 1 for each in choose.choice(ids, 4, replace=False)} for query in queries}
    found = Retrieval(
        name="r",
        documents=[Document(id=each, text=each) for each in ids],
        queries=queries,
        qrels=qrels,
    )
    passages, asked = (choose.normal(size=(count, 6)).astype(np.float32) for count in (30, 8))
    ranked = {}
    for row, query in enumerate(queries):
        cosine = {
            each: float(asked[row] @ passage / np.linalg.norm(asked[row]) / np.linalg.norm(passage))
            for each, passage in zip(ids, passages, strict=True)
        }
        ranked[query] = sorted(cosine.items(), key=lambda item: (-item[1], item[0]))
    expected = score(qrels, Run(name="r", ranked=ranked), [MEASURE])[MEASURE]
    assert judge(found, passages, asked).tolist() == pytest.approx(list(expected.values()))


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "small.jsonl"
    rows = [
        {"query": "who eats fish", "positive": "a bear eats fish", "title": "bears"},
        {"query": "where do bears sleep", "positive": "it sleeps in winter", "title": "bears"},
        {"query": "who flies", "positive": "a bird flies south", "title": ""},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_pairs_are_a_collection(pairs: Path) -> None:
    found = read_pairs(pairs)
    assert found.name == "small"
    texts = {document.id: passage_text(document) for document in found.documents}
    assert list(texts) == sorted(texts)
    assert set(texts.values()) == {
        "bears a bear eats fish", "bears it sleeps in winter", "a bird flies south",
    }  # fmt: skip
    answers = {
        found.queries[query]: [texts[each] for each in graded]
        for query, graded in found.qrels.items()
    }
    assert answers["where do bears sleep"] == ["bears it sleeps in winter"]
    assert judge_words(found) == pytest.approx(1)  # each answer alone has its words


def test_a_line_that_is_no_pair_is_named(pairs: Path) -> None:
    pairs.write_text(pairs.read_text() + '{"query": "alone"}\n')
    with pytest.raises(ClozeError, match=r"small\.jsonl:4: not a pair"):
        read_pairs(pairs)
