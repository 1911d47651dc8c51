"""A backup's file put back as an index: all of it checked before the folder has its name."""

import errno
import gzip
import hashlib
import json
import os
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from indexer.archive import FORMAT, HEAD, MEMBER, MIB, STORE, SUMS, Head, PlainMember
from indexer.errors import ClozeError, DamagedIndexError
from indexer.generations import sync
from indexer.lock import writer_lock
from indexer.manifest import FORMAT as INDEX_FORMAT
from indexer.manifest import NAME as MANIFEST
from indexer.manifest import read_manifest
from indexer.progress import Progress, Step, silent

_CHUNK = 1 << 20
# Of what is read at once, in bytes: the head, the manifest and the list of checksums.
_MOST = 4 << 20
# An index has a few hundred files.
_MEMBERS = 10_000
_BROKEN = (
    tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError, TypeError, KeyError,
    OverflowError, AttributeError, RecursionError,
)  # fmt: skip


class Restoration:
    """One run of restoring; `position` is the share of the file that has been read."""

    def __init__(self, file: str | Path, folder: str | Path) -> None:
        """Prepare to make an index folder of a backup's file."""
        self.file = Path(file)
        self.folder = Path(folder)
        self._sums: dict[str, str] = {}
        self._read = 0
        self._total = 0

    def position(self) -> float | None:
        """Return the share of the bytes that have been written."""
        return self._read / self._total if self._total else None

    def run(self, progress: Progress = silent) -> Head:
        """Unpack into a folder beside the index's, check it, and give it the name at the end.

        What a killed run has left there, under the name with `.restoring`, is cleared first.

        No more is written than the backup says it holds, and nothing where that has no room.

        Raises:
            ClozeError: the file is no backup or a newer one, or the folder holds something.
            DamagedIndexError: the backup is not what was written.
            OSError: the disk is too small.
        """
        folder = self.folder
        if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
            raise ClozeError(
                f"{folder} is there and not empty; a backup is restored into a new folder: name "
                "another, or move this one away"
            )
        with self.file.open("rb") as file:
            scratch = folder.with_name(f"{folder.name}.restoring")
            scratch.mkdir(parents=True, exist_ok=True)
            with writer_lock(scratch, wait=0):
                try:
                    _clear(scratch)
                    with _naming(scratch):
                        head = self._unpack(file, scratch, progress)
                    self._check(scratch)
                    os.rename(scratch, folder)
                except BaseException:
                    shutil.rmtree(scratch, ignore_errors=True)
                    raise
            sync(folder.parent)
        return head

    def _unpack(self, file: IO[bytes], scratch: Path, progress: Progress) -> Head:
        """Write all members into a folder, and hold them against the list at the end."""
        try:
            with self._opened(file) as (archive, first):
                head = self._head(_content(archive, first))
                self._total = head.bytes
                if head.bytes > shutil.disk_usage(scratch).free:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                for member in iter(archive.next, None):
                    if member.name == SUMS:
                        self._compare(_content(archive, member))
                        break
                    self._write(archive, member, scratch, progress)
                else:
                    raise self._damaged("it ends before its list of checksums")
                return head
        except _BROKEN as error:
            raise self._damaged(str(error) or type(error).__name__) from error

    @contextmanager
    def _opened(self, file: IO[bytes]) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
        """Open the file, which must begin as a backup does, and give its first member too."""
        compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        stream: Any = gzip.GzipFile(fileobj=file, mode="rb") if compressed else file
        try:
            archive = tarfile.open(fileobj=stream, mode="r|", tarinfo=PlainMember)
            first = archive.next()
            if first is None or first.name != HEAD:
                raise tarfile.ReadError(f"it does not begin with {HEAD}")
        except _BROKEN as error:
            raise ClozeError(
                f"{self.file} is no backup, or its beginning is damaged ({error}); name a file "
                "that cloze backup has made"
            ) from error
        with archive:
            yield archive, first

    def _head(self, content: bytes) -> Head:
        self._sums[HEAD] = hashlib.sha256(content).hexdigest()
        said = json.loads(content)
        for what, known in (("backup_format", FORMAT), ("index_format", INDEX_FORMAT)):
            if type(said[what]) is int and said[what] > known:
                raise ClozeError(
                    f"{self.file} has {what.replace('_', ' ')} {said[what]}, this cloze reads up "
                    f"to {known}; upgrade cloze-search"
                )
        return Head(**said)

    def _write(
        self, archive: tarfile.TarFile, member: tarfile.TarInfo, scratch: Path, progress: Progress
    ) -> None:
        name = member.name
        if not MEMBER.fullmatch(name) or name in self._sums:
            raise self._damaged(f"it holds {name[:80]!r}, which is no file of an index")
        self._check_size(member)
        path = scratch / name
        path.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with path.open("xb") as target:
            for chunk in _chunks(archive, member):
                target.write(chunk)
                digest.update(chunk)
                self._read += len(chunk)
                progress(Step(phase="read", documents=self._read // MIB))
            target.flush()
            os.fsync(target.fileno())
        self._sums[name] = digest.hexdigest()

    def _check_size(self, member: tarfile.TarInfo) -> None:
        """Check that what a member brings is no more than the backup says of itself."""
        if self._read + member.size > self._total:
            raise self._damaged(f"{HEAD} says {self._total:,} bytes, but it holds more")
        if len(self._sums) > _MEMBERS:
            raise self._damaged(f"it holds more than {_MEMBERS:,} files")
        if member.name == MANIFEST:
            _check_small(member)

    def _compare(self, content: bytes) -> None:
        listed = {}
        for line in content.decode().splitlines():
            digest, _, name = line.partition("  ")
            listed[name] = digest
        for name in sorted(listed.keys() | self._sums.keys()):
            found, written = (sums.get(name, "none") for sums in (self._sums, listed))
            if found != written:
                raise self._damaged(
                    f"{name} has sha256 {found[:12]}…, its list of checksums says {written[:12]}…"
                )

    def _check(self, scratch: Path) -> None:
        """Check that what was unpacked is one index, and put its folders on disk."""
        if MANIFEST not in self._sums:
            raise self._damaged(f"it has no {MANIFEST}")
        try:
            data = read_manifest(scratch).data
        except (*_BROKEN, DamagedIndexError) as error:
            raise self._damaged(f"its {MANIFEST} can't be read") from error
        store = f"{data}/{STORE}".removeprefix("./")
        if store not in self._sums:
            raise self._damaged(f"it has no {store}")
        for folder in (path for path in scratch.rglob("*") if path.is_dir()):
            sync(folder)
        sync(scratch)

    def _damaged(self, what: str) -> DamagedIndexError:
        return DamagedIndexError(
            f"{self.file} is damaged: {what}; {self.folder} was not made; restore another copy"
        )


def _chunks(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[bytes]:
    """Yield a member's bytes; a file that ends within them is a broken one."""
    source, left = archive.extractfile(member), member.size
    while source is not None and left:
        chunk = source.read(min(_CHUNK, left))
        if not chunk:
            raise EOFError(f"it ends within {member.name}")
        left -= len(chunk)
        yield chunk


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    _check_small(member)
    return b"".join(_chunks(archive, member))


def _check_small(member: tarfile.TarInfo) -> None:
    if member.size > _MOST:
        raise ValueError(f"{member.name} has {member.size:,} bytes, and {_MOST:,} at most")


@contextmanager
def _naming(scratch: Path) -> Iterator[None]:
    """Name the folder in an error of the system that names nothing, such as a full disk."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise OSError(error.errno, error.strerror, str(scratch)) from error
        raise


def _clear(scratch: Path) -> None:
    for entry in scratch.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name != "lock":
            entry.unlink()
