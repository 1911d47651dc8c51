"""What is written of a bi-encoder's run: its settings, and the command that made it."""

from pathlib import Path
from typing import Any

from indexer.runtime.checkpoint import Checkpoint
from training.biencoder.plan import Plan, length_of, rate_of
from training.finetuning.budget import epochs_option
from training.finetuning.material import Material, command_line
from training.precision import resolve_precision

_HASH = 16  # hexadecimal digits that are shown


def settings_of(plan: Plan, base: Checkpoint) -> dict[str, Any]:
    """Return all that decides the result but the pairs, by the names of the options."""
    return {
        "--from": base.content_hash[:_HASH],
        **_options(plan),
        "--pooling": plan.pooling or base.pooling,
        "--length": length_of(plan, base),
        "--lr": rate_of(plan, base),
        "--precision": resolve_precision(plan.precision, plan.device),
    }


def command_of(plan: Plan, material: Material, out: Path) -> str:
    """Return the command line of a run, for a shell; where it runs is left to the machine."""
    given = {
        "--from": plan.base,
        **_options(plan),
        "--pooling": plan.pooling,
        "--length": plan.length,
        "--lr": plan.rate,
        "--precision": plan.precision,
        "--out": out,
    }
    return command_line("biencoder", material, given)


def _options(plan: Plan) -> dict[str, Any]:
    return {
        "--loss": plan.loss,
        "--dims": ",".join(map(str, plan.dims)) or None,
        "--temperature": plan.temperatures.own,
        "--teacher-temperature": plan.temperatures.teacher,
        **epochs_option(plan.budget),
        "--batch": plan.size.batch,
        "--hard-negatives": plan.size.negatives,
        "--seed": plan.seed,
    }
