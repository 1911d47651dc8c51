"""How well an encoder retrieves the passages of held-out queries, by our own evaluation."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from eval.judgements import Qrels
from eval.measures import score
from eval.runs import Run
from training.finetuning.encoder import TextEncoder
from training.losses.matryoshka import cut
from training.pairs.example import Example
from training.pairs.identity import digest

MEASURE = "nDCG@10"
FIGURE = "ndcg@10"
_DEPTH = 10
# Of each held-out query, so that an evaluation takes no longer for more of them.
_NEGATIVES = 5


class Validation:
    """A small collection: the passages of all given examples, the queries of the held-out ones.

    Passages are the positives and the first five negatives of each held-out example, and of the
    training's positives as many as `size` lacks, from all of the file, so that there is something
    to confuse them with.
    """

    def __init__(self, held_out: Sequence[Example], training: Sequence[Example], size: int) -> None:
        """Collect the passages; those that are equal by `identity` are one."""
        passages: dict[bytes, str] = {}
        for example in held_out:
            for text in (*example.positives, *example.negatives[:_NEGATIVES]):
                passages.setdefault(digest(text), text)
        lacking = max(0, size - len(passages))
        for example in training[:: max(1, len(training) // max(1, lacking))]:
            if len(passages) >= size:
                break
            passages.setdefault(digest(example.positives[0]), example.positives[0])
        self._passages = list(passages.values())
        self._queries = [each.query for each in held_out]
        ids = {key: _id(place) for place, key in enumerate(passages)}
        self._qrels: Qrels = {
            _id(place): {ids[digest(text)]: 1 for text in each.positives}
            for place, each in enumerate(held_out)
        }

    def run(self, encoder: TextEncoder, dims: Sequence[int] = ()) -> dict[str, float]:
        """Return the mean nDCG@10 of the held-out queries, ranked by cosine.

        Each of `dims` gets a figure too: that of vectors cut to so many dimensions.
        """
        passages = encoder.encode(encoder.documents(self._passages))
        queries = encoder.encode(encoder.queries(self._queries))
        figures = {FIGURE: self._judge(queries, passages)}
        for dimension in dims:
            if dimension < queries.shape[1]:
                name = f"{FIGURE}/{dimension}"
                figures[name] = self._judge(cut(queries, dimension), cut(passages, dimension))
        return figures

    def _judge(self, queries: Tensor, passages: Tensor) -> float:
        return self.judge((queries @ passages.T).cpu().numpy())

    def judge(self, scores: NDArray[np.float32]) -> float:
        """Return the mean nDCG@10 of scores, [queries, passages]; equal ones stand by passage."""
        best = np.argsort(-scores, axis=1, kind="stable")[:, :_DEPTH]
        ranked = {
            _id(query): [(_id(int(place)), float(scores[query, place])) for place in best[query]]
            for query in range(len(scores))
        }
        values = score(self._qrels, Run(name="held out", ranked=ranked), [MEASURE])[MEASURE]
        return float(np.mean(list(values.values())))


def _id(place: int) -> str:
    return f"{place:09d}"
