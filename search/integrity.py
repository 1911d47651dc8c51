"""Documents read for showing, each held against what was written with it."""

import json
from collections.abc import Sequence

from indexer.documents import Document
from indexer.errors import DamagedIndexError
from indexer.index import Index
from indexer.preparation import metadata_hash, text_hash
from indexer.stored import Kept


def intact(index: Index, numbers: Sequence[int]) -> dict[int, Document]:
    """Read documents by their numbers.

    Raises:
        DamagedIndexError: one is lost, or its id, text or metadata is not what was written.
    """
    kept = index.store.kept(numbers)
    return {number: _document(index, number, kept.get(number)) for number in numbers}


def intact_window(
    index: Index, document: Document, window: tuple[int, int] | None
) -> tuple[int, int]:
    """Return where a passage lies in its document's text, as code points [start, end).

    Raises:
        DamagedIndexError: it is lost, or lies elsewhere.
    """
    if window is None:
        raise _damaged(index, f"a passage of document {document.id!r} is lost")
    start, end = window
    if not (_is_place(document, start) and _is_place(document, end) and start <= end):
        raise _damaged(
            index,
            f"a passage of document {document.id!r} goes from {start!r} to {end!r} in a text of "
            f"{len(document.text)} characters",
        )
    return start, end


def _damaged(index: Index, what: str) -> DamagedIndexError:
    """Return the error that names the store, what is wrong in it, and what tells of the rest."""
    return DamagedIndexError(
        f"{index.store.path}: {what}; see what else is damaged with: cloze verify {index.folder}"
    )


def _is_place(document: Document, place: object) -> bool:
    return isinstance(place, int) and 0 <= place <= len(document.text)


def _document(index: Index, number: int, kept: Kept | None) -> Document:
    if kept is None:
        raise _damaged(index, f"there is no document {number}, which postings or vectors have")
    document = _decoded(index, kept)
    hashes = {
        "text": (text_hash(document), kept.text_hash),
        "metadata": (metadata_hash(document), kept.metadata_hash),
    }
    for what, (read, written) in hashes.items():
        if read != written:
            # What was written may itself be anything by now.
            shown = written.hex() if isinstance(written, bytes) else repr(written)
            raise _damaged(
                index,
                f"the {what} of document {document.id!r} has hash {read.hex()}, {shown} was "
                "written",
            )
    if kept.astray:
        raise _damaged(
            index, f"document number {number} has id {document.id!r}, which is not listed for it"
        )
    return document


def _decoded(index: Index, kept: Kept) -> Document:
    name = f"document number {kept.number}"
    if kept.id is None or kept.title is None or kept.text is None or kept.metadata is None:
        raise _damaged(index, f"{name} has lost its content")
    try:
        return Document(
            id=kept.id.decode(),
            title=kept.title.decode(),
            text=kept.text.decode(),
            metadata=json.loads(kept.metadata),
        )
    except ValueError as error:
        raise _damaged(index, f"{name} can't be decoded ({error})") from None
