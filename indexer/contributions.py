"""What each term of a query adds to a document's BM25 score."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import tantivy

from indexer.analysis import Analyzer
from indexer.ranking import Ranking


@dataclass(frozen=True, slots=True, kw_only=True)
class TermScore:
    """What a term of the query adds to a document's BM25 score: query_count * idf * tf.

    With k1 = 1.2 and b = 0.75: idf = ln(1 + (N - documents + 0.5) / (documents + 0.5)), N counting
    all documents; tf = frequency * (k1 + 1) / (frequency + k1 * length_factor); length_factor =
    1 - b + b * length / mean length, in terms, where the index keeps lengths rounded. Statistics
    count deleted documents until compaction. A term of the title counts `title_weight` times in
    `frequency`. `words` are those of the query that became the term.
    """

    term: str
    words: tuple[str, ...]
    score: float
    query_count: int
    idf: float
    documents: int
    tf: float
    frequency: float
    length_factor: float


def contributions(
    ranking: Ranking, analyzer: Analyzer, text: str, numbers: Sequence[int]
) -> dict[int, tuple[TermScore, ...]]:
    """Return what the terms of a query add to the scores of documents, most first.

    They add up to the score that the ranking gives, to float32 rounding. A term that a document
    lacks is absent, and so is a document that lacks them all.
    """
    tokens = list(analyzer.tokens(text))
    words: dict[str, dict[str, None]] = defaultdict(dict)
    for token in tokens:
        words[token.term][text[token.start : token.end]] = None
    found: dict[int, list[TermScore]] = defaultdict(list)
    for term, count in Counter(token.term for token in tokens).items():
        for number, parts in _accounts(ranking, term, numbers):
            found[number].append(_term_score(term, tuple(words[term]), count, parts))
    return {
        number: tuple(sorted(terms, key=lambda each: (-each.score, each.term)))
        for number, terms in found.items()
    }


def _accounts(
    ranking: Ranking, term: str, numbers: Sequence[int]
) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield tantivy's account of a term's score in those of the documents that hold it."""
    holds = tantivy.Query.term_query(ranking.schema, "body", term, index_option="freq")
    among = tantivy.Query.term_set_query(ranking.schema, "number", list(numbers))
    both = tantivy.Query.boolean_query([(tantivy.Occur.Must, holds), (tantivy.Occur.Must, among)])
    hits = ranking.searcher.search(both, max(1, len(numbers)), count=False).hits
    addresses = [address for _, address in hits]
    its_numbers: list[Any] = ranking.searcher.fast_field_values("number", addresses)
    for number, address in zip(its_numbers, addresses, strict=True):
        account = json.loads(holds.explain(ranking.searcher, address).to_json())
        yield int(number), {"score": account["value"], **dict(_values(account))}


def _values(account: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield every number of an account by what stands before the first comma of its description."""
    for part in account.get("details", ()):
        yield part["description"].partition(",")[0], part["value"]
        yield from _values(part)


def _term_score(
    term: str, words: tuple[str, ...], count: int, parts: dict[str, float]
) -> TermScore:
    saturation = parts["freq / (freq + k1 * (1 - b + b * dl / avgdl))"]
    return TermScore(
        term=term,
        words=words,
        score=count * parts["score"],
        query_count=count,
        idf=parts["idf"],
        documents=int(parts["n"]),
        tf=parts["(K1+1)"] * saturation,
        frequency=parts["freq"],
        length_factor=1 - parts["b"] + parts["b"] * parts["dl"] / parts["avgdl"],
    )
