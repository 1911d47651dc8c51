"""Run files: trec_eval's order, every malformed line named, round trips."""

import gzip
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from eval.runs import Run, read_run, write_run
from indexer.errors import ClozeError
from search.runs import column

# 1 and the next float32, and what lies between and rounds to one of them.
CLOSE = [0.0, -0.0, 1.0, 1.0 + 1e-9, 1.0 + 1.2e-7, 1.0 + 1.1e-7, 0.5, -3.0, 1e-46]
IDS = st.text(st.characters(exclude_characters="\ufeff", exclude_categories=["Cs"]), min_size=1)


def file(folder: Path, content: str, name: str = "run.trec") -> Path:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


def test_a_run_by_hand(tmp_path: Path) -> None:
    content = (
        "q1 Q0 a 1 0.5 bm25\nq1 Q0 b 9 2 bm25\n\nq2 Q0 a 1 1e3 bm25\n"
        "q1\tQ0\tc\t1\t0.5\tother\nq1 Q0 B 1 0.5 bm25\r\n"
    )
    run = read_run(file(tmp_path, content))
    assert run.name == "bm25"
    assert run.ranked == {
        "q1": [("b", 2.0), ("c", 0.5), ("a", 0.5), ("B", 0.5)],
        "q2": [("a", 1000.0)],
    }
    packed = tmp_path / "run.trec.gz"
    packed.write_bytes(gzip.compress(content.encode()))
    assert read_run(packed, name="mine") == Run(name="mine", ranked=run.ranked)


def test_an_empty_run_is_named_by_its_file(tmp_path: Path) -> None:
    packed = tmp_path / "dense.trec.gz"
    packed.write_bytes(gzip.compress(b"\n"))
    assert read_run(packed) == Run(name="dense", ranked={})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("q Q0 d 1 1.0", "5 columns where a run has 6"),
        ("q Q0 d 1 1.0 my tag", "7 columns"),
        ("q Q0 d 1 high tag", "the score 'high' of the document 'd'"),
        ("q Q0 d 1 nan tag", "the score 'nan'"),
        ("q Q0 d 1 -inf tag", "the score '-inf'"),
        ("q Q0 d 1 1e39 tag", "the score '1e39'"),
        ("q Q0 d 1 1_0 tag", "the score '1_0'"),
        ("q Q0 d 1 \u0661\u0662 tag", "the score '\u0661\u0662'"),
        ("q Q0 x 2 0.5 tag", "the document 'x' comes twice for the query 'q'"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = file(tmp_path, f"q Q0 x 1 1.0 tag\n\nr Q0 x 1 1.0 tag\n{line}\n")
    with pytest.raises(ClozeError, match=message) as error:
        read_run(path)
    assert str(error.value).startswith(f"{path}:4: ")


@given(
    st.dictionaries(
        st.text("abAB19é中😀", min_size=1, max_size=3), st.sampled_from(CLOSE), min_size=1
    )
)
def test_the_order_is_that_of_trec_eval(
    tmp_path_factory: pytest.TempPathFactory, scores: dict[str, float]
) -> None:
    path = tmp_path_factory.getbasetemp() / "ordered.trec"
    path.write_text(
        "".join(f"q Q0 {document} 0 {score!r} t\n" for document, score in scores.items())
    )
    order = [document for document, _ in read_run(path).ranked["q"]]
    # One query for each document, so that the reciprocal rank tells where trec_eval has it.
    qrels = {document: {document: 1} for document in scores}
    evaluator = pytrec_eval.RelevanceEvaluator(qrels, {"recip_rank"})
    found = evaluator.evaluate(dict.fromkeys(scores, scores))
    ranks = {document: round(1 / values["recip_rank"]) for document, values in found.items()}
    assert order == sorted(ranks, key=lambda document: ranks[document])


@given(
    st.dictionaries(
        IDS.map(column),
        st.dictionaries(IDS.map(column), st.sampled_from(CLOSE) | st.floats(-1e6, 1e6), min_size=1),
        max_size=3,
    ),
    IDS,
)
def test_what_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, scores: dict[str, dict[str, float]], name: str
) -> None:
    ranked = {
        query: sorted(found.items(), key=lambda pair: -np.float32(pair[1]))
        for query, found in scores.items()
    }
    path = tmp_path_factory.getbasetemp() / "written.trec"
    write_run(path, Run(name=name, ranked=ranked))
    read = read_run(path)
    assert read.name == (column(name) if ranked else "written")
    assert {query: [pair[0] for pair in found] for query, found in read.ranked.items()} == {
        query: [pair[0] for pair in found] for query, found in ranked.items()
    }
    for query, found in read.ranked.items():
        assert all(first[1] > second[1] for first, second in pairwise(found))
        expected = [score for _, score in ranked[query]]
        assert [score for _, score in found] == pytest.approx(expected, abs=1e-5, rel=1e-5)


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        write_run(tmp_path / "r", Run(name="r", ranked={"q": [("a", 1.0), ("\ud800", 0.5)]}))
    assert list(tmp_path.iterdir()) == []
    write_run(tmp_path / "r", Run(name="r", ranked={"q": [("a", 1.0)]}, tag="my run"))
    assert (tmp_path / "r").read_text() == "q Q0 a 1 1.0 my%20run\n"
    with pytest.raises(ClozeError, match="can't be written"):
        write_run(tmp_path / "none" / "r", Run(name="r", ranked={}))
