"""What the system refuses is told from the errors of five libraries, and from nothing else."""

import errno
import sqlite3
from pathlib import Path

import pytest

from indexer.errors import ClozeError, DamagedIndexError
from indexer.refusals import advice, refusal


def _sqlite(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (OSError(errno.EMFILE, "Too many open files"), errno.EMFILE),
        (OSError(errno.EROFS, "Read-only file system", "x"), errno.EROFS),
        (MemoryError(), errno.ENOMEM),
        (_sqlite(sqlite3.SQLITE_FULL), errno.ENOSPC),
        (_sqlite(sqlite3.SQLITE_IOERR_SHMSIZE), errno.ENOSPC),
        (_sqlite(sqlite3.SQLITE_IOERR_READ), errno.EIO),
        (_sqlite(sqlite3.SQLITE_READONLY_DBMOVED), errno.EROFS),
        (ValueError("IoError(Os { code: 28, kind: StorageFull, message: \"No\" })"), errno.ENOSPC),
        (ValueError("An IO error occurred: 'Permission denied (os error 13)'"), errno.EACCES),
        (RuntimeError("write error in fwrite: No space left on device"), errno.ENOSPC),
        (RuntimeError("std::bad_alloc"), errno.ENOMEM),
        (RuntimeError("can't start new thread"), errno.EAGAIN),
        (ImportError("libx.so: failed to map segment from shared object"), errno.ENOMEM),
        (FileNotFoundError(errno.ENOENT, "No such file or directory"), None),
        (ValueError("Data corrupted: 'it has 28 bytes'"), None),
        (sqlite3.DatabaseError("database disk image is malformed"), None),
        (KeyError(13), None),
        (ClozeError("documents.jsonl:28: this line is no JSON"), None),
    ],
)  # fmt: skip
def test_the_reason_is_found(error: Exception, number: int | None) -> None:
    assert refusal(error) == number
    if number is not None:
        assert "\n" not in advice(number) and "run this again" in advice(number)


def test_the_reason_is_found_behind_another_error(tmp_path: Path) -> None:
    try:
        try:
            raise OSError(errno.EMFILE, "Too many open files")
        except OSError as error:
            raise DamagedIndexError("the postings can't be read") from error
    except DamagedIndexError as error:
        assert refusal(error) == errno.EMFILE
