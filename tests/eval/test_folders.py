"""Folders that appear whole: whatever fails and whenever, what was there is never lost."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from eval.folders import replace_folder
from indexer.errors import ClozeError

Rename = Callable[[Path, Path], None]


def fill(new: Path) -> None:
    (new / "deep").mkdir()
    (new / "deep" / "file").write_text("new")


def check(folder: Path) -> None:
    foreign = [path.name for path in folder.rglob("*") if path.name not in {"deep", "file"}]
    if foreign:
        raise ClozeError(f"{folder} holds {foreign[0]}")


def older(folder: Path) -> Path:
    place = folder / "made"
    (place / "deep").mkdir(parents=True)
    (place / "deep" / "file").write_text("old")
    return place


def everything(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


def folders(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", ["made", "some/deep/made"])
def test_a_new_one(tmp_path: Path, name: str) -> None:
    replace_folder(tmp_path / name, fill, check)
    assert everything(tmp_path) == {f"{name}/deep/file": "new"}
    assert folders(tmp_path) == [name.split("/")[0]]
    (tmp_path / "like").mkdir()
    assert (tmp_path / name).stat().st_mode == (tmp_path / "like").stat().st_mode


def test_an_older_one_is_replaced(tmp_path: Path) -> None:
    place = older(tmp_path)
    (place / "deep" / "deep").write_text("of the old one alone")
    replace_folder(place, fill, check)
    assert everything(tmp_path) == {"made/deep/file": "new"}
    assert folders(tmp_path) == ["made"]


def test_a_relative_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    older(tmp_path)
    monkeypatch.chdir(tmp_path)
    replace_folder(Path("made"), fill, check)
    assert everything(tmp_path) == {"made/deep/file": "new"}


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_a_link(tmp_path: Path, there: bool) -> None:
    real = older(tmp_path) if there else tmp_path / "made"
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "link"
    link.symlink_to(real)
    replace_folder(link, fill, check)
    assert link.is_symlink()
    assert (real / "deep" / "file").read_text() == "new"
    assert folders(tmp_path) == ["links", "made"]
    assert folders(link.parent) == ["link"]


def test_what_is_refused_is_refused_before_any_work(tmp_path: Path) -> None:
    place = older(tmp_path)
    (place / "theirs").write_text("kept")
    with pytest.raises(ClozeError, match="holds theirs"):
        replace_folder(place, lambda new: pytest.fail("written"), check)
    assert everything(tmp_path) == {"made/deep/file": "old", "made/theirs": "kept"}


@pytest.mark.parametrize("kind", [KeyboardInterrupt, OSError, ClozeError])
@pytest.mark.parametrize("there", [True, False])
def test_a_failure_while_writing(tmp_path: Path, kind: type[BaseException], there: bool) -> None:
    def write(new: Path) -> None:
        fill(new)
        raise kind("half way")

    place = older(tmp_path) if there else tmp_path / "some" / "made"
    with pytest.raises(kind, match="half way"):
        replace_folder(place, write, check)
    assert everything(tmp_path) == ({"made/deep/file": "old"} if there else {})
    assert folders(tmp_path) == (["made"] if there else [])


def test_what_is_added_while_writing_is_kept(tmp_path: Path) -> None:
    place = older(tmp_path)

    def write(new: Path) -> None:
        fill(new)
        (place / "theirs").write_text("kept")

    with pytest.raises(ClozeError) as error:
        replace_folder(place, write, check)
    assert str(error.value) == f"{place} holds theirs"
    assert everything(tmp_path) == {"made/deep/file": "old", "made/theirs": "kept"}
    assert folders(tmp_path) == ["made"]


def test_what_is_added_right_before_the_rename_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No check of the place itself could see this one."""
    place, real = older(tmp_path), os.rename

    def rename(source: Path, target: Path) -> None:
        if source == place:
            (place / "theirs").write_text("kept")
        real(source, target)

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(ClozeError, match="made holds theirs"):
        replace_folder(place, fill, check)
    assert everything(tmp_path) == {"made/deep/file": "old", "made/theirs": "kept"}
    assert folders(tmp_path) == ["made"]


def test_what_appears_in_an_empty_place_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, real = tmp_path / "made", os.rename

    def rename(source: Path, target: Path) -> None:
        place.mkdir()
        (place / "theirs").write_text("kept")
        real(source, target)

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(OSError, match="not empty"):
        replace_folder(place, fill, check)
    assert everything(tmp_path) == {"made/theirs": "kept"}


@pytest.mark.parametrize("failing", [1, 2])
@pytest.mark.parametrize("kind", [OSError, KeyboardInterrupt])
@pytest.mark.parametrize("late", [False, True])
def test_a_failing_rename_loses_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failing: int,
    kind: type[BaseException],
    late: bool,
) -> None:
    place, real, calls = older(tmp_path), os.rename, 0

    def rename(source: Path, target: Path) -> None:
        nonlocal calls
        calls += 1
        if calls == failing and not late:
            raise kind("stopped")
        real(source, target)
        if calls == failing:
            raise kind("stopped")

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(kind, match="stopped"):
        replace_folder(place, fill, check)
    # Stopped after the last rename the new one is there, whole; else the older one.
    assert everything(tmp_path) == {"made/deep/file": "new" if late and failing == 2 else "old"}
    assert folders(tmp_path) == ["made"]


def test_an_older_one_that_cannot_be_brought_back_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, real = older(tmp_path), os.rename

    def rename(source: Path, target: Path) -> None:
        if target == place:
            raise OSError(errno.EIO, "busy")
        real(source, target)

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(ClozeError, match="could not be brought back") as error:
        replace_folder(place, fill, check)
    [beside] = tmp_path.iterdir()
    assert f"it is whole in {beside / 'old'}," in str(error.value)
    assert everything(beside) == {"old/deep/file": "old"}
