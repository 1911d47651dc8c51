"""What is left of memory, from the kernel's files, and who tells where it is too little."""

from pathlib import Path

import pytest
import typer

from indexer.errors import ClozeError
from training import memory
from training.commands.running import spoken_once
from training.loop.parts import Part

GIB = 2**30


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that has 4 GiB left, in no group of its own."""
    (tmp_path / "meminfo").write_text(
        f"MemTotal: {8 * 2**20} kB\nMemFree: 1024 kB\nMemAvailable: {4 * 2**20} kB\n"
    )
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    return tmp_path


def limit(folder: Path, most: str) -> None:
    """Of a group that has 3 GiB, one of them files it would give back."""
    (folder / "memory.max").write_text(f"{most}\n")
    (folder / "memory.current").write_text(f"{3 * GIB}\n")
    (folder / "memory.stat").write_text(f"anon {2 * GIB}\nfile {GIB}\ninactive_file {GIB}\n")


def test_the_least_of_machine_and_group_counts(kernel: Path) -> None:
    assert memory.free_bytes() == 4 * GIB
    for most, left in ((str(4 * GIB), 2 * GIB), (str(99 * GIB), 4 * GIB), ("max", 4 * GIB)):
        limit(kernel, most)
        assert memory.free_bytes() == left


def test_a_system_that_does_not_tell_is_not_asked_further(kernel: Path) -> None:
    (kernel / "meminfo").unlink()
    assert memory.free_bytes() is None
    (kernel / "meminfo").write_text("MemTotal: 8 kB\n")
    assert memory.free_bytes() is None


@pytest.mark.parametrize("rank", [0, 1])
def test_each_process_tells_of_its_own_memory_and_the_first_of_all_else(rank: int) -> None:
    part = Part(rank=rank, world=2)
    with pytest.raises(memory.MemoryShortError, match="no row"), spoken_once(part):
        raise memory.MemoryShortError("no row fits")
    told = ClozeError if rank == 0 else typer.Exit
    with pytest.raises(told), spoken_once(part):
        raise ClozeError("a bad option")
