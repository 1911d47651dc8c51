"""What the system refused, told from any library's error: no room, no right, no file, no memory."""

import errno
import os
import re
import sqlite3
from collections.abc import Iterator

# By SQLite's code, where one is there the extended one.
_BY_SQLITE = {
    # Of the memory that connections share, 32 KiB in a file beside the store.
    sqlite3.SQLITE_IOERR_SHMSIZE: errno.ENOSPC,
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_PERM: errno.EACCES,
    sqlite3.SQLITE_NOMEM: errno.ENOMEM,
    sqlite3.SQLITE_BUSY: errno.EBUSY,
    sqlite3.SQLITE_IOERR: errno.EIO,
}
# What to say, where it is not what the libraries say, and what to do.
_ADVICE = {
    errno.ENOSPC: "the disk is full: make room",
    errno.EDQUOT: "the disk quota is used up: make room",
    errno.EROFS: "its file system is read-only: make it writable, or use a copy elsewhere",
    errno.EACCES: "this user may not do that there: change its owner or mode",
    errno.EPERM: "this user may not do that there: change its owner or mode",
    errno.EMFILE: "this process has too many open files: raise the limit with: ulimit -n 4096",
    errno.ENFILE: "the system has too many open files: close some programs",
    errno.ENOMEM: "memory ran out: give it more, or take fewer --threads",
    errno.EAGAIN: "no thread could be started: raise the limits of memory and processes "
    "(ulimit -v, ulimit -u), or take fewer --threads",
    errno.EBUSY: "another process held the store for too long: wait for it, or stop it",
    errno.EIO: "a file could not be read or written: look whether the disk is full, at the limit "
    "of open files (ulimit -n), and at the system's log",
}
# As Rust's libraries write them; and words of C++ and Python that come without a number.
_NUMBER = re.compile(r"os error (\d+)|Os \{ code: (\d+)|\[Errno (\d+)\]")
_WORDS = (
    ("bad_alloc", errno.ENOMEM),
    ("bad allocation", errno.ENOMEM),
    ("can't start new thread", errno.EAGAIN),
    ("failed to map segment", errno.ENOMEM),
    ("index writer was killed", errno.EIO),
    *((os.strerror(number), number) for number in _ADVICE),
)


def refusal(error: BaseException) -> int | None:
    """Return the errno of what the system refused, if that is the error or what it came from."""
    return next((number for each in _chain(error) if (number := _number(each))), None)


def advice(number: int) -> str:
    """Say in a line what happened and what to do."""
    return f"{_ADVICE[number]}, and run this again; what was acknowledged is kept"


def _chain(error: BaseException) -> Iterator[BaseException]:
    at: BaseException | None = error
    while at is not None:
        yield at
        at = at.__cause__ or at.__context__


def _number(error: BaseException) -> int | None:
    if isinstance(error, MemoryError):
        return errno.ENOMEM
    if isinstance(error, OSError) and error.errno in _ADVICE:
        return error.errno
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", None) or 0
        return _BY_SQLITE.get(code, _BY_SQLITE.get(code & 0xFF))  # the low byte is the kind
    return _number_in(str(error))


def _number_in(text: str) -> int | None:
    if found := _NUMBER.search(text):
        number = int(next(filter(None, found.groups())))
        return number if number in _ADVICE else None
    return next((number for words, number in _WORDS if words in text), None)
