"""Forms in the cache: one maker at a time, whole or not at all, and nothing left behind."""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from indexer.runtime import form_cache
from indexer.runtime.form_cache import cached


def write(folder: Path) -> None:
    (folder / "model").write_text("made")


def never(name: str) -> bool:
    return False


def names(home: Path) -> list[str]:
    return sorted(path.name for path in home.iterdir())


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a lock as another process would: locks are of an opened file, not of a process."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def test_many_at_once_make_it_once(tmp_path: Path) -> None:
    made: list[Path] = []
    start = threading.Barrier(6)
    found: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        write(folder)

    def ask() -> None:
        start.wait()
        found.append(cached(tmp_path, "form", make, never))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert found == [tmp_path / "form"] * 6
    assert names(tmp_path) == ["form"]


def test_a_lock_whose_file_is_gone_is_asked_for_again(tmp_path: Path) -> None:
    """Whoever waits on the last maker's file must not have the lock beside the next one's."""
    path = tmp_path / "form.lock"
    waiting, going = threading.Event(), threading.Event()
    opened: list[int] = []
    real = os.open

    def watched(*arguments: object) -> int:
        opened.append(descriptor := real(*arguments))  # type: ignore[arg-type]
        waiting.set()
        return descriptor

    def wait() -> None:
        with form_cache._locked(path, wait=True) as mine:
            assert mine
            going.set()

    with pytest.MonkeyPatch.context() as patch:
        with held(path):
            patch.setattr(os, "open", watched)
            thread = threading.Thread(target=wait)
            thread.start()
            assert waiting.wait(20)
            path.unlink()
        thread.join(20)
    assert going.is_set()
    assert len(opened) == 2


def test_a_failure_leaves_nothing_and_frees_the_lock(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        write(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached(tmp_path, "form", fail, never)
    assert names(tmp_path) == []
    assert cached(tmp_path, "form", write, never) == tmp_path / "form"


def test_a_killed_maker_leaves_what_the_next_one_removes(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path\n"
        "from indexer.runtime.form_cache import cached\n"
        "def make(folder):\n"
        "    (folder / 'half').write_text('made'); print('ready', flush=True); time.sleep(600)\n"
        "cached(Path(sys.argv[1]), 'form', make, lambda _: False)"
    )
    maker = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=Path(__file__).parents[2], stdout=subprocess.PIPE,
    )  # fmt: skip
    assert maker.stdout is not None
    assert maker.stdout.readline() == b"ready\n"
    # While it lives, what it makes is left alone.
    cached(tmp_path, "other", write, never)
    assert names(tmp_path) == ["form.lock", "form.new", "other"]
    maker.send_signal(signal.SIGKILL)
    maker.communicate()
    cached(tmp_path, "third", write, never)
    assert names(tmp_path) == ["other", "third"]


def test_outdated_names_go_unless_they_are_being_made(tmp_path: Path) -> None:
    for name in ("old-1", "old-2", "kept"):
        cached(tmp_path, name, write, never)
    with held(tmp_path / "old-2.lock"):
        cached(tmp_path, "new", write, lambda name: name.startswith("old-"))
    assert names(tmp_path) == ["kept", "new", "old-2", "old-2.lock"]
    cached(tmp_path, "new", write, lambda name: name.startswith("old-"))
    assert "old-2" in names(tmp_path)  # only whoever makes one looks


@pytest.mark.parametrize("kind", ["no folder", "read-only"])
def test_a_home_that_cannot_be_written_has_a_stand_in(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    told: list[str] = []
    monkeypatch.setattr(
        form_cache._LOG, "warning", lambda line, *values: told.append(line % values)
    )
    home = tmp_path / "home" / "converted"
    if kind == "no folder":
        home.parent.write_text("a file")
    else:
        home.mkdir(parents=True)
        cached(home, "ready", write, never)
        home.chmod(0o500)
        access: Callable[..., bool] = os.access  # the superuser may write there all the same
        monkeypatch.setattr(
            os,
            "access",
            lambda path, mode: path != home and access(path, mode),
        )
        assert cached(home, "ready", write, never) == home / "ready"
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        write(folder)

    place = cached(home, "form", make, never)
    assert (place / "model").read_text() == "made"
    assert not place.is_relative_to(home)
    assert cached(home, "form", make, never) == place
    assert len(made) == 1
    (line,) = told
    assert f"{home} can't be written" in line
    assert "CLOZE_HOME" in line


def test_the_stand_in_goes_with_the_process(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    program = (
        "import sys; from pathlib import Path\n"
        "from indexer.runtime.form_cache import cached\n"
        "make = lambda folder: (folder / 'model').write_text('made')\n"
        "print(cached(Path(sys.argv[1]) / 'converted', 'form', make, lambda _: False))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "home")],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ended.stdout.strip()
    assert not Path(ended.stdout.strip()).parent.exists()
    assert len(ended.stderr.splitlines()) == 1
