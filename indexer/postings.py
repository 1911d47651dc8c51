"""The postings' files: what is indexed of a document, and whether tantivy's files are whole."""

import contextlib
import json
import mmap
import os
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tantivy

from indexer.refusals import refusal

# Below so many bytes starting threads takes longer than reading.
_WORTH_THREADS = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One part of a commit: the name of its files, its documents, the dead ones among them too.

    `deletions` is the number of the commit that its file of deletions is named by.
    """

    name: str
    documents: int
    dead: int
    deletions: int | None


def schema() -> tantivy.Schema:
    """Return the fields: terms, the document's number, and the sequence number when written."""
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("body", tokenizer_name="whitespace", index_option="freq")
    builder.add_integer_field("number", indexed=True, fast=True)
    builder.add_integer_field("sequence", fast=True)
    return builder.build()


def posting(terms: Iterable[str], number: int, sequence: int) -> tantivy.Document:
    """Return what is indexed of one document."""
    made = tantivy.Document()
    made.add_text("body", " ".join(terms))
    made.add_integer("number", number)
    made.add_integer("sequence", sequence)
    return made


def meta(generation: Path) -> bytes:
    """Return what tantivy keeps of its newest commit, as JSON; nothing where it is gone."""
    with contextlib.suppress(FileNotFoundError):
        return (generation / "meta.json").read_bytes()
    return b""


def segments(commit: bytes) -> list[Segment]:
    """Return the segments of a commit.

    Raises:
        ValueError: it is not what tantivy writes.
    """
    try:
        return [_segment(each) for each in json.loads(commit)["segments"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"meta.json is not what tantivy writes: {error!r}") from error


def _segment(written: Any) -> Segment:  # noqa: ANN401 - JSON that may be damaged
    deletes = written["deletes"]
    return Segment(
        name=written["segment_id"].replace("-", ""),
        documents=int(written["max_doc"]),
        dead=0 if deletes is None else int(deletes["num_deleted_docs"]),
        deletions=None if deletes is None else int(deletes["opstamp"]),
    )


def committed(generation: Path, commit: bytes) -> Iterator[Path]:
    """Yield the files of a commit, but not what a killed process left half written.

    A segment's files are named by its id; that of its deletions has the commit's number as well.

    Raises:
        ValueError: the commit is not what tantivy writes.
    """
    deletions = {segment.name: segment.deletions for segment in segments(commit)}
    for path in generation.iterdir():
        segment, _, kind = path.name.partition(".")
        if segment in deletions and (path.suffix != ".del" or kind == f"{deletions[segment]}.del"):
            yield path


def check_counts(generation: Path, commit: bytes) -> None:
    """Hold each segment's numbers of documents, which decide what is found, against its files.

    Raises:
        ValueError: the commit is damaged: it has no checksum of its own.
    """
    for segment in segments(commit):
        found = (_lengths(generation / f"{segment.name}.fieldnorm"), 0)
        if segment.deletions is not None:
            found = _bits(generation / f"{segment.name}.{segment.deletions}.del")
        if found != (segment.documents, segment.dead):
            raise ValueError(
                f"meta.json gives segment {segment.name} {segment.documents} documents, "
                f"{segment.dead} of them dead; its files have {found[0]} and {found[1]}"
            )


def _lengths(path: Path) -> int:
    """Count the documents in a whole file of lengths: a byte for each, a table, the footer."""
    with path.open("rb") as file:
        file.seek(-8, os.SEEK_END)
        footer = int.from_bytes(file.read(4), "little")
        end = file.seek(-8 - footer - 4, os.SEEK_END)
        return end - int.from_bytes(file.read(4), "little")


def _bits(path: Path) -> tuple[int, int]:
    """Count the documents in a whole file of deletions, and the dead: a bit for each of the living.

    The number of bits is in front, in four bytes.
    """
    content = path.read_bytes()
    footer = int.from_bytes(content[-8:-4], "little")
    count = int.from_bytes(content[:4], "little")
    return count, count - int.from_bytes(content[4 : -8 - footer], "little").bit_count()


def broken(files: Iterable[Path], threads: int) -> list[Path]:
    """Return those of some files that do not have the checksum written at their end, sorted."""
    # The largest first, so that no thread is left with it at the end.
    sized = sorted(((path.stat().st_size, path) for path in files), reverse=True)
    paths = [path for _, path in sized]
    if threads == 1 or sum(size for size, _ in sized) < _WORTH_THREADS:
        whole = list(map(_whole, paths))
    else:
        with ThreadPoolExecutor(threads) as pool:  # checksums are computed outside the GIL
            whole = list(pool.map(_whole, paths))
    return sorted(path for path, intact in zip(paths, whole, strict=True) if not intact)


def _whole(path: Path) -> bool:
    """Compare a file's CRC-32 with its footer: JSON, the JSON's length, a magic number."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if not os.fstat(descriptor).st_size:
            return False
        with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as content:
            return _has_its_checksum(content)
    finally:
        os.close(descriptor)


def _has_its_checksum(content: mmap.mmap) -> bool:
    try:
        end = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
        footer = json.loads(content[max(0, end) : -8])
        with memoryview(content) as whole, whole[: max(0, end)] as body:
            return bool(zlib.crc32(body) == footer["crc"])
    except (ValueError, KeyError, TypeError):
        return False


def tells_damage(error: BaseException) -> bool:
    """Tell whether tantivy met bytes that it did not write: it says so, or panics.

    It says so as well of what the system refused, where the files may be sound.
    """
    if refusal(error):
        return False
    kinds = (ValueError, FileNotFoundError)
    return isinstance(error, kinds) or type(error).__name__ == "PanicException"
