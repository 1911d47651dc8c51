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

    The file is read once, so it may be a pipe.

    Raises:
        ClozeError: the file can't be read, is damaged, or a line is not UTF-8; the line is named.
    """
    try:
        with _open(path) as opened:
            for number, line in enumerate(opened, 1):
                if not line.isascii():
                    _check_utf8(line, f"{path}:{number}")
                yield number, line
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ClozeError(
            f"{path}: the gzip data is damaged or ends early ({error}); get it again"
        ) from None
    except OSError as error:
        raise ClozeError(f"{path}: {error.strerror or error}; check the path") from None


def is_utf8(text: str) -> bool:
    """Tell whether a text can be written as UTF-8: JSON's escapes may give half a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _open(path: Path) -> IO[str]:
    # A decoder that raises does so for a whole block; bytes kept as surrogates tell their line.
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", errors="surrogateescape")
    return path.open(encoding="utf-8-sig", errors="surrogateescape")


def _check_utf8(line: str, where: str) -> None:
    try:
        line.encode(errors="surrogateescape").decode()
    except UnicodeDecodeError as error:
        raise ClozeError(f"{where}: not UTF-8 ({error.reason}); save it as UTF-8") from None


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
