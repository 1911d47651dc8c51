"""The file of a backup: a tar of an index's files, with a list of checksums at its end.

It holds `backup.json`, then the index's files under their own names, and last `SHA256SUMS` over
all of them: `tar xf` and `sha256sum -c SHA256SUMS` check it without cloze.
"""

import gzip
import hashlib
import io
import json
import os
import re
import tarfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Self, cast

from indexer.manifest import FORMAT as INDEX_FORMAT
from indexer.manifest import NAME as MANIFEST

FORMAT = 1
HEAD, SUMS, STORE = "backup.json", "SHA256SUMS", "store.sqlite"
# All that an index has and a backup may hold: no name leads out of the folder.
_NAME = r"(?!\.\.?(?:/|$))[\w.-]+"
MEMBER = re.compile(
    rf"{re.escape(MANIFEST)}|"
    rf"(?:data-[\w.-]+/)?(?:{re.escape(STORE)}|(?:lexical/\d+|dense)/{_NAME})",
    re.ASCII,
)
MIB = 1 << 20
COMPRESSED = (".gz", ".tgz")
# The fastest: what a higher one saves of postings and vectors is not worth its time.
_LEVEL = 1
# Bytes of a header's long name; those of an index end below 200.
_LONG_NAME = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a backup says of itself: its commit, documents, bytes unpacked, and formats."""

    sequence: int
    documents: int
    bytes: int
    index_format: int = INDEX_FORMAT
    backup_format: int = FORMAT

    def __post_init__(self) -> None:
        """Check what came from a file.

        Raises:
            ValueError: one is no count.
        """
        for name, value in asdict(self).items():
            if type(value) is not int or value < 0:
                raise ValueError(f"{name} in {HEAD} is {str(value)[:80]!r}, which is no count")


class Archive:
    """A backup's file being written; leaving it writes the checksums, and leaves the file open."""

    def __init__(self, output: IO[bytes], head: Head, *, compressed: bool) -> None:
        """Begin with what the backup says of itself."""
        self._sums = ""
        self._stack = ExitStack()
        target: Any = output
        if compressed:
            target = gzip.GzipFile("", "wb", compresslevel=_LEVEL, fileobj=output, mtime=0)
            self._stack.callback(target.close)
        # GNU's headers hold a file of any size in one block.
        self._tar = self._stack.enter_context(
            tarfile.open(fileobj=target, mode="w|", format=tarfile.GNU_FORMAT)
        )
        content = json.dumps(asdict(head), indent=2).encode() + b"\n"
        self._add_bytes(HEAD, content)

    def add(self, name: str, source: IO[bytes], tell: Callable[[int], None]) -> None:
        """Add what a source holds, which may not change; `tell` hears of bytes as they are read."""
        member = tarfile.TarInfo(name)
        member.size = source.seek(0, os.SEEK_END)
        member.mtime = int(time.time())
        source.seek(0)
        reader = _Reader(source, tell)
        self._tar.addfile(member, cast("IO[bytes]", reader))
        self._sums += f"{reader.digest.hexdigest()}  {name}\n"

    def _add_bytes(self, name: str, content: bytes) -> None:
        self.add(name, io.BytesIO(content), lambda _: None)

    def __enter__(self) -> Self:
        """Give the archive."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Write the checksums, unless there is an error: then the file has no end."""
        if kind is None:
            self._add_bytes(SUMS, self._sums.encode())
            self._stack.close()


class _Reader:
    """A source whose bytes are counted and hashed as they are read."""

    def __init__(self, source: IO[bytes], tell: Callable[[int], None]) -> None:
        self.digest = hashlib.sha256()
        self._source = source
        self._tell = tell

    def read(self, size: int) -> bytes:
        content = self._source.read(size)
        self.digest.update(content)
        self._tell(len(content))
        return content


class PlainMember(tarfile.TarInfo):
    """A member of a tar that is a file; any other is refused before more than its header is read.

    Of what precedes a file's header only GNU's long name is taken, and bounded: tarfile reads that,
    and those of pax, into memory.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Read one header.

        Raises:
            tarfile.TarError: it is damaged, or of no plain file.
        """
        header = super().frombuf(buf, encoding, errors)
        is_name = header.type == tarfile.GNUTYPE_LONGNAME and header.size <= _LONG_NAME
        if header.size < 0 or not (is_name or header.type == tarfile.REGTYPE):
            raise tarfile.ReadError(f"it holds {header.name[:80]!r}, which is no file of an index")
        return header


def is_backup(file: Path) -> bool:
    """Tell whether a file begins as a backup does."""
    try:
        with tarfile.open(file, tarinfo=PlainMember) as archive:
            first = archive.next()
            return first is not None and first.name == HEAD
    except (tarfile.TarError, EOFError, OSError, RecursionError):
        return False
