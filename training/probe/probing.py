"""A probe from end to end: tasks read, texts encoded once a task, every layer judged."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.errors import ClozeError
from indexer.models import find_model
from indexer.progress import Progress, Step
from indexer.runtime.checkpoint import Checkpoint
from indexer.runtime.precision import Precision
from training.probe.classifier import Labelled, classify, standardise
from training.probe.curve import Curve, Figure, Probe, of_correlation, of_mean
from training.probe.layers import FrozenEncoder
from training.probe.retrieval import (
    MEASURE,
    Retrieval,
    judge,
    judge_words,
    passage_text,
    read_pairs,
)
from training.probe.similarity import Graded, pair_features, regress
from training.probe.tasks import LAYOUTS, Row, Task, read_tasks
from training.probe.words import classify_words, compare_words

# What shows progress, from what tells the share that is done.
Bar: TypeAlias = Callable[[Callable[[], float | None]], AbstractContextManager[Progress]]
_Layers: TypeAlias = NDArray[np.float32]  # [layers + 1, texts, hidden]
_Encode: TypeAlias = Callable[[Sequence[str]], _Layers]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to probe on, either or both, and how the model runs."""

    model: str
    tasks: Path | None
    pairs: Path | None
    device: str
    precision: Precision
    threads: int


def run_probe(plan: Plan, bar: Bar) -> Probe:
    """Probe a model on all that is there.

    Raises:
        ClozeError: the model can't be had, a file is malformed, or there is nothing to probe on.
    """
    began = time.perf_counter()
    tasks, left_out = read_tasks(plan.tasks) if plan.tasks else ([], [])
    if not tasks and plan.pairs is None:
        found = f"{plan.tasks} has none of the sets" if plan.tasks else "no --tasks is given"
        names = ", ".join(layout.folder for layout in LAYOUTS)
        raise ClozeError(
            f"there is nothing to probe on: {found}, and no --pairs; name a folder that holds "
            f"{names} or some of them, or a file of pairs"
        )
    retrieval = read_pairs(plan.pairs) if plan.pairs else None
    checkpoint = find_model(plan.model)
    encoder = FrozenEncoder(
        checkpoint, device=plan.device, precision=plan.precision, threads=plan.threads
    )
    work = _Work(encoder, sum(len(task.texts) for task in tasks) + _size(retrieval))
    with bar(work.position) as progress:
        encode = work.encoding(progress)
        curves = [_probe(task, encode) for task in tasks]
        if retrieval is not None:
            curves.append(_retrieve(retrieval, checkpoint, encode))
    return Probe(
        model=checkpoint.name,
        content_hash=checkpoint.content_hash,
        precision=plan.precision,
        layers=len(curves[0].figures) - 1,
        curves=curves,
        left_out=left_out,
        tokens=encoder.tokens,
        truncated=encoder.truncated,
        seconds=time.perf_counter() - began,
    )


class _Work:
    """How many of all texts have been encoded."""

    def __init__(self, encoder: FrozenEncoder, texts: int) -> None:
        self._encoder = encoder
        self._texts = texts
        self._done = 0

    def position(self) -> float:
        return self._done / self._texts

    def encoding(self, progress: Progress) -> _Encode:
        """Return the encoder's `vectors`, which then tells how far it is."""

        def done(count: int) -> None:
            self._done += count
            progress(Step(phase="encode", documents=self._done))

        return lambda texts: self._encoder.vectors(texts, done)


def _size(retrieval: Retrieval | None) -> int:
    return 0 if retrieval is None else len(retrieval.documents) + len(retrieval.queries)


def _probe(task: Task, encode: _Encode) -> Curve:
    """Fit on train, choose the strength on dev, report on test, layer by layer."""
    texts = task.texts
    place = {text: number for number, text in enumerate(texts)}
    vectors = encode(texts)
    parts = (task.train, task.dev, task.test)
    # The place of each row's texts among all: one or a pair, [texts of a row, rows] for each part.
    places = [np.array([[place[text] for text in row] for row, _ in part]).T for part in parts]
    probe = _classes if task.kind == "class" else _similarities
    return probe(task, parts, places, vectors)


def _classes(
    task: Task,
    parts: Sequence[Sequence[Row]],
    places: Sequence[NDArray[np.int64]],
    vectors: _Layers,
) -> Curve:
    names = sorted({label for _, label in task.train})
    number = {name: count for count, name in enumerate(names)}
    classes = [np.array([number.get(label, -1) for _, label in part]) for part in parts]
    figures: list[Figure] = []
    for layer in vectors:
        scaled = standardise(*(layer[each[0]] for each in places))
        train, dev, test = (
            Labelled(features=part, classes=of_part)
            for part, of_part in zip(scaled, classes, strict=True)
        )
        found = classify(train, dev, test)
        figures.append(of_mean(found.right, found.strength))
    most = Counter(classes[0].tolist()).most_common(1)[0][0]
    return Curve(
        task=task.name,
        measure="accuracy",
        split="test",
        rows=(len(task.train), len(task.dev), len(task.test)),
        figures=figures,
        majority=float(np.mean(classes[2] == most)),
        words=float(np.mean(classify_words(parts, classes).right)),
    )


def _similarities(
    task: Task,
    parts: Sequence[Sequence[Row]],
    places: Sequence[NDArray[np.int64]],
    vectors: _Layers,
) -> Curve:
    grades = [np.array([float(label) for _, label in part]) for part in parts]
    figures: list[Figure] = []
    for layer in vectors:
        train, dev, test = (
            Graded(features=pair_features(layer[each[0]], layer[each[1]]), grades=of_part)
            for each, of_part in zip(places, grades, strict=True)
        )
        found = regress(train, dev, test)
        figures.append(of_correlation(found.correlation, len(task.test), found.strength))
    return Curve(
        task=task.name,
        measure="Spearman",
        split="test",
        rows=(len(task.train), len(task.dev), len(task.test)),
        figures=figures,
        majority=None,
        words=compare_words(task.train, task.test),
    )


def _retrieve(retrieval: Retrieval, checkpoint: Checkpoint, encode: _Encode) -> Curve:
    """Rank by each layer's vectors as they are: there is nothing to fit."""
    passages = [
        checkpoint.document_prompt + passage_text(document) for document in retrieval.documents
    ]
    queries = [checkpoint.query_prompt + text for text in retrieval.queries.values()]
    vectors = encode([*passages, *queries])
    count = len(passages)
    figures = [of_mean(judge(retrieval, layer[:count], layer[count:]), None) for layer in vectors]
    return Curve(
        task=retrieval.name,
        measure=MEASURE,
        split="dev",
        rows=(0, 0, len(queries)),
        figures=figures,
        majority=None,
        words=judge_words(retrieval),
    )
