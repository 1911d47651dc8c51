"""The postings' files: what is indexed of a document, and whether tantivy's files are whole."""

import contextlib
import json
import mmap
import os
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import tantivy

# Below so many bytes starting threads takes longer than reading.
_WORTH_THREADS = 4_000_000


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


def committed(generation: Path, commit: bytes) -> Iterator[Path]:
    """Yield the files of a commit, but not what a killed process left half written.

    A segment's files are named by its id; that of its deletions has the commit's number as well.
    """
    deletions = {
        segment["segment_id"].replace("-", ""): (segment["deletes"] or {}).get("opstamp")
        for segment in json.loads(commit)["segments"]
    }
    for path in generation.iterdir():
        segment, _, kind = path.name.partition(".")
        if segment in deletions and (path.suffix != ".del" or kind == f"{deletions[segment]}.del"):
            yield path


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
