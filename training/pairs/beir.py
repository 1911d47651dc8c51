"""A BEIR folder: the judgements of a split, its queries, and the documents that they judge."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from eval.collections.beir import open_beir
from eval.collections.collection import Documents
from indexer.errors import ClozeError
from search.runs import column
from training.pairs.example import titled
from training.pairs.row import LeftOut, Placed, Row

KIND = "BEIR folder"
WITHOUT_TEXT = "judged queries without a text"
MISSING = "judged documents that are missing or empty"


class BeirRows:
    """The judged queries of a split: a grade above 0 is a positive, any other a negative."""

    def __init__(self, folder: str, split: str) -> None:
        """Open the folder.

        Raises:
            ClozeError: it has no such split, or no documents, or a file is not what it should be.
        """
        self.name = folder
        self.kind = KIND
        self.unread: Counter[str] = Counter()
        self._collection = open_beir(Path(folder), split)
        if self._collection.corpus is None:
            raise ClozeError(f"{folder} has no corpus.jsonl, whose texts its judgements need")
        self._corpus: Documents = self._collection.corpus()

    def __iter__(self) -> Iterator[Placed]:
        """Yield a row for each judged query; only texts of judged documents are held."""
        judged = {document for grades in self._collection.qrels.values() for document in grades}
        texts = {
            column(each.id): titled(each.title.strip(), each.text.strip())
            for each in self._corpus
            if column(each.id) in judged
        }
        for query, text in self._collection.queries.items():
            grades = self._collection.qrels[query]
            place = f"query {query!r}"
            for document in grades:
                if not texts.get(document):
                    yield place, LeftOut(MISSING)
            if text.strip():
                yield place, _row(text.strip(), grades, texts)
            else:
                yield place, LeftOut(WITHOUT_TEXT)

    def position(self) -> float:
        """Return the share of the documents that has been read, from 0 to 1."""
        return self._corpus.position() or 0.0


def _row(query: str, grades: Mapping[str, int], texts: Mapping[str, str]) -> Row:
    there = [(texts[document], grade) for document, grade in grades.items() if texts.get(document)]
    return Row(
        query=query,
        positives=tuple(text for text, grade in there if grade > 0),
        negatives=tuple(text for text, grade in there if grade <= 0),
        judged=True,
    )
