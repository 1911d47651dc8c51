"""Passage vectors on disk: one safetensors file, named by the checksum of its header.

The header holds a checksum of each part, so that a part is checked before anything reads it: rows
(float16, as stored), their passage numbers, a bit for each that counts, checksums of single rows,
and the bytes of a FAISS index where there is one.
"""

import contextlib
import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from indexer import generations
from indexer.errors import DamagedIndexError

SUFFIX = ".safetensors"
_CHUNK = 8 << 20
_TYPES = {"F16": np.float16, "I64": np.int64, "U64": np.uint64, "U8": np.uint8}
_PARTS = ("rows", "sums", "numbers", "alive", "faiss")
_LENGTH = 8  # of the header's length, in front of it
_HEADER_LIMIT = 1 << 20
_UNKNOWN = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a file holds: `rows` [n, dimension], `numbers` and `alive` [n], and what is noted.

    `notes` are JSON values; `index` is a FAISS index whose ids are the places of the rows.
    """

    rows: NDArray[np.float16]
    sums: NDArray[np.uint64]
    numbers: NDArray[np.int64]
    alive: NDArray[np.bool_]
    notes: Mapping[str, Any]
    index: Any | None


def row_sums(rows: NDArray[np.float16]) -> NDArray[np.uint64]:
    """Return a checksum of each row that no flip of a single bit leaves unchanged.

    The sum of its words, each times an odd number of its own, modulo 2^64.
    """
    raw = np.ascontiguousarray(rows)
    if raw.shape[1] % 4 == 0:
        words = raw.view(np.uint64)
    else:
        words = raw.view(np.uint16).astype(np.uint64)
    places = np.arange(words.shape[1], dtype=np.uint64)
    factors = (places * np.uint64(0x9E3779B97F4A7C15)) | np.uint64(1)
    sums: NDArray[np.uint64] = words @ factors
    return sums


@contextlib.contextmanager
def written(
    home: Path,
    numbers: NDArray[np.int64],
    alive: NDArray[np.bool_],
    blocks: Iterable[NDArray[np.float16]],
    dimension: int,
    notes: Mapping[str, Any],
    index: Any | None = None,  # noqa: ANN401 - any kind of FAISS index
) -> Iterator[Callable[[], Path]]:
    """Write a file aside, and give what puts it in place, whole, and removes older ones.

    `blocks` are the rows in order.
    """
    home.mkdir(exist_ok=True)
    with generations.scratch(home) as place:
        if index is not None:
            faiss.write_index(index, str(place / "faiss"))
        path = place / "new"
        sizes = {
            "rows": ("F16", [len(numbers), dimension]),
            "sums": ("U64", [len(numbers)]),
            "numbers": ("I64", [len(numbers)]),
            "alive": ("U8", [-(-len(numbers) // 8)]),
            "faiss": ("U8", [(place / "faiss").stat().st_size if index is not None else 0]),
        }
        with path.open("wb") as file:
            file.write(_header(sizes, notes, {}))
            sums = [row_sums(block) for block in _copied(file, blocks)]
            file.write(np.concatenate([np.zeros(0, np.uint64), *sums]).tobytes())
            file.write(np.ascontiguousarray(numbers).tobytes())
            file.write(np.packbits(alive, bitorder="little").tobytes())
            if index is not None:
                with (place / "faiss").open("rb") as other:
                    shutil.copyfileobj(other, file, _CHUNK)
        with path.open("r+b") as whole, ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            layout = _Layout.read(whole.fileno(), path)
            digests = {name: layout.digest(whole.fileno(), name, pool) for name in sizes}
            header = _header(sizes, notes, digests)
            whole.write(header)
            whole.flush()
            os.fsync(whole.fileno())
        final = home / f"{hashlib.sha256(header).hexdigest()}{SUFFIX}"

        def publish() -> Path:
            path.rename(final)
            os.utime(final)
            generations.sync(home)
            generations.prune(home, final)
            return final

        yield publish


def _copied(file: Any, blocks: Iterable[NDArray[np.float16]]) -> Iterator[NDArray[np.float16]]:  # noqa: ANN401 - an open file
    for block in blocks:
        file.write(np.ascontiguousarray(block).tobytes())
        yield block


def _header(
    sizes: Mapping[str, tuple[str, list[int]]],
    notes: Mapping[str, Any],
    digests: Mapping[str, str],
) -> bytes:
    """Return a safetensors header with its length; it is as long with checksums as without."""
    tensors: dict[str, Any] = {}
    end = 0
    for name, (kind, shape) in sizes.items():
        start, end = end, end + int(np.prod(shape)) * np.dtype(_TYPES[kind]).itemsize
        tensors[name] = {"dtype": kind, "shape": shape, "data_offsets": [start, end]}
    metadata = {name: digests.get(name, _UNKNOWN) for name in sizes} | {"notes": json.dumps(notes)}
    text = json.dumps({"__metadata__": metadata} | tensors).encode()
    text += b" " * (-len(text) % 64)
    return len(text).to_bytes(_LENGTH, "little") + text


def newest(home: Path, *, but: Iterable[Path] = ()) -> Path | None:
    """Return the file written last, if there is any but those named."""
    ages: dict[Path, int] = {}
    for path in set(home.glob(f"*{SUFFIX}")) - set(but):
        with contextlib.suppress(FileNotFoundError):
            ages[path] = path.stat().st_mtime_ns
    return max(ages, key=lambda path: ages[path], default=None)


def read(path: Path, dimension: int, threads: int) -> Contents:
    """Read a file after its parts have been found to be what was written.

    With a FAISS index, the rows stay on disk and are not checked here but one by one, by their
    sums, when they are used; without one they are checked and read whole.

    Raises:
        DamagedIndexError: a checksum is another than the one that was written.
    """
    with path.open("rb") as file:
        layout = _Layout.read(file.fileno(), path)
        if layout.tensors["rows"]["shape"][1] != dimension:
            raise DamagedIndexError(
                f"{path} holds vectors of {layout.tensors['rows']['shape'][1]} numbers, the "
                f"manifest says {dimension}; it is rebuilt from the store"
            )
        has_index = layout.tensors["faiss"]["shape"][0] > 0
        with ThreadPoolExecutor(max_workers=threads) as pool:
            layout.check(file.fileno(), pool, but=("rows",) if has_index else ())
        numbers = layout.part("numbers")
        bits = np.unpackbits(layout.part("alive"), count=len(numbers), bitorder="little")
        rows = layout.part("rows")
        return Contents(
            rows=rows if has_index else np.array(rows),
            sums=np.array(layout.part("sums")),
            numbers=np.array(numbers),
            alive=bits.astype(bool),
            notes=layout.notes,
            index=_index(path, layout.part("faiss"), rows.shape) if has_index else None,
        )


def read_notes(path: Path) -> Mapping[str, Any]:
    """Return what is noted in a file, from its header alone; with a FAISS index, its "kind" too.

    Raises:
        DamagedIndexError: the header is damaged.
    """
    with path.open("rb") as file:
        return _Layout.read(file.fileno(), path).notes


def damaged_parts(path: Path, threads: int) -> list[str]:
    """Return the names of the parts, the rows too, whose checksum is another than was written.

    Raises:
        DamagedIndexError: the header is damaged.
    """
    with path.open("rb") as file, ThreadPoolExecutor(max_workers=threads) as pool:
        layout = _Layout.read(file.fileno(), path)
        return [
            name
            for name in layout.tensors
            if layout.digest(file.fileno(), name, pool) != layout.digests[name]
        ]


def _index(path: Path, raw: NDArray[np.uint8], shape: tuple[int, ...]) -> Any:  # noqa: ANN401 - any kind
    """Read a FAISS index whose codes stay in the file's own pages."""
    # The stubs lack this reader, and what keeps Python objects alive with others.
    reader = faiss.ZeroCopyIOReader(faiss.swig_ptr(raw), len(raw))  # type: ignore[attr-defined]
    try:
        index: Any = faiss.read_index(reader)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise DamagedIndexError(
            f"{path} has an index that this FAISS {faiss.__version__} can't read ({reason}); it is "
            "rebuilt from the store"
        ) from error
    if (index.ntotal, index.d) != shape:
        raise DamagedIndexError(
            f"{path} has an index of {index.ntotal} rows of {index.d} numbers for rows of "
            f"{shape[0]} of {shape[1]}; it is rebuilt from the store"
        )
    index.referenced_objects = (raw,)
    return index


