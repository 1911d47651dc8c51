"""One file of pairs, plain or gzip: opened, read by its format, and how far it has been read."""

import gzip
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TypeAlias

from indexer.corpus.fields import decode, too_long
from indexer.corpus.lines import Source, printable, unreadable
from indexer.errors import ClozeError
from training.pairs.row import Placed

_LIMIT = 1 << 30  # bytes of a line, or of a file that is read whole

# A file, and the counts of names that nothing is read from.
Format: TypeAlias = Callable[[Source, Counter[str]], Iterator[Placed]]


class FileRows:
    """The rows of one file by its format; `unread` counts the fields that were passed over."""

    def __init__(self, path: str, kind: str, read: Format) -> None:
        """Name the file, which `read` reads."""
        self.name = printable(path)
        self.kind = kind
        self.unread: Counter[str] = Counter()
        self._path = path
        self._read = read
        self._source: Source | None = None

    def __iter__(self) -> Iterator[Placed]:
        """Stream the rows.

        Raises:
            ClozeError: the file can't be read, or its gzip data are damaged.
        """
        with opened(self._path) as source:
            self._source = source
            try:
                yield from self._read(source, self.unread)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise damaged(self.name, error) from None
            except OSError as error:
                raise unreadable(self._path, error) from None
            finally:
                self._source = None

    def position(self) -> float:
        """Return the share of the file's bytes that has been read, from 0 to 1."""
        if self._source is None:
            return 0.0
        return min(self._source.consumed() / max(os.path.getsize(self._path), 1), 1.0)


def opened(path: str) -> Source:
    """Open a file.

    Raises:
        ClozeError: the system doesn't allow it.
    """
    return Source(path, relative=os.path.basename(path), limit=_LIMIT)


def damaged(name: str, error: Exception) -> ClozeError:
    """Describe a file whose gzip data can't be read."""
    return ClozeError(f"{name}: the gzip data are damaged or end early ({error}); get it again")


def text_of(line: bytes | None) -> str:
    """Return a line of a file as text.

    Raises:
        BadRecord: it is longer than the limit (None), or not UTF-8.
    """
    if line is None:
        raise too_long(_LIMIT)
    return decode(line)


def whole_text(source: Source) -> str:
    """Return a whole file as text.

    Raises:
        BadRecord: it is longer than the limit, or not UTF-8.
    """
    return text_of(source.whole())
