"""An index copied into one file while others read and write it."""

import fcntl
import io
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO

from indexer import generations
from indexer.archive import COMPRESSED, MEMBER, MIB, STORE, Archive, Head, is_backup
from indexer.errors import ClozeError
from indexer.lock import writer_lock
from indexer.manifest import NAME as MANIFEST
from indexer.manifest import read_manifest
from indexer.migration import upgrade
from indexer.progress import Phase, Progress, Step, silent
from indexer.snapshot import StoreSnapshot, leftovers

_OTHERS = (".bz2", ".xz", ".zst", ".zip", ".7z")


class BackingUp:
    """One run of a backup; `position` is the share of the bytes that are done."""

    def __init__(self, folder: str | Path, file: str | Path) -> None:
        """Prepare to write an index to a file; one that ends in .gz or .tgz is compressed."""
        self.folder = Path(folder)
        self.file = Path(file)
        self._done = 0
        self._total = 0

    def position(self) -> float | None:
        """Return the share of the bytes that have been read."""
        return self._done / self._total if self._total else None

    def run(self, progress: Progress = silent) -> Head:
        """Write the file, whole or not at all; an older backup of that name stays until then.

        The writer's lock is held while files are opened, not while they are read. A copy of the
        store lies beside the file meanwhile, so it takes that much more space.

        Raises:
            ClozeError: the folder is no index, or the file is something else, or being written.
            DamagedIndexError: manifest or store can't be read.
        """
        read_manifest(self.folder)  # before anything is written
        _check_target(self.folder, self.file)
        upgrade(self.folder)
        part = self.file.with_name(f"{self.file.name}.part")
        copy = self.file.with_name(f"{self.file.name}.store")
        with _naming(self.file), _claimed(part, copy) as output, ExitStack() as opened:
            manifest, store, derived = self._open(opened)
            head = Head(
                sequence=store.sequence, documents=store.documents, bytes=self._total - store.bytes
            )
            members: list[tuple[str, IO[bytes]]] = [(MANIFEST, io.BytesIO(manifest))]
            with (
                store.copied(copy, lambda done: self._tell("store", done, progress)),
                copy.open("rb") as stored,
                Archive(output, head, compressed=self.file.suffix in COMPRESSED) as archive,
            ):
                members += [(self._name(store.path), stored), *derived]
                self._archive(archive, members, progress)
            output.flush()
            os.fsync(output.fileno())
            os.replace(part, self.file)
            generations.sync(self.file.parent)
        return head

    def _open(self, opened: ExitStack) -> tuple[bytes, StoreSnapshot, list[tuple[str, IO[bytes]]]]:
        """Open all of one commit: what is open stays, whatever writers replace later."""
        with writer_lock(self.folder):
            data = self.folder / read_manifest(self.folder).data
            store = StoreSnapshot(data / STORE)
            opened.callback(store.close)
            self._total = 2 * store.bytes  # copied, then read once more
            derived: list[tuple[str, IO[bytes]]] = []
            for path in _derived(data):
                file = opened.enter_context(path.open("rb"))
                self._total += os.fstat(file.fileno()).st_size
                derived.append((self._name(path), file))
            manifest = (self.folder / MANIFEST).read_bytes()
            self._total += len(manifest)
            return manifest, store, derived

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()

    def _archive(
        self, archive: Archive, members: Iterable[tuple[str, IO[bytes]]], progress: Progress
    ) -> None:
        for name, source in members:
            tell = partial(self._read, _phase(name), progress)
            archive.add(name, source, tell)
        self._tell("seal", self._done, progress)

    def _read(self, phase: Phase, progress: Progress, count: int) -> None:
        self._tell(phase, self._done + count, progress)

    def _tell(self, phase: Phase, done: int, progress: Progress) -> None:
        self._done = done
        progress(Step(phase=phase, documents=done // MIB))


def _phase(name: str) -> Phase:
    parts = name.split("/")
    return "lexical" if "lexical" in parts else "dense" if "dense" in parts else "store"


def _derived(data: Path) -> Iterator[Path]:
    """Yield the files of the postings that count and of the vectors, by name."""
    for home in (generations.current(data / "lexical"), data / "dense"):
        for path in sorted(home.iterdir()) if home is not None and home.is_dir() else ():
            name = path.relative_to(data).as_posix()
            if path.is_file() and path.suffix != ".lock" and MEMBER.fullmatch(name):
                yield path


def _check_target(folder: Path, file: Path) -> None:
    if file.suffix in _OTHERS:
        raise ClozeError(
            f"a backup is a plain tar file or one that ends in .gz or .tgz, not {file.suffix}; "
            f"name {file} otherwise"
        )
    if not file.parent.is_dir():
        raise ClozeError(f"{file.parent} is not a folder; make it, or name {file} elsewhere")
    if file.resolve().is_relative_to(folder.resolve()):
        raise ClozeError(
            f"{file} lies in the index {folder} itself, and would be lost with it; name it outside"
        )
    if file.exists() and not is_backup(file):
        raise ClozeError(
            f"{file} is there and no backup, so it is not replaced; remove it, or name another file"
        )


@contextmanager
def _naming(file: Path) -> Iterator[None]:
    """Name the file in an error of the system that names none, such as a full disk."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise OSError(error.errno, error.strerror, str(file)) from error
        raise


@contextmanager
def _claimed(part: Path, copy: Path) -> Iterator[IO[bytes]]:
    """Open a scratch file that one process writes; unless it is renamed, nothing of it stays.

    It is there before the store's copy is and after it, so a copy without it is not ours.
    """
    file, is_new = _locked(part)
    with file:
        try:
            if is_new and (found := leftovers(copy)):
                raise ClozeError(
                    f"{found[0]} is there and of no backup, and the copy of the store would "
                    "replace it; move it away, or name another file"
                )
            file.truncate(0)  # of one that was killed
            yield file
        except BaseException:
            if _is_at(file, part):
                part.unlink()
            raise


def _locked(part: Path) -> tuple[IO[bytes], bool]:
    """Open and lock the file of this name; tell, too, whether it is new."""
    while True:
        try:
            file, is_new = part.open("xb"), True
        except FileExistsError:
            file, is_new = part.open("ab"), False
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Else who held the lock has made a backup of it, or removed it, since it was opened.
            if _is_at(file, part):
                return file, is_new
        except BlockingIOError:
            file.close()
            raise ClozeError(
                f"{part} is being written by another backup; wait for it, or name another file"
            ) from None
        file.close()


def _is_at(file: IO[bytes], path: Path) -> bool:
    """Tell whether an open file is still the one of a name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
