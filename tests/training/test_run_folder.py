"""A run's folder: begun, taken up, finished, and refused where it is anything else."""

import json
from pathlib import Path
from typing import Any

import pytest

from indexer.errors import ClozeError
from indexer.lock import LockedError
from training.run_folder import NAME, check_run, finish_run, locked_run, open_run

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


def test_a_look_at_a_folder_writes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert check_run(folder, SETTINGS) is None
    assert not folder.exists()
    open_run(folder, SETTINGS)
    partial = {name: value for name, value in SETTINGS.items() if name != "--seed"}
    found = check_run(folder, partial, unknown=frozenset({"--seed"}))
    assert found
    assert found.result is None
    with pytest.raises(ClozeError, match="--seed 3, and now None"):
        check_run(folder, partial)
    with pytest.raises(ClozeError, match=r"begun with --lr 0\.001, and now 1:"):
        check_run(folder, partial | {"--lr": 1}, unknown=frozenset({"--seed"}))


def test_a_locked_run_keeps_others_out_until_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.run_folder._WAIT_SECONDS", 0.0)
    folder = tmp_path / "run"
    with locked_run(folder):
        run = open_run(folder, SETTINGS)  # a lock is no occupant
        with (
            pytest.raises(LockedError, match=r"is being written by process \d+"),
            locked_run(folder),
        ):
            pytest.fail("two are in")
    with locked_run(folder):
        finish_run(run, RESULT)
        assert set(files(folder)) == {NAME}
