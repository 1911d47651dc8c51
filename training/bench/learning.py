"""Whether the loop learns what Trainer does: both from the same weights, on as many tokens."""

from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.bench.examples import Source, count_tokens, first_sequences
from training.bench.ours import make_task, run_loop
from training.bench.peer import Peer
from training.loop.loop import LoopSettings
from training.loop.optimiser import make_optimiser
from training.loop.schedule import Budget, learning_rate

if TYPE_CHECKING:
    from transformers import BertForPreTraining


def compare_learning(
    model: "BertForPreTraining",
    source: Source,
    tokenizer: Path,
    *,
    tokens: int,
    batch_tokens: int,
    rate: float,
    precision: str,
) -> dict[str, Any]:
    """Train copies of a model on the same texts, and judge both on what neither saw.

    Both follow the same optimiser and schedule by tokens, with as many tokens a step: ours packed,
    Trainer's padded, in fp32. The held-out sequences, their masks and the code that judges are the
    same; `difference` is that of ours to Trainer's, relative.
    """
    settings = LoopSettings(budget=Budget(unit="tokens", amount=tokens), rate=rate, evaluate=1.0)
    task = make_task(deepcopy(model), source, batch_tokens, precision)
    before = task.evaluate()
    outcome = run_loop(task, settings, lambda glance: None)
    examples = first_sequences(source, tokens)
    batch = max(1, round(batch_tokens * len(examples) / count_tokens(examples)))
    theirs = deepcopy(model)
    peer = Peer(theirs, examples, tokenizer)
    peer.learn(
        batch,
        make_optimiser(theirs, decay=settings.decay, betas=settings.betas),
        partial(_rate_after, settings, tokens),
    )
    found = make_task(theirs, source, batch_tokens, precision).evaluate()
    return {
        "rate": rate,
        "before": _rounded(before),
        "cloze": {"tokens": outcome.state.tokens, **_rounded(outcome.figures)},
        "transformers": {"tokens": peer.tokens, "rows": batch, **_rounded(found)},
        "difference": {
            name: round(outcome.figures[name] / value - 1, 4)
            for name, value in found.items()
            if name.endswith("loss")
        },
    }


def _rate_after(settings: LoopSettings, budget: int, tokens: int) -> float:
    return learning_rate(settings.rate, settings.warmup, tokens / budget)


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in figures.items()}
