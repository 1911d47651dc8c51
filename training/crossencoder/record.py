"""What is written of a cross-encoder's run: its settings, its result, the command that made it."""

from pathlib import Path
from typing import Any

from indexer.runtime.checkpoint import Checkpoint
from training.calibration import Calibrated
from training.crossencoder.plan import Plan, length_of, rate_of
from training.finetuning.budget import epochs_option
from training.finetuning.material import Material, command_line
from training.precision import resolve_precision
from training.reliability import Reliability

_HASH = 16  # hexadecimal digits that are shown


def settings_of(plan: Plan, base: Checkpoint) -> dict[str, Any]:
    """Return all that decides the result but the pairs, by the names of the options."""
    return {
        "--from": base.content_hash[:_HASH],
        **_options(plan),
        "--length": length_of(plan, base),
        "--lr": rate_of(plan, base),
        "--precision": resolve_precision(plan.precision, plan.device),
    }


def command_of(plan: Plan, material: Material, out: Path) -> str:
    """Return the command line of a run, for a shell; where it runs is left to the machine."""
    given = {
        "--from": plan.base,
        **_options(plan),
        "--length": plan.length,
        "--lr": plan.rate,
        "--precision": plan.precision,
        "--out": out,
    }
    return command_line("crossencoder", material, given)


def calibration_figures(calibrated: Calibrated | None) -> dict[str, Any] | None:
    """Return what a calibration is worth, None where there is none.

    `ece` and `brier` of `after` are on pairs that the curve was not fitted on.
    """
    if calibrated is None:
        return None
    return {
        "method": calibrated.method,
        "pairs": calibrated.pairs,
        "prior": round(calibrated.calibration.prior, 4),
        "before": _figures(calibrated.before),
        "after": {method: _figures(each) for method, each in calibrated.after.items()},
    }


def _figures(found: Reliability) -> dict[str, float]:
    return {"ece": round(found.ece, 4), "brier": round(found.brier, 4)}


def _options(plan: Plan) -> dict[str, Any]:
    return {
        "--loss": plan.loss,
        **epochs_option(plan.budget),
        "--batch": plan.size.batch,
        "--hard-negatives": plan.size.negatives,
        "--seed": plan.seed,
    }
