"""The bi-encoder's speed against sentence-transformers' trainer, in turn on the same pairs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch

from eval.bench.figures import machine
from eval.bench.turns import in_turn, speeds_over
from indexer.errors import ClozeError
from indexer.models import find_model
from indexer.runtime.checkpoint import Checkpoint
from indexer.runtime.eager import quiet_transformers
from training.bench.clock import Clock
from training.bench.ours import run_loop, run_until
from training.bench.sentence_peer import SentencePeer, check_sentence_peer
from training.biencoder.batches import Size
from training.biencoder.plan import Plan, length_of, rate_of
from training.biencoder.run import PASSAGES, make_task, open_encoder
from training.biencoder.task import BiEncoding
from training.finetuning.validation import FIGURE, Validation
from training.loop.loop import LoopSettings
from training.loop.optimiser import make_optimiser
from training.loop.schedule import Budget, learning_rate
from training.pairs.example import Example
from training.pairs.holding_out import hold_out
from training.pairs.reading import Pairs

OURS = "cloze"
PEER = "sentence-transformers"
_FORMATS = ("fp32", "bf16")
_WARM_UP_SHARE = 0.2
_HELD_OUT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What is timed: a checkpoint, a step's pairs and their length, how long each system has.

    `seconds` are those of a turn; `equal` asks for so many steps of both, judged on queries held
    out, instead of speed.
    """

    base: str
    batch: int = 32
    length: int | None = None
    rounds: int = 3
    seconds: float = 20.0
    equal: int | None = None
    seed: int = 0
    threads: int = 1


def bench_biencoder(bench: Bench, pairs: Pairs) -> dict[str, Any]:
    """Train by the loop and by the peer in fp32 and bf16 in turn, or compare what both learn.

    Both have the loss with negatives of the batch, a positive of each query, batches and lengths
    alike.

    Raises:
        ClozeError: the pairs are too few for a batch, or a package is missing.
    """
    check_sentence_peer()
    quiet_transformers()
    torch.set_num_threads(bench.threads)
    base = find_model(bench.base)
    train, held_out = hold_out(pairs, min(_HELD_OUT, len(pairs.examples) // 10))
    examples = tuple(
        Example(query=each.query, positives=each.positives[:1]) for each in train
    )  # one positive each and no negatives, so that both see the same texts
    if len(examples) < bench.batch:
        raise ClozeError(
            f"there are {len(examples):,} pairs to train on and a batch takes {bench.batch}; give "
            "more pairs, or a smaller --batch"
        )
    validation = Validation(held_out, examples, PASSAGES)
    if bench.equal:
        measured = {"learning": _learning(bench, base, examples, validation)}
    else:
        measured = _speed(bench, base, examples, validation)
    return {
        "bench": "biencoder",
        "from": base.name,
        "batch": bench.batch,
        "length": length_of(_plan(bench, "fp32"), base),
        "pairs": {"train": len(examples), "held_out": len(held_out)},
        **measured,
        "peers": {
            package: version(package)
            for package in ("accelerate", "datasets", "sentence-transformers", "transformers")
        },
        "machine": machine(bench.threads),
    }


def _plan(bench: Bench, precision: str) -> Plan:
    return Plan(
        base=bench.base, budget=Budget(unit="steps", amount=bench.equal or 1),
        size=Size(batch=bench.batch, negatives=0), length=bench.length, precision=precision,
        seed=bench.seed,
    )  # fmt: skip


def _task(
    bench: Bench, base: Checkpoint, examples: tuple[Example, ...], validation: Validation,
    precision: str,
) -> BiEncoding:  # fmt: skip
    plan = _plan(bench, precision)
    return make_task(plan, open_encoder(plan, base), examples, validation, tell=lambda line: None)


def _peer(
    bench: Bench, base: Checkpoint, examples: Sequence[Example], *, bf16: bool
) -> SentencePeer:
    return SentencePeer(
        base.folder, [(each.query, each.positives[0]) for each in examples], batch=bench.batch,
        length=length_of(_plan(bench, "fp32"), base), bf16=bf16,
    )  # fmt: skip


def _speed(
    bench: Bench, base: Checkpoint, examples: tuple[Example, ...], validation: Validation
) -> dict[str, Any]:
    """Time all systems in turn; the first round warms up, and isn't kept."""
    rate = rate_of(_plan(bench, "fp32"), base)
    turns: dict[str, Callable[[float], Clock]] = {}
    for precision in _FORMATS:
        task = _task(bench, base, examples, validation, precision)
        turns[f"{OURS}-{precision}"] = partial(_turn, task, bench.batch, rate)
        turns[f"{PEER}-{precision}"] = _peer(bench, base, examples, bf16=precision == "bf16").turn
    clocks: dict[str, list[Clock]] = {name: [] for name in turns}

    def system(name: str) -> Callable[[float], None]:
        return lambda seconds: clocks[name].append(turns[name](seconds))

    lengths = [_WARM_UP_SHARE * bench.seconds, *[bench.seconds] * bench.rounds]
    in_turn({name: system(name) for name in turns}, lengths)
    times = {name: [1 / clock.rate() for clock in each[1:]] for name, each in clocks.items()}
    peers = [name for name in times if name.startswith(PEER)]
    return {
        "rounds": bench.rounds,
        "seconds_a_turn": bench.seconds,
        "systems": {
            name: {
                "pairs_per_second": round(median(1 / time for time in each), 1),
                "each": [round(1 / time, 1) for time in each],
                "speed_over": speeds_over(peers, times, name),
            }
            for name, each in times.items()
        },
    }


def _turn(task: BiEncoding, batch: int, rate: float, seconds: float) -> Clock:
    """Train for some seconds after the steps that aren't timed."""
    clock = Clock()

    def is_over(glance: Any) -> bool:  # noqa: ANN401 - a glance
        clock.tick(glance.step * batch)
        return clock.has_timed(seconds)

    run_until(task, rate, is_over)
    return clock


def _learning(
    bench: Bench, base: Checkpoint, examples: tuple[Example, ...], validation: Validation
) -> dict[str, Any]:
    """Train both from the same weights for as many steps, and judge both by our validation.

    Optimiser and schedule are ours for both; orders of the pairs, and so the batches, differ.
    """
    steps = bench.equal or 1
    rate = rate_of(_plan(bench, "fp32"), base)
    settings = LoopSettings(budget=Budget(unit="steps", amount=steps), rate=rate, evaluate=1.0)
    task = _task(bench, base, examples, validation, "fp32")
    before = task.evaluate()[FIGURE]
    ours = run_loop(task, settings, lambda glance: None).figures[FIGURE]
    peer = _peer(bench, base, examples, bf16=False)
    make = partial(make_optimiser, decay=settings.decay, betas=settings.betas)
    peer.learn(steps, make, partial(learning_rate, rate, settings.warmup))
    with TemporaryDirectory() as folder:
        peer.model.save(folder, create_model_card=False)
        theirs = _task(bench, find_model(folder), examples, validation, "fp32").evaluate()[FIGURE]
    return {
        "steps": steps,
        "rate": rate,
        "figure": FIGURE,
        "before": round(before, 4),
        OURS: round(ours, 4),
        PEER: round(theirs, 4),
        "difference": round(ours - theirs, 4),
    }
