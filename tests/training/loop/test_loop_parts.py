"""Which process of a run this is, and the threads that it takes."""

import os

import pytest

from training.loop.parts import Part, part_of_environment, sum_over, threads_each


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
