"""Checkpoints of a run: where training goes on after a stop, whole or not there at all."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from torch.optim import AdamW

from training.loop.best import Best
from training.loop.optimiser import optimiser_state, restore_optimiser
from training.loop.trend import Trend

_STATE = "state.json"
_MODEL = "model.safetensors"
_OPTIMISER = "optimiser.safetensors"
_BEST = "best.safetensors"
_RANDOM = "random"  # the name of torch's generator among the optimiser's tensors


@dataclass(slots=True, kw_only=True)
class State:
    """How far training has come: `seconds` of training alone, `position` within the phase.

    `waited` seconds of them went on waiting for data; `trend` is that of the phase's loss; `best`
    are the held-out figures of the best weights, if these are kept, and `best_step` their step.
    """

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    phase: int = 0
    position: int = 0
    trend: Trend = field(default_factory=Trend)
    best: dict[str, float] = field(default_factory=dict)
    best_step: int = 0


class Checkpoints:
    """The checkpoints below a folder, the newest `keep` of them kept.

    One is written beside the others and renamed when all of it is on disk.
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        """Look at a folder, which need not be there."""
        self.folder = folder
        self._keep = keep
        self._damaged: set[Path] = set()
        self._last: Path | None = None  # saved or restored, so that it is known to be whole

    def save(
        self, state: State, model: nn.Module, optimiser: AdamW, best: Best | None = None
    ) -> Path:
        """Write a checkpoint, delete those that are damaged or too old, and return its folder.

        One of the same step is left as it is.
        """
        final = self.folder / f"step-{state.step:09d}"
        if final == self._last:
            return final
        scratch = self.folder / f".{final.name}.part"
        for leftover in self.folder.glob(".*.part"):  # of a run that was killed while it saved
            shutil.rmtree(leftover)
        scratch.mkdir(parents=True)
        weights = {name: each.detach().cpu() for name, each in model.named_parameters()}
        save_file(weights, scratch / _MODEL)
        moments = {name: each.cpu() for name, each in optimiser_state(model, optimiser).items()}
        save_file(moments | {_RANDOM: torch.get_rng_state()}, scratch / _OPTIMISER)
        if best and best.weights:
            save_file(best.weights, scratch / _BEST)
        sums = {path.name: _sum(path) for path in sorted(scratch.iterdir())}
        (scratch / _STATE).write_text(json.dumps({"state": asdict(state), "sha256": sums}))
        for path in (*scratch.iterdir(), scratch):
            _sync(path)
        shutil.rmtree(final, ignore_errors=True)
        scratch.rename(final)
        _sync(self.folder)
        self._last = final
        self._damaged.discard(final)
        for old in (*self._damaged, *list(self._whole())[self._keep :]):
            shutil.rmtree(old, ignore_errors=True)
        return final

    def restore(
        self, model: nn.Module, optimiser: AdamW, best: Best | None = None
    ) -> tuple[State, list[str]]:
        """Load the newest checkpoint that is whole, and tell of those that are not.

        Without any the state is that before the first step. The damaged ones stay until the next
        is written: other processes of the run may be reading them.
        """
        notices: list[str] = []
        folders = list(self._newest_first())
        for folder in folders:
            try:
                state = _load(folder, model, optimiser, best)
            except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
                instead = "beginning anew" if folder == folders[-1] else "taking the one before"
                notices.append(f"{folder} is damaged ({error}); {instead}")
                self._damaged.add(folder)
            else:
                self._last = folder
                return state, notices
        return State(), notices

    def newest(self) -> Path | None:
        """Return the newest checkpoint's folder, if there is one that isn't known as damaged."""
        return next(self._whole(), None)

    def remove(self) -> None:
        """Delete all checkpoints, when the finished model is on disk."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _whole(self) -> Iterator[Path]:
        return (each for each in self._newest_first() if each not in self._damaged)

    def _newest_first(self) -> Iterator[Path]:
        yield from sorted(self.folder.glob("step-*"), reverse=True)


def _load(folder: Path, model: nn.Module, optimiser: AdamW, best: Best | None) -> State:
    written = json.loads((folder / _STATE).read_bytes())
    for name, expected in written["sha256"].items():
        if (found := _sum(folder / name)) != expected:
            raise ValueError(f"{name} has sha256 {found[:12]}…, not {expected[:12]}…")
    state = State(**written["state"] | {"trend": Trend(**written["state"]["trend"])})
    weights = load_file(folder / _MODEL)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(weights[name])
    if best and state.best:
        best.weights = load_file(folder / _BEST)
    moments = load_file(folder / _OPTIMISER)
    torch.set_rng_state(moments.pop(_RANDOM))
    restore_optimiser(model, optimiser, moments)
    return state


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
