"""What the service has accepted to write, and which of it goes together."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import groupby
from time import monotonic
from typing import TYPE_CHECKING, TypeAlias

from indexer.documents import Document, check
from indexer.errors import RequestError
from indexer.filters import Filter
from indexer.preparation import metadata_hash, text_hash

if TYPE_CHECKING:
    from indexer.index import Index
    from indexer.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What one write did, by numbers of documents, and the commit that has it."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    version: str = ""
    notices: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True, eq=False)
class _Job:
    deadline: float
    arrived: float = field(default_factory=monotonic)
    future: "Future[Written]" = field(default_factory=Future)


@dataclass(slots=True, kw_only=True, eq=False)
class Put(_Job):
    """Documents to be added or replaced."""

    documents: Sequence[Document]

    @property
    def ids(self) -> list[str]:
        """The ids of its documents."""
        return [document.id for document in self.documents]

    @property
    def size(self) -> int:
        """How many documents it has."""
        return len(self.documents)


@dataclass(slots=True, kw_only=True, eq=False)
class Delete(_Job):
    """Ids whose documents are to go."""

    ids: Sequence[str]

    @property
    def size(self) -> int:
        """How many ids it has."""
        return len(self.ids)


@dataclass(slots=True, kw_only=True, eq=False)
class DeleteMatching(_Job):
    """A filter; what it passes is to go."""

    condition: Filter
    size: int = 1


Write: TypeAlias = Put | Delete | DeleteMatching


@dataclass(slots=True, kw_only=True, eq=False)
class Compact:
    """A compaction, asked for by hand; nobody waits for its future."""

    size: int = 1
    future: "Future[None]" = field(default_factory=Future)


def check_put(put: Put) -> None:
    """Check documents before any of them is written.

    Raises:
        RequestError: one can't be stored, or two have the same id.
    """
    seen: set[str] = set()
    for document in put.documents:
        check(document)
        if document.id in seen:
            raise RequestError(
                f"the id {document.id!r} comes twice in one request; send each document once"
            )
        seen.add(document.id)


def groups(writes: Sequence[Write]) -> Iterator[list[Write]]:
    """Yield writes in their order, those together that can be one: puts until an id comes again."""
    for kind, following in groupby(writes, type):
        group: list[Write] = []
        ids: set[str] = set()
        for each in following:
            new = each.ids if isinstance(each, Put) else ()
            if group and (kind is DeleteMatching or not ids.isdisjoint(new)):
                yield group
                group, ids = [], set()
            group.append(each)
            ids.update(new)
        yield group


def expected(store: "Store", group: Sequence[Write]) -> list[Written]:
    """Tell what each write of a group will do to what is stored now."""
    stored = store.live([id_ for each in group if not isinstance(each, DeleteMatching)
                         for id_ in each.ids])  # fmt: skip
    found = []
    for each in group:
        if isinstance(each, Put):
            old = [document for document in each.documents if document.id in stored]
            unchanged = sum(
                (stored[document.id].text_hash, stored[document.id].metadata_hash)
                == (text_hash(document), metadata_hash(document))
                for document in old
            )
            found.append(
                Written(
                    added=each.size - len(old), updated=len(old) - unchanged, unchanged=unchanged
                )
            )
        elif isinstance(each, Delete):
            gone = [stored.pop(id_) for id_ in each.ids if id_ in stored]
            found.append(Written(deleted=len(gone)))
        else:
            found.append(Written())
    return found


def apply(index: "Index", group: Sequence[Write], published: Callable[[int], None]) -> None:
    """Write a group in one go; `published` hears how many documents went, when all can be found."""
    one = group[0]
    if isinstance(one, Put):
        puts = [each for each in group if isinstance(each, Put)]
        documents = (document for put in puts for document in put.documents)
        index.add(documents, atomic=True, published=lambda changes: published(changes.deleted))
    elif isinstance(one, Delete):
        ids = [id_ for each in group if isinstance(each, Delete) for id_ in each.ids]
        index.delete(ids, published=lambda changes: published(changes.deleted))
    else:
        index.delete_matching(one.condition, published=lambda changes: published(changes.deleted))
