"""SQuAD-like JSON: data, paragraphs, qas; a question's positive is its paragraph's context."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from indexer.corpus.fields import BadRecord
from indexer.corpus.lines import Source
from training.pairs.fields import read_row
from training.pairs.file_rows import whole_text
from training.pairs.json_lines import parse_object
from training.pairs.row import LeftOut, Placed, Row

_IMPOSSIBLE = LeftOut("that no passage answers (is_impossible)")


def read_squad(source: Source, ignored: Counter[str]) -> Iterator[Placed]:
    """Yield a row for each question; the article's title stands in front of the context.

    The whole file is held while it is read. Questions that say `is_impossible` are left out.
    """
    try:
        content = parse_object(whole_text(source))
        articles = list(_listed(content, "data", ""))
    except BadRecord as bad:
        yield "the file", bad
        return
    for place, article in articles:
        yield from _article(place, article)


def _article(place: str, article: object) -> Iterator[Placed]:
    try:
        title = article.get("title") if isinstance(article, Mapping) else None
        for where, paragraph in _listed(article, "paragraphs", place):
            yield from _paragraph(where, title, paragraph)
    except BadRecord as bad:
        yield place, bad


def _paragraph(place: str, title: object, paragraph: object) -> Iterator[Placed]:
    try:
        asked = _listed(paragraph, "qas", place)
        for where, question in asked:
            yield where, _question(title, paragraph, question)
    except BadRecord as bad:
        yield place, bad


def _question(title: object, paragraph: Any, question: object) -> Row | LeftOut | BadRecord:  # noqa: ANN401
    try:
        if not isinstance(question, Mapping) or "question" not in question:
            raise BadRecord("no field question", "give each of qas one")
        if question.get("is_impossible"):
            return _IMPOSSIBLE
        if "context" not in paragraph:
            raise BadRecord("the paragraph has no field context", "give it one")
        return read_row(
            {"query": question["question"], "positive": paragraph["context"], "title": title}
        )
    except BadRecord as bad:
        return bad


def _listed(value: object, name: str, place: str) -> Iterator[tuple[str, object]]:
    """Yield the elements of a list by its name, each with its place.

    Raises:
        BadRecord: there is no such list.
    """
    listed = value.get(name) if isinstance(value, Mapping) else None
    if not isinstance(listed, list):
        problem = f"no list {name}" + (f" in {place}" if place else "")
        raise BadRecord(problem, "lay it out as SQuAD: data, paragraphs, qas")
    lead = f"{place}.{name}" if place else name
    return ((f"{lead}[{number}]", each) for number, each in enumerate(listed))
