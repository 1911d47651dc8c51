"""What is written of a pretraining run: its settings, its result, and the command that made it."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.runtime.checkpoint import hash_weights
from training.running import loop_result
from training.tokenizer import open_tokenizer

if TYPE_CHECKING:
    from training.loop.loop import Outcome
    from training.loop.schedule import Budget
    from training.plan import Plan
    from training.shards import Shards

_HASH = 16  # hexadecimal digits that are shown


def settings_of(
    plan: "Plan", *, tokenizer: Path, base: Path | None, rate: float, precision: str
) -> dict[str, Any]:
    """Return all that decides the result but the text, by the names of the options."""
    return {
        "--tokenizer": open_tokenizer(tokenizer).content_hash[:_HASH],
        "--arch": plan.arch if base is None else hash_weights(base)[:_HASH],
        **_options(plan),
        "--lr": rate,
        "--precision": precision,
    }


def text_setting(shards: "Shards") -> dict[str, str]:
    """Return what stands for the text among the settings."""
    return {"text": shards.content_hash[:_HASH]}


def result_of(outcome: "Outcome", shards: "Shards", parameters: int) -> dict[str, Any]:
    """Return a finished run's figures; documents and their tokens are those trained on."""
    runs = shards.runs(shards.tokens)  # each document whole
    return loop_result(outcome) | {
        "parameters": parameters,
        "documents": shards.documents - shards.held_out,
        "documents_held_out": shards.held_out,
        "text_tokens": int(runs.lengths(np.arange(len(runs))).sum()),
    }


def command_of(plan: "Plan", out: Path) -> str:
    """Return the command line of a plan, for a shell; where it runs is left to the machine."""
    reading = plan.reading
    given = {
        "--arch": plan.arch,
        "--tokenizer": plan.tokenizer,
        **_options(plan),
        "--lr": plan.rate,
        "--precision": plan.precision,
        "--title": reading.title,
        "--text": reading.text,
        "--out": out,
    }
    words = ["cloze", "pretrain", *plan.texts]
    for option, value in given.items():
        words += [option, str(value)] if value is not None else []
    return shlex.join(words + ["--skip-bad"] * reading.skip_bad)


def _options(plan: "Plan") -> dict[str, Any]:
    rates = plan.rates
    return {
        "--objective": plan.objective,
        **budget_option(plan.budget),
        "--length": ",".join(map(str, plan.widths)),
        "--masking": plan.masking,
        "--mask-rate": rates.chosen,
        "--mask-shares": f"{rates.masked:g},{rates.random:g}",
        "--duplicates": plan.duplicates,
        "--batch-tokens": plan.batch_tokens,
        "--seed": plan.seed,
    }


def budget_option(budget: "Budget") -> dict[str, Any]:
    """Return a budget as the option that asks for it."""
    if budget.unit == "seconds":
        return {"--budget": f"{budget.amount:g}s"}
    return {f"--{budget.unit}": budget.amount}
