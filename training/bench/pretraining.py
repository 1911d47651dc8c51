"""Pretraining's speed against Hugging Face's Trainer, in turn on the same text."""

from copy import deepcopy
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import torch

from eval.bench.figures import machine
from eval.bench.peak import ROWS, measure_peaks
from eval.bench.turns import in_turn, speeds_over
from indexer.caches import cache_home
from indexer.errors import ClozeError
from indexer.runtime.eager import quiet_transformers
from indexer.runtime.precision import has
from training.bench.clock import Clock
from training.bench.examples import Example, Source, beginnings, count_tokens
from training.bench.kinds import profile_steps
from training.bench.learning import compare_learning
from training.bench.model import ModelSize, make_model, read_model_size
from training.bench.ours import Turn, make_task, take_turn
from training.bench.peer import BATCH, Peer, check_peers
from training.masking import Vocabulary
from training.plan import RATES
from training.pretraining import Pretraining
from training.sequences import PAIRINGS, Corruption
from training.shards.writing import write_shards
from training.text import Advance

if TYPE_CHECKING:
    from transformers import BertForPreTraining

OURS = "cloze"
FP32 = "transformers"
BF16 = "transformers-bf16"
# Documents that the peers' epochs are made of: more than a turn takes.
_DOCUMENTS = 2_048
_RATE = 5e-4
_WARM_UP_SHARE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What is timed on what: a model's size, text, and how long each system has at a time.

    `seconds` are those of a turn, `dropout` the peers' (ours has none); `equal_tokens` asks for a
    comparison of what is learned from so many tokens instead of speed.
    """

    texts: tuple[str, ...]
    tokenizer: str
    arch: str
    objective: str = "mlm+nsp"
    length: int = 128
    batch_tokens: int = 4096
    rounds: int = 3
    seconds: float = 20.0
    rate: float | None = None
    dropout: float = 0.1
    equal_tokens: int | None = None
    seed: int = 0
    threads: int = 1


def bench_pretrain(bench: Bench, *, reading: Advance | None) -> dict[str, Any]:
    """Train by the loop and by Trainer in fp32 and bf16 in turn, or compare what both learn.

    Raises:
        ClozeError: there is no such size or objective, the text or a turn is too small, or a
            package is missing.
    """
    check_peers()
    size, corruption = read_model_size(bench.arch), _corruption(bench.objective)
    quiet_transformers()
    torch.set_num_threads(bench.threads)
    tokenizer = Path(bench.tokenizer).expanduser()
    vocabulary = Vocabulary.of(tokenizer)
    shards = write_shards(bench.texts, tokenizer, home=cache_home() / "shards", progress=reading)
    source = Source(
        shards=shards, vocabulary=vocabulary, corruption=corruption, width=bench.length,
        seed=bench.seed,
    )  # fmt: skip
    model = make_model(size, vocabulary.size, vocabulary.pad, bench.seed, dropout=bench.dropout)
    rate = bench.rate or RATES.get(bench.arch, _RATE)
    precision = "bf16" if has("bf16", "cpu") else "fp32"
    if bench.equal_tokens:
        measured = {
            "learning": compare_learning(
                model, source, tokenizer, tokens=bench.equal_tokens,
                batch_tokens=bench.batch_tokens, rate=rate, precision=precision,
            )
        }  # fmt: skip
    else:
        measured = _speed(bench, size, model, source, precision, rate)
    return {
        "bench": "pretrain",
        "arch": bench.arch,
        "layers": size.layers,
        "hidden": size.hidden,
        "parameters": model.num_parameters(),
        "vocabulary": vocabulary.size,
        "objective": bench.objective,
        "length": bench.length,
        "batch_tokens": bench.batch_tokens,
        "precision": precision,
        "peers_dropout": bench.dropout,
        "text": {"documents": shards.documents, "tokens": shards.tokens},
        **measured,
        "peers": {package: version(package) for package in ("accelerate", "transformers")},
        "machine": machine(bench.threads),
    }


def _corruption(objective: str) -> Corruption:
    known = {"mlm": None} | {f"mlm+{name}": name for name in PAIRINGS}
    if objective not in known:
        raise ClozeError(f"--objective is {objective!r}; choose of {', '.join(known)}")
    return Corruption(pairing=known[objective])


def _speed(
    bench: Bench,
    size: ModelSize,
    model: "BertForPreTraining",
    source: Source,
    precision: str,
    rate: float,
) -> dict[str, Any]:
    """Time all systems in turn, ours by kind of operation too."""
    examples = beginnings(source, _DOCUMENTS)
    if len(examples) < BATCH:
        raise ClozeError(
            f"the text has {len(examples)} documents to train on and a batch of Trainer's takes "
            f"{BATCH}; give more text"
        )
    task = make_task(deepcopy(model), source, bench.batch_tokens, precision)
    peers = {
        name: Peer(deepcopy(model), examples, Path(bench.tokenizer).expanduser(), bf16=bf16)
        for name, bf16 in ((FP32, False), (BF16, True))
    }
    turns, clocks = _turns(bench, task, size, peers, rate)
    times = {name: [1 / clock.rate() for clock in each] for name, each in clocks.items()}
    peaks = measure_peaks(size.hidden, size.inner, bench.threads)
    peak = peaks["bf16" if precision == "bf16" else "fp32"]
    figures: dict[str, dict[str, Any]] = {
        OURS: _our_figures(turns, max(peak.values())),
        **{name: {"filled": round(peer.tokens / peer.places, 4)} for name, peer in peers.items()},
    }
    return {
        "rounds": bench.rounds,
        "seconds_a_turn": bench.seconds,
        "examples": _told(examples),
        "peak_gflops": {"product": [ROWS, size.hidden, size.inner], precision: peak},
        "systems": {
            name: {
                "tokens_per_second": round(median(1 / time for time in times[name])),
                "each": [round(1 / time) for time in times[name]],
                "speed_over": speeds_over(peers, times, name),
                **figures[name],
            }
            for name in times
        },
        "profile": profile_steps(task, rate, source.vocabulary.size),
    }


def _turns(
    bench: Bench, task: Pretraining, size: ModelSize, peers: dict[str, Peer], rate: float
) -> tuple[list[Turn], dict[str, list[Clock]]]:
    """Let every system train for a while in turn; return our turns, and the clocks of all.

    The first round warms up, and isn't kept.
    """
    turns: list[Turn] = []
    clocks: dict[str, list[Clock]] = {name: [] for name in (OURS, *peers)}

    def ours(seconds: float) -> None:
        turns.append(take_turn(task, size, rate, seconds))
        clocks[OURS].append(turns[-1].clock)

    systems = {OURS: ours}
    for name, peer in peers.items():
        systems[name] = lambda seconds, name=name, peer=peer: clocks[name].append(  # type: ignore[misc]
            peer.turn(seconds)
        )
    in_turn(systems, [_WARM_UP_SHARE * bench.seconds, *[bench.seconds] * bench.rounds])
    return turns[1:], {name: each[1:] for name, each in clocks.items()}


def _our_figures(turns: list[Turn], peak: float) -> dict[str, Any]:
    """Return medians over the turns; `model` is of the forward and backward passes alone."""
    gflops = median(turn.gflops for turn in turns)
    return {
        "filled": round(median(turn.filled for turn in turns), 4),
        "waiting": round(median(turn.waiting for turn in turns), 4),
        "model": {
            "share_of_time": round(median(turn.inside for turn in turns), 4),
            "gflops": round(gflops, 1),
            "share_of_peak": round(gflops / peak, 3),
        },
    }


def _told(examples: list[Example]) -> dict[str, float]:
    return {
        "documents": len(examples),
        "mean_tokens": round(count_tokens(examples) / len(examples), 1),
    }
