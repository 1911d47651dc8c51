"""What a finished fine-tuning run has come to, of whatever kind its model is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.finetuning.material import Material
from training.loop.journal import read_journal
from training.loop.loop import Outcome
from training.running import loop_result

_JUDGED = "held_out"


def result_of(
    outcome: Outcome, material: Material, parameters: int, folder: Path
) -> dict[str, Any]:
    """Return a finished run's figures; `before` are those of the model that was begun with.

    `best_step` is the one after which the weights were as they are left, 0 where none was better.
    """
    return loop_result(outcome) | {
        "before": _before(folder),
        "best_step": outcome.state.best_step,
        "parameters": parameters,
        "examples": len(material.train),
        "examples_held_out": len(material.held_out),
    }


def _before(folder: Path) -> Mapping[str, float]:
    """Return the held-out figures before the first step, which a run's journal keeps."""
    for event in read_journal(folder):
        if event["kind"] == _JUDGED and not event["step"]:
            own = {"kind", "step", "tokens", "seconds", "phase"}
            return {name: round(value, 4) for name, value in event.items() if name not in own}
    return {}
