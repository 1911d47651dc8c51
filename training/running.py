"""A run of training in its folder, from what it is begun with to a finished model."""

import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from indexer.errors import ClozeError
from training.loop.checkpoints import Checkpoints
from training.loop.loop import CHECKPOINTS, Loop, LoopSettings, Outcome
from training.loop.meter import Show
from training.loop.parts import Part, first_goes, joined
from training.loop.task import Task
from training.run_folder import Run, check_run, discard_run, finish_run, locked_run, open_run

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
)

_Kind = TypeVar("_Kind", bound=Task)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared(Generic[_Kind]):
    """A run that is ready to begin.

    `settings` are all that decides the result, by the names of the options. `make` makes the task
    and tells the user what there is to know before it trains; `result` gives the finished run's
    figures, and `write` writes the model, its tokenizer and its card into the run's folder.
    """

    settings: Mapping[str, Any]
    make: Callable[[], tuple[_Kind, list[str]]]
    result: Callable[[_Kind, Outcome], Mapping[str, Any]]
    write: Callable[[_Kind, Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A finished run: its result, and whether this call trained at all.

    A process that trained beside the first one has no result.
    """

    folder: Path
    result: Mapping[str, Any]
    trained: bool


def run_training(
    out: Path,
    loop_settings: LoopSettings,
    prepare: Callable[[], Prepared[_Kind]],
    *,
    part: Part,
    device: str,
    tell: Callable[[str], None],
    training: AbstractContextManager[Show],
) -> Trained:
    """Train into a folder, or go on there, or find that it is finished.

    `prepare` is called by the first process, then by the others. Only the first one tells anything.

    Raises:
        ClozeError: the folder holds another run, another process trains there, the model can't be
            loaded, and then no run is begun, or the loss ran away.
        StoppedError: a signal asked to stop; the same call goes on.
    """
    with joined(part, device), ExitStack() as held:
        with first_goes(part, device):
            prepared = prepare()
            is_new = check_run(out, prepared.settings) is None
            run = _open(out, prepared.settings, part, held)
        if run.result is not None:
            if part.is_first:  # a kill may have left them
                Checkpoints(out / CHECKPOINTS).remove()
            return Trained(folder=out, result=run.result, trained=False)
        try:
            task, notices = prepared.make()
        except ClozeError:  # the model can't be loaded
            if part.is_first and is_new:
                discard_run(run)
            raise
        loop = Loop(task, loop_settings, out, part, device)
        if part.is_first:
            for line in (*loop.notices, *notices):
                tell(line)
        with training as show:
            outcome = loop.run(show)
        if not part.is_first:  # which alone has the weights that are kept
            return Trained(folder=out, result={}, trained=True)
        result = prepared.result(task, outcome)
        prepared.write(task, result)
        finish_run(run, result)
        loop.checkpoints.remove()
    return Trained(folder=out, result=result, trained=True)


def loop_result(outcome: Outcome) -> dict[str, Any]:
    """Return what the loop tells of a finished run."""
    state = outcome.state
    return {
        "steps": state.step,
        "tokens": state.tokens,
        "seconds": round(state.seconds, 1),
        "tokens_per_second": round(state.tokens / state.seconds, 1),
        "waiting": round(state.waited / state.seconds, 4),
        "held_out": {name: round(value, 4) for name, value in outcome.figures.items()},
    }


def copy_files(source: Path, names: tuple[str, ...], folder: Path) -> None:
    """Copy those files and folders of some names that are there."""
    for name in names:
        if (source / name).is_dir():
            shutil.copytree(source / name, folder / name, dirs_exist_ok=True)
        elif (source / name).exists():
            shutil.copyfile(source / name, folder / name)


def _open(out: Path, settings: Mapping[str, Any], part: Part, held: ExitStack) -> Run:
    """Open the run's folder, and keep other commands out of it while it isn't finished."""
    found = check_run(out, settings)
    if part.is_first and (found is None or found.result is None):
        held.enter_context(locked_run(out))
    return open_run(out, settings)
