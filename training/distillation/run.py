"""Distillation from a teacher and texts to a finished folder: `cloze train distill`."""

import shlex
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from statistics import median
from typing import Any

from indexer.caches import cache_home
from training.distillation.card import write_card
from training.distillation.layers import make_student, picked_layers
from training.distillation.plan import (
    Plan,
    length_of,
    open_teacher,
    options_of,
    rate_of,
    settings_of,
)
from training.distillation.task import FIGURE, Distillation
from training.distillation.texts import Texts
from training.finetuning.checkpoint import load_encoder, write_sentence_files
from training.loop.loop import LoopSettings, Outcome
from training.loop.meter import Show
from training.loop.parts import Part
from training.masking import Vocabulary
from training.precision import DTYPES, resolve_precision
from training.record import text_setting
from training.run_folder import check_run
from training.running import (
    TOKENIZER_FILES,
    Prepared,
    Trained,
    copy_files,
    loop_result,
    run_training,
)
from training.shards.enough import check_enough
from training.shards.writing import write_shards
from training.text import Advance

_EVALUATE = 0.1
_TURNS = 3


def distil(
    plan: Plan,
    out: Path,
    part: Part,
    *,
    tell: Callable[[str], None],
    reading: AbstractContextManager[Advance],
    training: AbstractContextManager[Show],
) -> Trained:
    """Distil as planned into a folder, or go on there; the two contexts show each its work.

    Raises:
        ClozeError: the plan can't be met, the folder holds another run or another process trains
            there, or the loss ran away.
        StoppedError: a signal asked to stop; the same call goes on.
    """
    teacher = open_teacher(plan)
    vocabulary = Vocabulary.of(teacher.folder)
    length = length_of(plan, teacher)
    settings = settings_of(plan, teacher)

    def prepare() -> Prepared[Distillation]:
        with reading as progress:
            check_run(out, settings, unknown=frozenset({"text"}))
            shards = write_shards(
                plan.texts, teacher.folder, home=cache_home() / "shards", reading=plan.reading,
                progress=progress,
            )  # fmt: skip
            check_enough(shards, vocabulary, plan.batch * length)
        sealed = text_setting(shards) | settings

        def make() -> tuple[Distillation, list[str]]:
            model = load_encoder(teacher)
            layers = picked_layers(model.config.num_hidden_layers, plan.layers)
            task = Distillation(
                model, make_student(model, layers), layers,
                texts=Texts(shards, vocabulary, length, plan.seed),
                held_out=Texts(shards, vocabulary, length, 0, held_out=True),
                pooling=teacher.pooling, batch=plan.batch,
                dtype=DTYPES[resolve_precision(plan.precision, plan.device)], device=plan.device,
            )  # fmt: skip
            return task, []

        def write(task: Distillation, result: Mapping[str, Any]) -> None:
            task.save(out)
            copy_files(teacher.folder, TOKENIZER_FILES, out)
            write_sentence_files(out, teacher, pooling=teacher.pooling, dimension=teacher.dimension)
            write_card(out, plan, _command(plan, out), sealed, result)

        return Prepared(settings=sealed, make=make, result=_result, write=write)

    loop_settings = LoopSettings(
        budget=plan.budget, rate=rate_of(plan), evaluate=_EVALUATE, best=FIGURE
    )
    return run_training(
        out, loop_settings, prepare, part=part, device=plan.device, tell=tell, training=training
    )


def _result(task: Distillation, outcome: Outcome) -> dict[str, Any]:
    """Return a finished run's figures: of teacher and student their size and their speed.

    Speeds are texts a second, medians of turns that alternate.
    """
    seconds: dict[str, list[float]] = {"teacher": [], "student": []}
    models = {"teacher": task.teacher, "student": task.model}
    for _ in range(_TURNS):
        for name, model in models.items():
            begun = time.perf_counter()
            texts = len(task.judged_vectors(model))
            seconds[name].append((time.perf_counter() - begun) / texts)
    return loop_result(outcome) | {
        "best_step": outcome.state.best_step,
        **{
            name: {
                "layers": model.config.num_hidden_layers,
                "parameters": model.num_parameters(),
                "texts_per_second": round(1 / median(seconds[name]), 1),
            }
            for name, model in models.items()
        },
    }


def _command(plan: Plan, out: Path) -> str:
    """Return the command line of a run, for a shell; where it runs is left to the machine."""
    reading = plan.reading
    given = {
        **options_of(plan),
        "--length": plan.length,
        "--lr": plan.rate,
        "--precision": plan.precision,
        "--title": reading.title,
        "--text": reading.text,
        "--out": out,
    }
    words = ["cloze", "train", "distill", plan.teacher]
    for text in plan.texts:
        words += ["--texts", text]
    for option, value in given.items():
        words += [option, str(value)] if value is not None else []
    return shlex.join(words + ["--skip-bad"] * reading.skip_bad)
