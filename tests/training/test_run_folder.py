"""A run's folder: begun, taken up, finished, and refused where it is anything else."""

import json
from pathlib import Path
from typing import Any

import pytest

from indexer.errors import ClozeError
from training.run_folder import NAME, finish_run, open_run

SETTINGS: dict[str, Any] = {"--lr": 0.001, "--seed": 3, "--length": "16,64", "--duplicates": None}
RESULT = {"steps": 20, "held_out": {"loss": 1.5}}


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_run_is_begun_taken_up_and_finished(tmp_path: Path) -> None:
    folder = tmp_path / "below" / "run"
    assert open_run(folder, SETTINGS).result is None
    written = files(folder)
    assert set(written) == {NAME}
    run = open_run(folder, dict(SETTINGS))
    assert run.result is None
    assert files(folder) == written
    finish_run(run, RESULT)
    assert set(files(folder)) == {NAME}
    assert open_run(folder, SETTINGS).result == RESULT


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"--lr": 0.002}, "--lr 0.001, and now 0.002"),
        ({"--seed": 4}, "--seed 3, and now 4"),
        ({"--duplicates": 10}, "--duplicates None, and now 10"),
        ({"--lr": 1.0, "--seed": 0}, "--lr 0.001, and now 1.0; --seed 3, and now 0"),
        ({"--new": 1}, "--new None, and now 1"),
    ],
)
@pytest.mark.parametrize("finished", [False, True])
def test_changed_settings_are_named_with_both_values(
    tmp_path: Path, changed: dict[str, Any], told: str, finished: bool
) -> None:
    run = open_run(tmp_path, SETTINGS)
    if finished:
        finish_run(run, RESULT)
    before = files(tmp_path)
    with pytest.raises(ClozeError, match=f"was begun with {told}: give the same to go on"):
        open_run(tmp_path, SETTINGS | changed)
    assert files(tmp_path) == before


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("all of it")
    with pytest.raises(ClozeError, match="holds something and no run"):
        open_run(tmp_path, SETTINGS)
    with pytest.raises(ClozeError, match="holds something and no run"):
        open_run(tmp_path / "thesis.txt", SETTINGS)
    assert files(tmp_path) == {"thesis.txt": b"all of it"}


def test_what_a_kill_left_while_it_was_begun_is_no_obstacle(tmp_path: Path) -> None:
    open_run(tmp_path, SETTINGS)
    (tmp_path / NAME).rename(tmp_path / "run.part")
    assert open_run(tmp_path, SETTINGS).result is None
    assert set(files(tmp_path)) == {NAME}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"settings": 1, "result": 2}', "{}", "\xff"])
def test_a_damaged_note_is_one_line_and_left_as_it_is(tmp_path: Path, content: str) -> None:
    (tmp_path / NAME).write_bytes(content.encode("latin-1"))
    with pytest.raises(ClozeError, match=r"run\.json is damaged") as refused:
        open_run(tmp_path, SETTINGS)
    assert "\n" not in str(refused.value)
    assert files(tmp_path) == {NAME: content.encode("latin-1")}


def test_settings_come_back_from_json_as_they_were(tmp_path: Path) -> None:
    settings = {"float": 0.1 + 0.2, "whole": 2**60, "none": None, "text": "ünïcode"}
    open_run(tmp_path, settings)
    assert json.loads((tmp_path / NAME).read_text())["settings"] == settings
    assert open_run(tmp_path, settings).result is None
