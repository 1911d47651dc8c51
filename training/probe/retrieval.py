"""Dense retrieval from one layer: question and passage pairs as a collection, searched exactly."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eval.baselines import RankBM25
from eval.collections import open_collection
from eval.development import Sample, build_collection
from eval.judgements import Qrels
from eval.measures import score
from eval.runs import Run
from indexer.analysis import Analyzer
from indexer.documents import Document
from indexer.errors import ClozeError
from training.probe.similarity import unit

MEASURE = "nDCG@10"
_DEPTH = 10
_SAMPLE = Sample(documents=1_000, queries=500)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieval:
    """A collection in memory: documents by id, the questions of its split dev, judgements."""

    name: str
    documents: Sequence[Document]
    queries: Mapping[str, str]
    qrels: Qrels


def read_pairs(path: Path) -> Retrieval:
    """Make a collection of a file of pairs, as `cloze collection from-pairs` does.

    At most 1,000 passages and 500 questions, chosen by the hash of their texts.

    Raises:
        ClozeError: the file can't be read, or a line is no pair.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "pairs"
        build_collection(path, folder, _SAMPLE)
        collection = open_collection(str(folder), "dev")
        if collection.corpus is None:
            raise ClozeError(f"{path} holds no passages; give lines with query and positive")
        documents = sorted(collection.corpus(), key=lambda document: document.id)
    return Retrieval(
        name=path.name.partition(".")[0],
        documents=documents,
        queries=collection.queries,
        qrels=collection.qrels,
    )


def passage_text(document: Document) -> str:
    """Return what is encoded of a document: its title in front of its text."""
    return f"{document.title} {document.text}".strip()


def judge(
    found: Retrieval, passages: NDArray[np.float32], queries: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return nDCG@10 of each query when documents are ranked by the cosine of their vectors.

    [documents, hidden], [queries, hidden] -> [queries]; equal cosines stand by document id.
    """
    cosines = unit(queries) @ unit(passages).T  # [queries, documents]
    # Documents are in the order of their ids, so a stable sort keeps ties in it.
    best = np.argsort(-cosines, axis=1, kind="stable")[:, :_DEPTH]
    ranked = {
        query: [(found.documents[place].id, float(cosines[row, place])) for place in best[row]]
        for row, query in enumerate(found.queries)
    }
    return _judged(found, ranked)


def judge_words(found: Retrieval) -> float:
    """Return the mean nDCG@10 of BM25 by the package rank-bm25, words stemmed as English."""
    ranking = RankBM25("rank-bm25", found.documents, Analyzer())
    ranked = {query: ranking.rank(text, _DEPTH) for query, text in found.queries.items()}
    return float(_judged(found, ranked).mean())


def _judged(
    found: Retrieval, ranked: Mapping[str, Sequence[tuple[str, float]]]
) -> NDArray[np.float64]:
    values = score(found.qrels, Run(name=found.name, ranked=ranked), [MEASURE])[MEASURE]
    return np.array([values[query] for query in found.queries])
