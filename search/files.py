"""Text files: read line by line, plain or gzip, and written whole or not at all."""

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TextIO

from indexer.errors import ClozeError


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Stream (number from 1, line with its line end) of a UTF-8 file; `.gz` is decompressed.

    Raises:
        ClozeError: the file can't be read, is damaged, or a line is not UTF-8; the line is named.
    """
    opened: IO[str]
    try:
        if path.suffix.lower() == ".gz":
            opened = gzip.open(path, "rt", encoding="utf-8-sig")
        else:
            opened = path.open(encoding="utf-8-sig")
        with opened:
            yield from enumerate(opened, 1)
    except UnicodeDecodeError as error:
        number = _not_utf8(path)
        raise ClozeError(f"{path}:{number}: not UTF-8 ({error.reason}); save it as UTF-8") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ClozeError(
            f"{path}: the gzip data is damaged or ends early ({error}); get it again"
        ) from None
    except OSError as error:
        raise ClozeError(f"{path}: {error.strerror or error}; check the path") from None


def _not_utf8(path: Path) -> int:
    """Find the first line that is not UTF-8: the decoder reads in blocks and can't tell."""
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return number


@contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """Open a text file that appears under its name only when it is complete.

    Raises:
        ClozeError: the file can't be written.
    """
    scratch = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        file = scratch.open("w", encoding="utf-8", newline="\n")
    except OSError as error:
        raise ClozeError(f"{path}: can't be written: {error.strerror or error}") from None
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        try:
            scratch.replace(path)
        except OSError as error:
            raise ClozeError(f"{path}: can't be written: {error.strerror or error}") from None
    finally:
        scratch.unlink(missing_ok=True)
