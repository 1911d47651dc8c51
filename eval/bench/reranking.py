"""Reranking's speed against sentence-transformers' CrossEncoder, in turn on the same pairs."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from eval.bench.encoding import read_precisions
from eval.bench.figures import machine
from eval.bench.head import SEED, write_with_head
from eval.bench.inside import share_inside
from eval.bench.pairs import make_pairs
from eval.bench.peers import SENTENCE_TRANSFORMERS, read_peers, versions
from eval.bench.turns import in_turn, speeds_over
from indexer.corpus import Corpus
from indexer.errors import ClozeError
from indexer.models import DEFAULT_MODEL, find_classifier, find_model
from indexer.runtime.classifier import ClassifierCheckpoint
from indexer.runtime.model import read_tokenizer
from indexer.runtime.pairs import PairTokenizer
from indexer.runtime.precision import Precision
from search.queries import read_queries
from search.reranking.crossencoder import CrossEncoder

Pairs: TypeAlias = Sequence[tuple[str, str]]
Predict: TypeAlias = Callable[[Pairs], NDArray[np.float32]]

_MOST_QUERIES = 20


def bench_rerank(
    corpus: str,
    pairs: int,
    tokens: int,
    rounds: int,
    *,
    model: str | None,
    precisions: str | None,
    search: tuple[str, str] | None,
    threads: int,
) -> dict[str, Any]:
    """Score pairs of one query and passages of a corpus, by every system in turn.

    Without a model the default encoder gets a random head. `search` is an index and a queries file:
    its first 20 queries are searched, hybrid with as many documents reranked in the first precision
    named, and the time inside the models is told.

    Raises:
        ClozeError: the corpus is too small, or there is no such model, precision, index or file.
    """
    chosen = read_precisions(precisions)
    asked = chosen[0] if precisions else None
    with ExitStack() as stack:
        name, notices = model or f"{DEFAULT_MODEL}, random head", []
        if model is None:
            place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            model = str(write_with_head(find_model(DEFAULT_MODEL), place))
            notices.append(f"the head is random, seed {SEED}: agreement is of the numbers alone")
        checkpoint = find_classifier(model)
        made = make_pairs(Corpus([corpus]), read_tokenizer(checkpoint), pairs, tokens)
        tokens_made = _tokens(checkpoint, made)
        peers, missing = read_peers("st")
        systems: dict[str, Predict] = {
            f"cloze-{each}": CrossEncoder(checkpoint, precision=each, threads=threads).predict
            for each in chosen
        }
        if peers:
            systems[SENTENCE_TRANSFORMERS] = _theirs(checkpoint, threads)
        expected = CrossEncoder(checkpoint, precision="fp32", threads=threads).predict(made)
        return {
            "bench": "rerank",
            "model": name,
            "pairs": pairs,
            "tokens": tokens_made,
            "rounds": rounds,
            "systems": _timed(systems, made, tokens_made, peers, rounds, expected),
            "search": _searched(search, model, pairs, threads, asked) if search else None,
            "peers": versions(peers),
            "notices": notices + missing,
            "machine": machine(threads),
        }


def _timed(
    systems: Mapping[str, Predict],
    pairs: Pairs,
    tokens: int,
    peers: Sequence[str],
    rounds: int,
    expected: NDArray[np.float32],
) -> dict[str, dict[str, Any]]:
    """Time all systems on the pairs after a pass that is not timed; return figures by name."""
    found = {name: predict(pairs) for name, predict in systems.items()}
    times = in_turn(systems, [pairs] * rounds)
    return {
        name: {
            "ms": round(median(taken) * 1000, 2),
            "pairs_per_second": round(len(pairs) / median(taken), 1),
            "tokens_per_second": round(tokens / median(taken)),
            "speed_over": speeds_over(peers, times, name),
            "to_fp32": agreement(found[name], expected),
        }
        for name, taken in times.items()
    }


def _searched(
    search: tuple[str, str], model: str, depth: int, threads: int, precision: Precision | None
) -> dict[str, Any]:
    index, queries = search
    texts = [text for _, text in islice(read_queries(queries), _MOST_QUERIES)]
    if not texts:
        raise ClozeError(f"{queries} has 0 queries, expected one or more; add a line")
    return share_inside(index, texts, model, depth, threads, precision)


def agreement(scores: NDArray[np.float32], expected: NDArray[np.float32]) -> dict[str, float]:
    """Hold scores against those expected: Spearman's correlation, and the largest difference.

    sentence-transformers gives one label's score as a probability, so its differences say little.
    """
    return {
        "spearman": round(float(spearmanr(scores, expected).statistic), 5),
        "largest_difference": round(float(np.abs(scores - expected).max()), 5),
    }


def _theirs(checkpoint: ClassifierCheckpoint, threads: int) -> Predict:
    """Load sentence-transformers' CrossEncoder, as it comes."""
    import torch
    from sentence_transformers import CrossEncoder as Theirs

    torch.set_num_threads(threads)
    model = Theirs(str(checkpoint.folder), device="cpu", local_files_only=True)
    return lambda pairs: model.predict(list(pairs))


def _tokens(checkpoint: ClassifierCheckpoint, pairs: Pairs) -> int:
    tokenizer = read_tokenizer(checkpoint)
    rows = PairTokenizer(tokenizer, checkpoint.max_tokens, checkpoint.name).rows(pairs)
    return sum(len(row.ids) for row in rows)
