"""The journal: one line an event, none of a step twice, for TensorBoard and as a picture too."""

import json
from pathlib import Path

import pytest
from matplotlib.image import imread
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from training.loop.journal import NAME, PICTURE, Journal, read_journal


def write(folder: Path, after: int, *steps: int) -> None:
    with Journal(folder, after) as journal:
        for step in steps:
            figures = {"loss": 10.0 / step, "tokens": step * 100, "phase": int(step > 4)}
            journal.write("train", step, figures)
        if steps:
            held_out = {"loss": 9.0 / steps[-1], "tokens": steps[-1] * 100, "phase": 0}
            journal.write("held_out", steps[-1], held_out)
            journal.draw()


def steps_of(folder: Path, kind: str = "train") -> list[int]:
    return [event["step"] for event in read_journal(folder) if event["kind"] == kind]


def board(folder: Path) -> list[tuple[int, float]]:
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return [(event.step, round(event.value, 4)) for event in events.Scalars("train/loss")]


def test_events_are_lines_of_json_and_scalars(tmp_path: Path) -> None:
    write(tmp_path, 0, 1, 2, 4)
    lines = [json.loads(line) for line in (tmp_path / NAME).read_text().splitlines()]
    assert lines[0] == {"kind": "train", "step": 1, "loss": 10.0, "tokens": 100, "phase": 0}
    assert [line["kind"] for line in lines] == ["train"] * 3 + ["held_out"]
    assert list(read_journal(tmp_path)) == lines
    assert board(tmp_path) == [(1, 10.0), (2, 5.0), (4, 2.5)]


@pytest.mark.parametrize("after", [0, 2, 3])
def test_a_resumed_journal_has_no_step_twice(tmp_path: Path, after: int) -> None:
    write(tmp_path, 0, 1, 2, 3, 4)
    again = range(after + 1, 6)
    write(tmp_path, after, *again)
    assert steps_of(tmp_path) == [1, 2, 3, 4, 5]
    assert steps_of(tmp_path, "held_out") == [5]
    assert [step for step, _ in board(tmp_path)] == [1, 2, 3, 4, 5]


def test_a_line_cut_by_a_crash_is_dropped(tmp_path: Path) -> None:
    write(tmp_path, 0, 1, 2)
    content = (tmp_path / NAME).read_bytes()
    (tmp_path / NAME).write_bytes(content[:-9])
    assert steps_of(tmp_path) == [1, 2]
    assert steps_of(tmp_path, "held_out") == []
    write(tmp_path, 1, 2, 3)
    assert steps_of(tmp_path) == [1, 2, 3]


def test_the_picture_is_one(tmp_path: Path) -> None:
    write(tmp_path, 0, *range(1, 9))
    pixels = imread(tmp_path / PICTURE)
    assert pixels.shape[0] > 200
    assert pixels.shape[1] > 400
    assert pixels[..., :3].std() > 0.01, "nothing is drawn"


def test_no_event_is_no_picture(tmp_path: Path) -> None:
    assert list(read_journal(tmp_path)) == []
    with Journal(tmp_path, 0) as journal:
        journal.draw()
    assert not (tmp_path / PICTURE).exists()
