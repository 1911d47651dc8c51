"""The writer's lock of an index folder: one write transaction at a time, across processes."""

import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from indexer.errors import ClozeError


class LockedError(ClozeError):
    """Another process writes, and has not finished within the time to wait for it."""


WAIT_SECONDS = 10.0
_POLL_SECONDS = 0.02


@contextmanager
def writer_lock(folder: Path, *, wait: float = WAIT_SECONDS) -> Iterator[None]:
    """Hold the lock for one write; the kernel frees it when the process dies.

    Raises:
        LockedError: another process held it for longer than `wait` seconds; it is named.
    """
    path = folder / "lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _acquire(descriptor, path, wait)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, os.fsencode(f"process {os.getpid()} ({' '.join(sys.argv[:3])})"), 0)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: Path, wait: float) -> None:
    deadline = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                holder = os.pread(descriptor, 200, 0).decode(errors="replace") or "a process"
                raise LockedError(
                    f"{path.parent} is being written by {holder}, which held its lock for over "
                    f"{wait:g} s; wait for it to finish, or stop it, and run this again"
                ) from None
            time.sleep(_POLL_SECONDS)
