"""What a search says to a person: hits, how their scores came about, facets, what ran."""

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from indexer.commands.console import notice, tell
from search.reranking.opening import LATE

if TYPE_CHECKING:
    from indexer.plan import Plan
    from search.explanation import Explanation, Final, Part, RerankPlan, SearchPlan
    from search.hits import Facets, Hit, Results
    from search.reranking.reranker import Alignment


def tell_results(results: "Results") -> None:
    """Print an answer, and to standard error what is said about it."""
    if not results.hits:
        tell(f"no documents match {results.query!r}")
    late = results.plan is not None and _is_late(results.plan.rerank)
    for hit in results.hits:
        _tell_hit(hit, late=late)
    if results.facets is not None:
        _tell_facets(results.facets)
    if results.plan is not None:
        tell(f"plan: {_plan(results.plan)}")
    for line in results.notices:
        notice(line)
    took = results.took_ms.get("total", 0.0)
    total = "" if results.total_matches is None else f" of {results.total_matches:,} matches"
    notice(f"{len(results.hits)} hits{total}, {results.mode}, {took:.1f} ms")


def _is_late(plan: "RerankPlan | None") -> bool:
    return plan is not None and plan.name == LATE


def _tell_hit(hit: "Hit", *, late: bool) -> None:
    if hit.explanation is None:
        way = [f"{name} {place.rank}" for name, place in hit.stages.items() if place]
    else:
        way = [f"{name} {rank or '-'}" for name, rank in hit.explanation.way.items()]
    tell(f"{hit.rank:>3}  {_bold(hit.title or hit.id)}  [{hit.id}]")
    tell(f"     {hit.score:.4f} ({', '.join(way)})")
    snippet = " ".join(_marked(hit).split())
    if snippet:
        tell(f"     {snippet}")
    if hit.duplicates:
        tell(f"     near-duplicates: {', '.join(hit.duplicates)}")
    if hit.explanation is not None:
        for line in _explained(hit.explanation, hit.probability, late=late):
            tell(f"       {line}")


def _explained(
    explanation: "Explanation", probability: float | None, *, late: bool
) -> Iterator[str]:
    """Tell the parts of a score; alignments are of the rerank score where `late` made it."""
    final, alignments = explanation.final, explanation.alignments
    inside = late and final is not None and final.rerank is not None
    if final is not None:
        yield from _final(final, probability, alignments if inside else ())
    for part in explanation.parts:
        yield _part(part)
        if part.stage == "dense" and (passage := explanation.passage) is not None:
            yield f"  passage: {_where(passage.start, passage.end)}"
        for term in explanation.terms if part.stage == "lexical" else ():
            asked = f"{term.query_count} * " if term.query_count > 1 else ""
            yield (
                f"  {term.score:8.4f}  {term.term} ({', '.join(term.words)}): {asked}idf "
                f"{term.idf:.3f} * tf {term.tf:.3f}; {term.frequency:g} times in a document of "
                f"length factor {term.length_factor:.2f}, in {term.documents:,} documents"
            )
    if alignments and not inside:
        yield "alignment by late interaction, no part of the score"
        yield from _aligned(alignments)


def _aligned(alignments: Sequence["Alignment"]) -> Iterator[str]:
    for each in alignments:
        yield (
            f"  {each.weight * each.similarity:8.4f}  {each.word}: {each.weight:.3f} * similarity "
            f"{each.similarity:.3f} with {_where(each.start, each.end)}"
        )


def _where(start: int, end: int) -> str:
    return f"characters {start:,} to {end:,}" if end else "the title"


def _final(
    final: "Final", probability: float | None, alignments: Sequence["Alignment"]
) -> Iterator[str]:
    if final.rerank_normalised is None:
        yield f"{final.score:.4f}  behind the reranked: first stages {final.first:.4f}"
        return
    own = "no text to score" if final.rerank is None else f"score {final.rerank:.4f}"
    if probability is not None:
        own += f", probability {probability:.4f}"
    value = final.weight * final.rerank_normalised
    yield f"{value:.4f}  rerank: {own}; {final.weight:g} * {final.rerank_normalised:.4f}"
    if final.passage is not None:
        yield f"  passage: {_where(final.passage.start, final.passage.end)}"
    if alignments:
        yield f"  score {final.rerank:.4f}, of which"
        yield from _aligned(alignments)
    share = 1 - final.weight
    yield (
        f"{share * final.first_normalised:.4f}  first stages: score {final.first:.4f}; "
        f"{share:g} * {final.first_normalised:.4f}; of which"
    )


def _part(part: "Part") -> str:
    own = f"rank {part.rank}, score {part.score:.4f}"
    if part.normalised is not None:
        own += f"; {part.weight:g} * {part.normalised:.4f}"
    elif part.value != part.score:
        own += "; 1 / (60 + rank)"
    return f"{part.value:.4f}  {part.stage}: {own}"


def _tell_facets(facets: "Facets") -> None:
    for field, values in facets.fields.items():
        counts = ", ".join(f"{_value(each.value)} {each.count:,}" for each in values) or "none"
        tell(f"{field}, among {facets.counted:,} candidates: {counts}")


def _value(value: object) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value)


def _plan(plan: "SearchPlan") -> str:
    parts = [] if plan.passed is None else [f"the filter passes {plan.passed:,} documents"]
    counts = ", ".join(f"{stage} {count:,}" for stage, count in plan.candidates.items())
    parts.append(f"candidates {counts} (depth {plan.depth:,})")
    if plan.fusion is not None:
        parts.append(f"fusion {plan.fusion}")
    if plan.vectors is not None:
        parts.append(_vectors(plan.vectors))
    if plan.rerank is not None:
        parts.append(_rerank(plan.rerank))
    return "; ".join(parts)


def _vectors(plan: "Plan") -> str:
    effort = "" if plan.effort is None else f" with effort {plan.effort:,}"
    recall = "not measured" if plan.recall is None else f"{plan.recall:.3f}"
    return (
        f"vectors {plan.kind}{effort}, {plan.scored:,} of {plan.passages:,} passages scored "
        f"exactly, expected recall {recall}"
    )


def _rerank(plan: "RerankPlan") -> str:
    return (
        f"{plan.name} reranked {plan.depth:,} documents by {plan.passages:,} passages, in "
        f"{plan.precision}, weight {plan.weight:g}"
    )


def _marked(hit: "Hit") -> str:
    """Return the snippet with its matched words in bold."""
    start = hit.snippet_start
    text, last = "", 0
    for span in hit.highlights:
        first, end = span.start - start, span.end - start
        if last <= first and end <= len(hit.snippet):
            text += hit.snippet[last:first] + _bold(hit.snippet[first:end])
            last = end
    return text + hit.snippet[last:]


def _bold(text: str) -> str:
    return f"\x1b[1m{text}\x1b[0m" if sys.stdout.isatty() else text
