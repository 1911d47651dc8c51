"""One open file, plain or gzip: bounded reads, the line number, and the bytes consumed."""

import gzip
import os
import sys
from collections.abc import Iterator
from types import TracebackType
from typing import IO, Self

from indexer.errors import ClozeError

STDIN = "-"
_CHUNK = 1 << 16
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def printable(path: str) -> str:
    """Return a path fit for a one-line message: what cannot be printed becomes U+FFFD."""
    return "".join(char if char.isprintable() else "\ufffd" for char in path)


def unreadable(path: str, error: OSError) -> ClozeError:
    """Describe a file or folder that the system does not let us read."""
    reason = error.strerror or str(error)
    return ClozeError(
        f"{printable(path)}: cannot be read: {reason}; check the path and its permissions"
    )


def content_size(piece: bytes) -> int:
    """Return the length of a line in bytes without its line end."""
    if piece.endswith(b"\r\n"):
        return len(piece) - 2
    return len(piece) - piece.endswith(b"\n")


class Source:
    """Read one file, or standard input for "-", never holding more than `limit` bytes of it.

    `relative` is the file's path below the folder that the user named (with "/"), or its name;
    `line` is the number of the line being read, from 1; of the row, where a reader sets
    `counts_rows`.
    """

    def __init__(self, path: str, *, relative: str, limit: int) -> None:
        """Open the file; raise ClozeError if the system does not allow it."""
        self.name = "<stdin>" if path == STDIN else printable(path)
        self.path = path
        self.relative = relative
        self.limit = limit
        self.line = 0
        self.counts_rows = False
        self._share: float | None = None
        self._at_line_start = True
        self._raw: IO[bytes] = sys.stdin.buffer if path == STDIN else _open(path)
        self._stream: IO[bytes] | gzip.GzipFile = self._raw
        if path.lower().endswith(".gz"):
            self._stream = gzip.GzipFile(fileobj=self._raw)

    def __enter__(self) -> Self:
        """Return the source itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file, unless it is standard input."""
        if self._raw is not sys.stdin.buffer:
            self._raw.close()

    def where(self, line: int) -> str:
        """Return how messages name a line or row of the file."""
        return f"{self.name}: row {line}" if self.counts_rows else f"{self.name}:{line}"

    def pass_over(self, share: float) -> None:
        """Count a share of the bytes, from 0 to 1, as read: another process reads them."""
        self._share = share

    def consumed(self) -> int:
        """Return how many bytes of the file, as stored (compressed), have been read."""
        if self._share is not None:
            return int(self._share * os.fstat(self._raw.fileno()).st_size)
        return self._raw.tell()

    def piece(self, size: int) -> bytes:
        """Return at most `size` bytes, ending with the line at the latest; b"" at the end.

        Raises EOFError, zlib.error or gzip.BadGzipFile where compressed data is damaged.
        """
        self.line += self._at_line_start
        starts_file = self.line == 1 and self._at_line_start
        piece = self._stream.readline(size)
        if starts_file and piece.startswith(_BYTE_ORDER_MARK):
            # The line may be cut at `size`; what the mark took is read again from the rest.
            mark = len(_BYTE_ORDER_MARK)
            rest = b"" if piece.endswith(b"\n") else self._stream.readline(mark)
            piece = piece[mark:] + rest
        self._at_line_start = piece.endswith(b"\n")
        return piece

    def lines(self) -> Iterator[bytes | None]:
        """Yield every line with its line end, or None for one longer than the limit."""
        # Two bytes more for the line end; a line cut there is longer than the limit.
        while piece := self.piece(self.limit + 2):
            if content_size(piece) <= self.limit:
                yield piece
                continue
            while piece and not piece.endswith(b"\n"):
                piece = self.piece(_CHUNK)
            yield None

    def whole(self, *, mark: bool = False) -> bytes | None:
        """Return the whole file, or None if it is longer than the limit; with `mark` all bytes."""
        self.line = 1
        chunks: list[bytes] = []
        room = self.limit + len(_BYTE_ORDER_MARK) + 1
        # In chunks, since a read of `room` bytes would set them all aside for a small file too.
        while room > 0 and (chunk := self._stream.read(min(room, _CHUNK))):
            chunks.append(chunk)
            room -= len(chunk)
        data = b"".join(chunks)
        data = data if mark else data.removeprefix(_BYTE_ORDER_MARK)
        return data if len(data) <= self.limit else None


def _open(path: str) -> IO[bytes]:
    try:
        return open(path, "rb")
    except OSError as error:
        raise unreadable(path, error) from None