@dataclass(frozen=True, slots=True)
class _Layout:
    """The parts of a file: where each lies, and its checksum."""

    path: Path
    start: int
    tensors: Mapping[str, Any]
    digests: Mapping[str, str]
    notes: Mapping[str, Any]

    @classmethod
    def read(cls, descriptor: int, path: Path) -> "_Layout":
        """Read the header; under its final name, check it against that."""
        length = int.from_bytes(os.pread(descriptor, _LENGTH, 0), "little")
        header = os.pread(descriptor, _LENGTH + min(length, _HEADER_LIMIT), 0)
        digest = hashlib.sha256(header).hexdigest()
        if path.suffix == SUFFIX and digest != path.stem:
            raise DamagedIndexError(
                f"the header of {path} has sha256 {digest[:12]}…, its name says "
                f"{path.stem[:12]}…; it is rebuilt from the store"
            )
        try:
            tensors = json.loads(header[_LENGTH:])
            digests = tensors.pop("__metadata__")
            notes = json.loads(digests.pop("notes"))
            layout = cls(path, len(header), tensors, digests, notes)
            layout._check_sizes(os.fstat(descriptor).st_size)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedIndexError(
                f"{path} has a header that can't be read ({error}); it is rebuilt from the store"
            ) from error
        return layout

    def _check_sizes(self, size: int) -> None:
        """Check that parts are as long as their shapes say, and within the file."""
        rows = self.tensors["rows"]["shape"][0]
        for name in _PARTS:
            kind, shape = _TYPES[self.tensors[name]["dtype"]], self.tensors[name]["shape"]
            start, end = self.span(name)
            fits = end - start == math.prod(shape) * np.dtype(kind).itemsize
            if not (fits and self.start <= start <= end <= size):
                raise ValueError(f"its {name} lie at {start} to {end} of {size} bytes")
            if name in ("sums", "numbers") and shape != [rows]:
                raise ValueError(f"it has {shape} {name} for {rows} rows")

    def span(self, name: str) -> tuple[int, int]:
        start, end = self.tensors[name]["data_offsets"]
        return self.start + start, self.start + end

    def part(self, name: str) -> Any:  # noqa: ANN401 - an array of the part's own type
        entry = self.tensors[name]
        kind = _TYPES[entry["dtype"]]
        if not np.prod(entry["shape"]):
            return np.zeros(entry["shape"], dtype=kind)
        shape = tuple(entry["shape"])
        return np.memmap(self.path, kind, "r", offset=self.span(name)[0], shape=shape)

    def digest(self, descriptor: int, name: str, pool: ThreadPoolExecutor) -> str:
        """Return the sha256 of the sha256s of the part's chunks, which threads share."""
        start, end = self.span(name)

        def chunk(at: int) -> bytes:
            return hashlib.sha256(os.pread(descriptor, min(_CHUNK, end - at), at)).digest()

        whole = hashlib.sha256()
        for each in pool.map(chunk, range(start, end, _CHUNK)):
            whole.update(each)
        return whole.hexdigest()

    def check(self, descriptor: int, pool: ThreadPoolExecutor, but: Iterable[str]) -> None:
        for name in self.tensors.keys() - set(but):
            if self.digest(descriptor, name, pool) != self.digests[name]:
                raise DamagedIndexError(
                    f"{self.path}: its {name} do not have the checksum written with them; it is "
                    "rebuilt from the store"
                )
