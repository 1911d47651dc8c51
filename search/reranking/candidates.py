"""The pool's documents with their best passages, as a reranker reads them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from indexer.documents import Document
from indexer.index import Index
from indexer.passages import cut, sentences
from search.integrity import intact, intact_window
from search.matches import matches
from search.reranking.reranker import Candidate, CandidatePassage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Code points of a window that is cut without the encoder, and of a text that is cut so.
_WINDOW = 1_000
_MOST_CUT = 100_000


def read_candidates(
    index: Index,
    query: str,
    vector: "NDArray[np.float32] | None",
    numbers: Sequence[int],
    count: int,
) -> dict[int, Candidate]:
    """Read documents and their `count` best passages: those nearest to the query's vector.

    `vector` is [dimension]; without it the text is cut into windows of whole sentences, and those
    with most of the query's words are the best.

    Raises:
        DamagedIndexError: a document, or the place of a passage, is not what was written.
    """
    documents = intact(index, numbers)
    if vector is None:
        terms = frozenset(index.analyzer.terms(query))
        return {
            number: _windowed(index, number, document, terms, count)
            for number, document in documents.items()
        }
    return _stored(index, vector, documents, count)


def _stored(
    index: Index, vector: "NDArray[np.float32]", documents: Mapping[int, Document], count: int
) -> dict[int, Candidate]:
    best = {
        number: [passage for passage, _ in index.dense.passages(number, vector)[:count]]
        for number in documents
    }
    places = index.store.windows([passage for passages in best.values() for passage in passages])
    titles = index.encoder.token_offsets([document.title for document in documents.values()])
    found = {}
    for (number, document), title in zip(documents.items(), titles, strict=True):
        passages = []
        for passage in best[number]:
            start, end = intact_window(index, document, places.get(passage))
            text = _as_encoded(index, replace(document, text=document.text[start:end]), title)
            passages.append(CandidatePassage(number=passage, text=text, start=start, end=end))
        found[number] = Candidate(number=number, title=document.title, passages=tuple(passages))
    return found


def _as_encoded(index: Index, window: Document, title: Sequence[tuple[int, int]]) -> str:
    """Return what the encoder read of a window: a long title's end is cut off, as it was then.

    To the passage rule the window is a text of one token, which it never cuts.
    """
    whole = [(0, len(window.text))] if window.text else []
    passages = cut(window, title, whole, index.manifest.rule, index.encoder.added_tokens).passages
    return passages[0].text if passages else ""


def _windowed(
    index: Index, number: int, document: Document, terms: frozenset[str], count: int
) -> Candidate:
    text = document.text[:_MOST_CUT]
    spans = list(_spans(text))
    if len(spans) > 1:
        spans = _most_words(index, text, spans, terms)
    title = document.title if document.title.strip() else ""
    if not spans and title:
        spans = [(0, 0)]
    passages = tuple(
        CandidatePassage(
            number=None, text=" ".join(filter(None, [title, text[start:end]])), start=start, end=end
        )
        for start, end in spans[:count]
    )
    return Candidate(number=number, title=document.title, passages=passages)


def _most_words(
    index: Index, text: str, spans: Sequence[tuple[int, int]], terms: frozenset[str]
) -> list[tuple[int, int]]:
    """Order windows by distinct words of the query, then by all of them, then by place."""
    found = matches(text, terms, index.analyzer)

    def worth(span: tuple[int, int]) -> tuple[int, int, int]:
        inside = [match.term for match in found if span[0] <= match.start < span[1]]
        return -len(set(inside)), -len(inside), span[0]

    return sorted(spans, key=worth)


def _spans(text: str) -> Iterator[tuple[int, int]]:
    """Pack sentences into windows of about 1,000 code points; a longer one is cut at spaces."""
    begin = last = 0
    for start, end in _pieces(text):
        if last > begin and end - begin > _WINDOW:
            yield begin, last
            begin = start
        elif last == begin:
            begin = start
        last = end
    if last > begin:
        yield begin, last


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    place = 0
    for sentence in sentences(text):
        start = text.find(sentence, place)
        place = start + len(sentence)
        while place - start > _WINDOW:
            space = text.rfind(" ", start + 1, start + _WINDOW)
            end = space if space > start else start + _WINDOW
            yield start, end
            start = end + (text[end] == " ")
        if place > start:
            yield start, place
