"""How each hit's score came about, from what the stages left and from the postings."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from indexer.contributions import TermScore
from indexer.lexical import Lexical
from search.explanation import Explanation, Final, Part
from search.fusion import RRF_K, Ranking, normalised
from search.hits import Hit, Place, Request, Stage
from search.reranking.reranker import Alignment

_STAGES: tuple[Stage, ...] = ("lexical", "dense")


def explain(
    lexical: Lexical,
    request: Request,
    stages: Mapping[str, Ranking],
    numbers: Sequence[int],
    hits: Sequence[Hit],
    *,
    finals: Mapping[int, Final],
    alignments: Mapping[int, tuple[Alignment, ...]],
) -> list[Explanation]:
    """Explain the hits of a page, whose numbers are given, in their order.

    `finals` and `alignments` are by number, empty where nothing reranked or could align.
    """
    terms = lexical.contributions(request.query, numbers) if "lexical" in stages else {}
    return [
        replace(
            _explained(request, stages, hit, terms.get(number, ())),
            final=finals.get(number),
            alignments=alignments.get(number, ()),
        )
        for number, hit in zip(numbers, hits, strict=True)
    ]


def _explained(
    request: Request, stages: Mapping[str, Ranking], hit: Hit, terms: tuple[TermScore, ...]
) -> Explanation:
    parts = {
        stage: _part(request, stage, stages[stage], place)
        for stage in _STAGES
        if (place := hit.stages[stage]) is not None
    }
    return Explanation(
        way={
            stage: None if place is None else place.rank
            for stage, place in hit.stages.items()
            if stage in stages or stage == "rerank"
        },
        parts=tuple(parts.values()),
        terms=terms if "lexical" in parts else (),
        passage=hit.passages[0] if "dense" in parts else None,
    )


def _part(request: Request, stage: Stage, ranking: Ranking, place: Place) -> Part:
    if request.mode != "hybrid":
        return Part(
            stage=stage, rank=place.rank, score=place.score,
            normalised=None, weight=None, value=place.score,
        )  # fmt: skip
    if request.fusion == "rrf":
        return Part(
            stage=stage, rank=place.rank, score=place.score,
            normalised=None, weight=None, value=1.0 / (RRF_K + place.rank),
        )  # fmt: skip
    dense = request.weight or 0.0
    weight = dense if stage == "dense" else 1 - dense
    scaled = float(normalised(ranking, stage)[place.rank - 1])
    return Part(
        stage=stage, rank=place.rank, score=place.score,
        normalised=scaled, weight=weight, value=weight * scaled,
    )  # fmt: skip
