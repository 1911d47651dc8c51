"""Which process of a run this is, and the threads that it takes."""

import os
from pathlib import Path

import pytest

from indexer.errors import ClozeError
from tests.training.small import small_task
from training.loop import parts
from training.loop.loop import Loop, LoopSettings
from training.loop.parts import (
    FirstFailedError,
    Part,
    first_goes,
    part_of_environment,
    sum_over,
    threads_each,
)
from training.loop.schedule import Budget
from training.masking import Vocabulary
from training.shards import Shards


def test_a_process_alone_is_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(variable, raising=False)
    assert part_of_environment() == Part(rank=0, world=1, local=0)
    assert part_of_environment().is_first
    assert sum_over(Part(), {"mlm": 2.5}, "cpu") == {"mlm": 2.5}


def test_torchruns_variables_tell_which_process_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in (("RANK", "5"), ("WORLD_SIZE", "8"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(variable, value)
    assert part_of_environment() == Part(rank=5, world=8, local=1)
    assert not part_of_environment().is_first


@pytest.mark.parametrize(
    ("together", "asked", "variable", "expected"),
    [
        ("1", None, "", None),
        ("1", 3, "", 3),
        ("4", None, "", 2),
        ("16", None, "", 1),
        ("4", 3, "", 3),
        ("4", None, "5", None),  # what CLOZE_THREADS says is read where threads are set
    ],
)
def test_processors_are_shared_where_nobody_said_otherwise(
    monkeypatch: pytest.MonkeyPatch,
    together: str,
    asked: int | None,
    variable: str,
    expected: int | None,
) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", together)
    monkeypatch.setenv("CLOZE_THREADS", variable)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))
    assert threads_each(asked) == expected


def test_the_first_says_how_it_went(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[list[float]] = []

    def says(part: Part, values: list[float], device: str) -> list[float]:
        said.append(values)
        return said[0]

    monkeypatch.setattr(parts, "first_says", says)
    with first_goes(Part(world=2), "cpu"):
        assert not said
    with first_goes(Part(rank=1, world=2), "cpu"):
        pass
    said.clear()
    with pytest.raises(ClozeError, match="no text"), first_goes(Part(world=2), "cpu"):
        raise ClozeError("no text")
    with pytest.raises(FirstFailedError), first_goes(Part(rank=1, world=2), "cpu"):
        pytest.fail("it has nothing to go on with")


def test_processes_at_different_steps_are_refused_in_one_line(
    text_shards: Shards, base_vocabulary: Vocabulary, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def together(part: Part, values: dict[str, float], device: str) -> dict[str, float]:
        assert values == {"0": 0.0, "1": 0.0}
        return values | {"0": 12.0}

    monkeypatch.setattr("training.loop.loop.sum_over", together)
    settings = LoopSettings(budget=Budget(unit="steps", amount=9), rate=1e-3)
    task = small_task(text_shards, base_vocabulary)
    loop = Loop(task, settings, tmp_path, Part(rank=1, world=2), "cpu")
    with pytest.raises(ClozeError, match=r"different checkpoints in \S+, of the steps 0, 12; "):
        loop.run(lambda glance: None)
