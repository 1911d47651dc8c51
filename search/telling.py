"""What a search says to a person: hits, how their scores came about, facets, what ran."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from indexer.commands.console import notice, tell

if TYPE_CHECKING:
    from indexer.plan import Plan
    from search.explanation import Explanation, Part, SearchPlan
    from search.hits import Facets, Hit, Results


def tell_results(results: "Results") -> None:
    """Print an answer, and to standard error what is said about it."""
    if not results.hits:
        tell(f"no documents match {results.query!r}")
    for hit in results.hits:
        _tell_hit(hit)
    if results.facets is not None:
        _tell_facets(results.facets)
    if results.plan is not None:
        tell(f"plan: {_plan(results.plan)}")
    for line in results.notices:
        notice(line)
    took = results.took_ms.get("total", 0.0)
    total = "" if results.total_matches is None else f" of {results.total_matches:,} matches"
    notice(f"{len(results.hits)} hits{total}, {results.mode}, {took:.1f} ms")


def _tell_hit(hit: "Hit") -> None:
    places = ", ".join(f"{name} {place.rank}" for name, place in hit.stages.items() if place)
    tell(f"{hit.rank:>3}  {_bold(hit.title or hit.id)}  [{hit.id}]")
    tell(f"     {hit.score:.4f} ({places})")
    snippet = " ".join(_marked(hit).split())
    if snippet:
        tell(f"     {snippet}")
    if hit.duplicates:
        tell(f"     near-duplicates: {', '.join(hit.duplicates)}")
    if hit.explanation is not None:
        for line in _explained(hit.explanation):
            tell(f"       {line}")


def _explained(explanation: "Explanation") -> Iterator[str]:
    for part in explanation.parts:
        yield _part(part)
        if part.stage == "dense" and (passage := explanation.passage) is not None:
            yield f"  passage: characters {passage.start:,} to {passage.end:,}"
        for term in explanation.terms if part.stage == "lexical" else ():
            asked = f"{term.query_count} * " if term.query_count > 1 else ""
            yield (
                f"  {term.score:8.4f}  {term.term} ({', '.join(term.words)}): {asked}idf "
                f"{term.idf:.3f} * tf {term.tf:.3f}; {term.frequency:g} times in a document of "
                f"length factor {term.length_factor:.2f}, in {term.documents:,} documents"
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
    return "; ".join(parts)


def _vectors(plan: "Plan") -> str:
    effort = "" if plan.effort is None else f" with effort {plan.effort:,}"
    recall = "not measured" if plan.recall is None else f"{plan.recall:.3f}"
    return (
        f"vectors {plan.kind}{effort}, {plan.scored:,} of {plan.passages:,} passages scored "
        f"exactly, expected recall {recall}"
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
