"""A stream of documents cut into batches, each of which becomes one transaction."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from indexer.documents import Document, check
from indexer.errors import ClozeError
from indexer.seen import SeenIds

# One transaction holds at most so many documents and characters, but where it is to hold all:
# memory is flat, and a crash costs little encoding.
_BATCH_DOCUMENTS = 512
_BATCH_CHARACTERS = 1_000_000


def refuse_duplicate(document: Document) -> None:
    """Stop a run for an id that came twice in it."""
    raise ClozeError(
        f"the id {document.id!r} comes twice in this run; make ids unique, or add the second "
        "document in a later run to replace the first"
    )


def unique(
    documents: Iterable[Document], seen: SeenIds, duplicate: Callable[[Document], None]
) -> Iterator[Document]:
    """Yield the first document of each id; `duplicate` hears of the others."""
    for document in documents:
        check(document)
        if seen.add(document.id):
            yield document
        else:
            duplicate(document)


def batches(documents: Iterator[Document], factor: int) -> Iterator[list[Document]]:
    """Yield lists of documents, bounded in number and in characters, both times `factor`."""
    while True:
        batch: list[Document] = []
        size = 0
        for document in islice(documents, _BATCH_DOCUMENTS * factor):
            batch.append(document)
            size += len(document.title) + len(document.text)
            if size >= _BATCH_CHARACTERS * factor:
                break
        if not batch:
            return
        yield batch
