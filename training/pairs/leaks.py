"""What training would see of a test: its queries, and the documents judged relevant to them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.collections import Collection, open_collection
from indexer.documents import Document
from indexer.errors import ClozeError
from search.runs import column
from training.pairs.example import titled
from training.pairs.identity import digest
from training.pairs.reading import Pairs
from training.pairs.report import shortened

_SHOWN = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaks:
    """Texts of pairs that one split of a collection is judged by, in the order of the pairs.

    `queries` are equal to a judged query and `positives` to a document judged relevant, with its
    title or without. A collection without documents has `documents` false: none was compared.
    """

    collection: str
    split: str
    queries: tuple[str, ...]
    positives: tuple[str, ...]
    documents: bool

    def __bool__(self) -> bool:
        """Tell whether there is any."""
        return bool(self.queries or self.positives)

    def as_json(self) -> dict[str, Any]:
        """Return counts and the first of each."""
        found = {"queries": self.queries, "positives": self.positives}
        return {
            "collection": self.collection,
            "split": self.split,
            "documents": self.documents,
            **{name: {"count": len(texts), "first": texts[:1]} for name, texts in found.items()},
        }

    def describe(self) -> str:
        """Say how many leaks there are and which is the first."""
        first = shortened((*self.queries, *self.positives)[0], _SHOWN)
        return (
            f"{self.collection}, split {self.split}: {len(self.queries):,} queries and "
            f"{len(self.positives):,} positives of the pairs are what it is judged by, the first "
            f"{first!r}"
        )


def find_leaks(pairs: Pairs, collection: Collection) -> Leaks:
    """Compare pairs with the judged queries and relevant documents of a collection's split."""
    asked = {digest(text) for text in collection.queries.values() if text.strip()}
    relevant = _relevant(collection)
    positives = dict.fromkeys(text for example in pairs.examples for text in example.positives)
    return Leaks(
        collection=collection.name,
        split=collection.split,
        queries=tuple(each.query for each in pairs.examples if digest(each.query) in asked),
        positives=tuple(text for text in positives if digest(text) in relevant),
        documents=collection.corpus is not None,
    )


def check_leaks(
    pairs: Pairs, collections: Sequence[str], *, allow: bool, tell: Callable[[str], None]
) -> tuple[Leaks, ...]:
    """Compare pairs with collections by name, each with its test split, else its only one.

    A folder's name may have another split behind it, as in `collection:dev`.

    `tell` hears of leaks that are allowed, and of collections whose documents are not there.

    Raises:
        ClozeError: there is a leak and it isn't allowed, or a collection can't be opened.
    """
    found = tuple(find_leaks(pairs, _opened(name)) for name in collections)
    for each in found:
        if each and not allow:
            raise ClozeError(f"{each.describe()}; take them out, or pass --allow-leak")
        if each:
            tell(f"allowed: {each.describe()}")
        if not each.documents:
            tell(f"{each.collection} has no documents here, so positives were not compared")
    return found


def _opened(name: str) -> Collection:
    folder, colon, split = name.rpartition(":")
    if colon and Path(folder).is_dir() and not Path(name).exists():
        return open_collection(folder, split)
    return open_collection(name)


def _relevant(collection: Collection) -> set[bytes]:
    """Return the digests of the documents judged relevant, with their title and without."""
    if collection.corpus is None:
        return set()
    wanted = _relevant_ids(collection.qrels)
    found: set[bytes] = set()
    for document in collection.corpus():
        if column(document.id) in wanted:
            found.update(map(digest, filter(None, _forms(document))))
    return found


def _relevant_ids(qrels: Mapping[str, Mapping[str, int]]) -> set[str]:
    return {id for grades in qrels.values() for id, grade in grades.items() if grade > 0}


def _forms(document: Document) -> tuple[str, str]:
    title, text = document.title.strip(), document.text.strip()
    return titled(title, text), text
