"""Encoding's speed against what users would pick instead, in turn on the same passages."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.bench.figures import machine
from eval.bench.footprint import with_growth
from eval.bench.peak import ROWS, measure_peaks
from eval.bench.peers import ONNX, Encode, load_peer, read_peers, versions
from eval.bench.turns import in_turn, speeds_over
from eval.bench.work import Size, operations, read_size
from indexer.corpus import Corpus
from indexer.encoder import Encoder
from indexer.errors import ClozeError
from indexer.models import DEFAULT_MODEL, find_model
from indexer.runtime.checkpoint import Checkpoint
from indexer.runtime.model import read_tokenizer
from indexer.runtime.precision import AUTO, Precision, has, resolve

# Texts of at least so many tokens, or as many as the model reads, are long; and how many are timed.
_LONG_TOKENS = 256
_LONG_TEXTS = 256
# Texts whose vectors are held against fp32.
_COMPARED = 2_000

Vectors = NDArray[np.float32]
Peaks = Mapping[Precision, Mapping[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """An encoder under test, and its number format."""

    precision: Precision
    encode: Encode


@dataclass(frozen=True, slots=True, kw_only=True)
class _Set:
    """Texts that are timed together, with the tokens that each has for the model."""

    texts: Sequence[str]
    lengths: Sequence[int]


def bench_encode(
    corpus: str,
    documents: int,
    rounds: int,
    *,
    model: str | None,
    precisions: str | None,
    peers: str,
    threads: int,
) -> dict[str, Any]:
    """Encode the first documents of a corpus, title and text, each by every system in turn.

    The first pass of all is not timed; cosines to our fp32 and the growth of memory are of it. Long
    texts are timed by themselves too.

    Raises:
        ClozeError: the corpus is too small, or there is no such model, precision or peer.
    """
    chosen = read_precisions(precisions)
    others, notices = read_peers(peers)
    checkpoint = find_model(model or DEFAULT_MODEL)
    texts = _texts(corpus, documents, checkpoint.document_prompt)
    sets = _sets(texts, checkpoint)
    if "long" not in sets:
        notices.append(f"no text has {min(_LONG_TOKENS, checkpoint.max_tokens)} tokens")
    systems = {f"cloze-{each}": _ours(checkpoint, each, threads) for each in chosen}
    systems |= {each: _peer(each, checkpoint, threads) for each in others}
    first = {name: with_growth(partial(each.encode, texts)) for name, each in systems.items()}
    expected = _ours(checkpoint, "fp32", threads).encode(texts[:_COMPARED])
    size = read_size(checkpoint.folder, checkpoint.dimension)
    peaks = measure_peaks(size.hidden, size.intermediate, threads)
    timed = {
        name: _timed(systems, each, others, rounds, peaks, size) for name, each in sets.items()
    }
    return {
        "bench": "encode",
        "model": checkpoint.name,
        "rounds": rounds,
        "texts": {
            name: {"texts": len(each.texts), "tokens": sum(each.lengths)}
            for name, each in sets.items()
        },
        "peak_gflops": {"product": [ROWS, size.hidden, size.intermediate], **peaks},
        "systems": {
            name: {
                "precision": system.precision,
                "cosine_to_fp32": cosines(first[name][0][:_COMPARED], expected),
                "encoding_mib": first[name][1],
                **{each: figures[name] for each, figures in timed.items()},
            }
            for name, system in systems.items()
        },
        "peers": versions(others),
        "notices": notices,
        "machine": machine(threads),
    }


def read_precisions(asked: str | None) -> list[Precision]:
    """Return the precisions of a list with commas; without one, auto's choice and bf16 if there is.

    Raises:
        ClozeError: one is unknown, or the processor does not have it.
    """
    names = [name.strip() for name in (asked or AUTO).split(",") if name.strip()]
    if not names:
        raise ClozeError(f"--precision is {asked!r}; name one or more, as in int8,bf16")
    found = [resolve(name, "cpu") for name in names]
    if asked is None and has("bf16", "cpu"):
        found.append("bf16")
    return list(dict.fromkeys(found))


def cosines(vectors: Vectors, expected: Vectors) -> dict[str, float]:
    """Return the worst and the mean cosine of vectors to those expected, row by row."""
    norms = np.linalg.norm(vectors, axis=1) * np.linalg.norm(expected, axis=1)
    found = (vectors * expected).sum(1) / norms
    return {"worst": round(float(found.min()), 5), "mean": round(float(found.mean()), 5)}


def _texts(corpus: str, documents: int, prompt: str) -> list[str]:
    chosen = list(islice(Corpus([corpus]), documents))
    if len(chosen) < documents:
        raise ClozeError(
            f"{corpus} has {len(chosen)} documents, asked for {documents}; give --documents "
            f"{len(chosen)} or fewer"
        )
    return [prompt + f"{document.title} {document.text}".strip() for document in chosen]


def _ours(checkpoint: Checkpoint, precision: Precision, threads: int) -> System:
    encoder = Encoder(checkpoint, precision=precision, threads=threads)
    prompt = len(checkpoint.document_prompt)

    def encode(texts: Sequence[str]) -> Vectors:
        return encoder.encode_documents([text[prompt:] for text in texts])

    return System(precision=encoder.precision, encode=encode)


def _peer(name: str, checkpoint: Checkpoint, threads: int) -> System:
    precision: Precision = "int8" if name == ONNX else "fp32"
    return System(precision=precision, encode=load_peer(name, checkpoint, threads))


def _sets(texts: Sequence[str], checkpoint: Checkpoint) -> dict[str, _Set]:
    """Return all texts and, where there are any, the first long ones."""
    limit = checkpoint.max_tokens
    encodings = read_tokenizer(checkpoint).encode_batch(list(texts))
    lengths = [min(len(each.ids), limit) for each in encodings]
    sets = {"all": _Set(texts=texts, lengths=lengths)}
    long = [place for place, each in enumerate(lengths) if each >= min(_LONG_TOKENS, limit)]
    if chosen := long[:_LONG_TEXTS]:
        sets["long"] = _Set(
            texts=[texts[place] for place in chosen], lengths=[lengths[place] for place in chosen]
        )
    return sets


def _timed(
    systems: Mapping[str, System],
    chosen: _Set,
    peers: Sequence[str],
    rounds: int,
    peaks: Peaks,
    size: Size,
) -> dict[str, dict[str, Any]]:
    """Time all systems on a set of texts; return their figures by name."""
    encoders: dict[str, Callable[[Sequence[str]], object]] = {
        name: system.encode for name, system in systems.items()
    }
    in_turn(encoders, [chosen.texts[: len(chosen.texts) // 8 + 1]])
    times = in_turn(encoders, [chosen.texts] * rounds)
    return {
        name: {
            **rates(median(times[name]), chosen.lengths, size, peaks.get(system.precision, {})),
            "speed_over": speeds_over(peers, times, name),
        }
        for name, system in systems.items()
    }


def rates(
    seconds: float, lengths: Sequence[int], size: Size, peak: Mapping[str, float]
) -> dict[str, float | None]:
    """Return what rows of so many tokens, run in so many seconds, make of a machine's peak.

    `peak` has billions of operations a second by way; the share is of the fastest way, None where
    there is none.
    """
    gflops = operations(size, lengths) / seconds / 1e9
    return {
        "seconds": round(seconds, 3),
        "tokens_per_second": round(sum(lengths) / seconds),
        "texts_per_second": round(len(lengths) / seconds, 1),
        "gflops": round(gflops, 1),
        "share_of_peak": round(gflops / max(peak.values()), 3) if peak else None,
    }
