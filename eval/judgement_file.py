"""A person's judgements on disk: one line at a time, by one process at a time."""

import fcntl
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from eval.judgements import read_qrels
from indexer.errors import ClozeError
from search.files import text_lines
from search.runs import column

_FORMATS = ("TREC's four columns", "BEIR's three columns")
_TSV_HEADER = "query-id\tcorpus-id\tscore\n"


class JudgementFile:
    """A qrels file that grows by one judgement at a time, each on disk when `add` returns.

    A path that ends in .tsv is BEIR's format with its header, any other TREC's four columns. Ids
    are percent-encoded as in run files. A link to a file stays a link.
    """

    def __init__(self, path: Path) -> None:
        """Read what is judged already; the file need not exist.

        Raises:
            ClozeError: a line is malformed (file and line are named), or the file is not in the
                format that its name asks for, so that no line may follow.
        """
        self.path = path
        self._beir = path.suffix.lower() == ".tsv"
        self._grades: dict[str, dict[str, int]] = {}
        self._made = False
        if path.exists():
            self._check_format()
            self._grades = {query: dict(each) for query, each in read_qrels(path).items()}

    def _check_format(self) -> None:
        """Check that lines of the format that the name asks for may follow those there are."""
        if self.path.suffix.lower() == ".gz":
            raise ClozeError(f"{self.path} is compressed; judge into a plain file: gunzip it first")
        for number, line in text_lines(self.path):
            if line.strip():
                if (len(line.split("\t")) == 3) != self._beir:
                    raise ClozeError(
                        f"{self.path}:{number}: {_FORMATS[not self._beir]}, and the name asks for "
                        f"{_FORMATS[self._beir]}; rename it, BEIR's ends in .tsv"
                    )
                return

    def grades(self, query: str) -> Mapping[str, int]:
        """Return the grades of a query's judged documents, by their percent-encoded ids."""
        return self._grades.get(column(query), {})

    def add(self, query: str, document: str, grade: int) -> None:
        """Write one judgement to disk."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._made = self._made or not self.path.exists()
        with self.path.open("ab+") as file:
            file.write((self._lead(file) + self._line(query, document, grade)).encode())
            _to_disk(file)
        self._grades.setdefault(column(query), {})[column(document)] = grade

    def _line(self, query: str, document: str, grade: int) -> str:
        if self._beir:
            return f"{column(query)}\t{column(document)}\t{grade}\n"
        return f"{column(query)} 0 {column(document)} {grade}\n"

    def _lead(self, file: BinaryIO) -> str:
        """Return what has to stand before the next line: a header, the end of the last line."""
        if file.tell() == 0:
            return _TSV_HEADER if self._beir else ""
        file.seek(-1, os.SEEK_END)
        return "" if file.read(1) == b"\n" else "\n"

    def remove(self, query: str, document: str) -> None:
        """Take a judgement back: its line alone, whatever else the file holds by now.

        A file that was made by `add` and holds nothing else any more is removed.
        """
        judged = self._grades[column(query)]
        line = self._line(query, document, judged.pop(column(document))).encode()
        if not judged:
            del self._grades[column(query)]
        with suppress(FileNotFoundError):  # someone has removed it
            self._cut(line)
            if self._made and self.path.read_bytes() in (b"", _TSV_HEADER.encode()):
                self.path.resolve().unlink()
                self._made = False

    def _cut(self, line: bytes) -> None:
        """Cut a line out, the last of those that are the same, and leave all others as they are.

        The file is changed in its place, so that its mode, its owner and its links stay too.
        """
        with self.path.open("rb+") as file:
            lines = file.readlines()
            places = [place for place, each in enumerate(lines) if each == line]
            if not places:
                return
            before, after = lines[: places[-1]], lines[places[-1] + 1 :]
            file.seek(sum(map(len, before)))
            file.write(b"".join(after))
            file.truncate()
            _to_disk(file)


def _to_disk(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


@contextmanager
def judged_here(path: Path) -> Iterator[None]:
    """Keep other processes from judging into this file; the kernel frees it when this one dies.

    Raises:
        ClozeError: another process judges into it, or there can't be a file.
    """
    place = Path(os.path.realpath(path))
    lock = place.with_name(f".{place.name}.lock")
    made = [parent for parent in place.parents if not parent.exists()]
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _locked(lock, path)
    except OSError as error:
        raise ClozeError(f"{path}: can't be written: {error.strerror or error}") from None
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, os.fsencode(f"process {os.getpid()} ({' '.join(sys.argv[:3])})"), 0)
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(descriptor)
        for parent in made:
            with suppress(OSError):  # there are judgements in it
                parent.rmdir()


def _locked(lock: Path, path: Path) -> int:
    """Open the lock's file and lock it; return its descriptor."""
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Who held it may have removed the file in between.
            if lock.exists() and os.path.samestat(os.fstat(descriptor), lock.stat()):
                return descriptor
        except BlockingIOError:
            holder = os.pread(descriptor, 200, 0).decode(errors="replace") or "a process"
            os.close(descriptor)
            raise ClozeError(
                f"{path} is being judged by {holder}; quit it there with q, or judge into another "
                "file"
            ) from None
        os.close(descriptor)
