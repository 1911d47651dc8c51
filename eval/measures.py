"""Effectiveness measures by ir-measures, whose definitions are trec_eval's."""

import difflib
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from subprocess import CalledProcessError
from typing import Any, TypeAlias

import ir_measures
import pytrec_eval

from eval.judgements import Qrels
from eval.runs import Ranked, Run
from indexer.errors import ClozeError

DEFAULT_MEASURES = ("nDCG@10", "RR@10", "AP", "R@100", "P@10", "Success@5", "Judged@10")

# ir-measures' own classes carry no types.
Measure: TypeAlias = Any

# Words between commas and blanks; what stands in parentheses stays together, closed or not.
_EXPRESSION = re.compile(r"(?:[^\s,(]|\([^)]*\)|\(.*)+", re.DOTALL)
_TREC_NAME = re.compile(r"[A-Za-z_]*[A-Za-z](?:[._][0-9.]+)?")
# trec_eval keeps a counter for every gain up to the largest.
_MAX_EXPONENTIAL_GRADE = 20


def parse_measures(names: Sequence[str]) -> tuple[str, ...]:
    """Return the canonical names of measures, each once, in the order given.

    A name is an ir-measures expression (`nDCG@10`, `P(rel=2)@5`) or a trec_eval name
    (`ndcg_cut_10`, `map`); an element may hold several, separated by commas or blanks.

    Raises:
        ClozeError: there is none, one is unknown or lacks a parameter, or no package that is
            installed computes it.
    """
    parsed: dict[str, None] = {}
    for text in (found for name in names for found in _EXPRESSION.findall(name)):
        for measure in _read(text):
            _check(measure, text)
            parsed[str(measure)] = None
    if not parsed:
        raise ClozeError(f"no measure was named; the usual ones are {','.join(DEFAULT_MEASURES)}")
    return tuple(parsed)


def score(qrels: Qrels, run: Run, measures: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return the value of every measure for every query that has judgements.

    Documents count in the order in which they stand in the run, whatever their scores. A query
    without results counts 0 on all measures, as does one without relevant documents on those
    that need them; queries that aren't in `qrels` are left out. As in trec_eval a document of
    grade 0, less or none isn't relevant, and a grade below 0 means pooled but not judged, which
    matters only to Bpref, infAP and `judged_only`; Judged counts every document in `qrels`.

    Args:
        qrels: grades of documents by query.
        run: the answers to score.
        measures: canonical names, as `parse_measures` returns them.

    Raises:
        ClozeError: a document stands twice in a query's answers, or a measure's provider fails on
            these judgements.
    """
    # gdeval takes only numbers as query ids, so all providers get them.
    number = {query: str(index) for index, query in enumerate(qrels)}
    graded = {number[query]: _in_bounds(grades) for query, grades in qrels.items() if grades}
    answered = {query: run.ranked[query] for query in qrels if run.ranked.get(query)}
    # Falling by one a rank, for providers break ties in different ways.
    falling = [float(-rank) for rank in range(max(map(len, answered.values()), default=0))]
    ranked = {number[query]: _rescore(query, answered[query], falling) for query in answered}
    values = {name: dict.fromkeys(qrels, 0.0) for name in measures}
    queries = list(qrels)
    for group, depth in _groups(measures):
        seen = _cut(ranked, depth) if depth else ranked
        for name, query, value in _calculate(group, graded, seen):
            values[name][queries[int(query)]] = value
    return values


def cutoff(measure: str) -> int | None:
    """Return how many documents from the top a measure looks at.

    None is all of them, and where unjudged ones are taken out first that can't be known.
    """
    parameters = ir_measures.parse_measure(measure).params
    found: int | None = None if parameters.get("judged_only") else parameters.get("cutoff")
    return found


def mean(values: Mapping[str, float]) -> float:
    """Return the arithmetic mean over queries.

    Raises:
        ClozeError: there is no query.
    """
    if not values:
        raise ClozeError("no query has judgements, so there is nothing to average")
    return math.fsum(values.values()) / len(values)


def recall_curve(
    qrels: Qrels,
    run: Run,
    depths: Sequence[int] = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
) -> dict[int, float]:
    """Return the mean recall within the first documents, by their number."""
    values = score(qrels, run, [f"R@{depth}" for depth in depths])
    return {depth: mean(values[f"R@{depth}"]) for depth in depths}


def _read(text: str) -> list[Measure]:
    """Read one expression, which may stand for several measures where it is a trec_eval name."""
    try:
        return [ir_measures.parse_measure(text)]
    except NameError:
        return _read_trec_name(text)
    except (ValueError, TypeError, AttributeError) as error:
        raise ClozeError(
            f"the measure {text!r} can't be read; write it as nDCG@10 or P(rel=2)@5"
        ) from error


def _read_trec_name(text: str) -> list[Measure]:
    # ir-measures ignores what follows a number, and drops what it can't compute of a nickname.
    if _TREC_NAME.fullmatch(text) and text not in pytrec_eval.supported_nicknames:
        try:
            return list(ir_measures.parse_trec_measure(text))
        except ValueError:
            pass
    base = re.split(r"[@(]", text)[0]
    names = {name.lower(): name for name in sorted(ir_measures.measures.registry)}
    near = difflib.get_close_matches(base.lower(), names, n=1, cutoff=0.5)
    hint = f"did you mean {names[near[0]] + text[len(base) :]!r}" if near else "is it spelled so"
    raise ClozeError(
        f"unknown measure {text!r}: {hint}? There are {', '.join(sorted(names.values()))}, with a "
        "cut-off as in nDCG@10"
    )


def _check(measure: Measure, text: str) -> None:
    """Refuse a measure with unfit parameters, and one that nothing installed computes."""
    parameters = measure.SUPPORTED_PARAMS
    missing = [
        name for name, info in parameters.items() if info.required and name not in measure.params
    ]
    if missing:
        example = f"{text}@10" if missing == ["cutoff"] else f"{missing[0]}=... in parentheses"
        raise ClozeError(f"the measure {text!r} lacks {' and '.join(missing)}; write {example}")
    for name, value in measure.params.items():
        # trec_eval ends the whole process at a cut-off of 0.
        whole = name not in ("cutoff", "rel") or (type(value) is int and value >= 1)
        if name not in parameters or not parameters[name].validate(value) or not whole:
            raise ClozeError(
                f"the measure {text!r} can't have {name}={value!r}; it takes "
                f"{', '.join(parameters) or 'no parameters'} (cutoff and rel count from 1)"
            )
    _check_provider(measure, text)


def _check_provider(measure: Measure, text: str) -> None:
    providers = [p for p in ir_measures.DefaultPipeline.providers if p.supports(_exact(measure, 0))]
    if any(each.NAME == "pyndeval" for each in providers):
        raise ClozeError(
            f"the measure {text!r} needs judged subtopics, which qrels here don't have"
        )
    if not any(each.is_available() for each in providers):
        hints = " or ".join(filter(None, (each.install_instructions() for each in providers)))
        raise ClozeError(
            f"no installed package computes the measure {text!r}; "
            + (f"to get one: {hints}" if hints else "choose another")
        )


def _in_bounds(grades: Mapping[str, int]) -> dict[str, int]:
    """Return the grades in a form that trec_eval survives.

    It reserves memory by a query's largest grade and writes outside where that is below -1.
    Nothing is relevant to such a query, so that no measure tells these grades from 0.
    """
    return dict(grades) if max(grades.values()) >= 0 else dict.fromkeys(grades, 0)


def _rescore(query: str, ranked: Ranked, falling: Sequence[float]) -> dict[str, float]:
    scores = dict(zip([document for document, _ in ranked], falling, strict=False))
    if len(scores) < len(ranked):
        twice = Counter(document for document, _ in ranked).most_common(1)[0][0]
        raise ClozeError(
            f"the document {twice!r} stands twice in the answers to query {query!r}; keep one"
        )
    return scores


def _groups(measures: Sequence[str]) -> list[tuple[list[str], int | None]]:
    """Return the measures to calculate together, with the depth that they look at, if limited.

    ir-measures mixes up measures that differ in more than their cut-off (nDCG@10 with and without
    `gains` get one another's figures), so those with other parameters are calculated alone. Those
    with a cut-off alone don't need the documents below it, which saves most of the time.
    """
    parameters = {name: ir_measures.parse_measure(name).params for name in dict.fromkeys(measures)}
    whole = [name for name, given in parameters.items() if not given]
    cut = [name for name, given in parameters.items() if given.keys() == {"cutoff"}]
    groups: list[tuple[list[str], int | None]] = [
        ([name], None) for name in parameters if name not in whole and name not in cut
    ]
    if whole:
        groups.append((whole, None))
    if cut:
        groups.append((cut, max(parameters[name]["cutoff"] for name in cut)))
    return groups


def _cut(run: dict[str, dict[str, float]], depth: int) -> dict[str, dict[str, float]]:
    return {query: dict(islice(scores.items(), depth)) for query, scores in run.items()}


def _calculate(
    names: Sequence[str], qrels: dict[str, dict[str, int]], run: dict[str, dict[str, float]]
) -> list[tuple[str, str, float]]:
    """Return (measure, query, value) of what ir-measures finds."""
    largest = max((grade for grades in qrels.values() for grade in grades.values()), default=0)
    asked = {_exact(ir_measures.parse_measure(name), largest): name for name in names}
    try:
        found = ir_measures.iter_calc(list(asked), qrels, run)
        return [(asked[each.measure], each.query_id, float(each.value)) for each in found]
    except (ArithmeticError, ValueError, TypeError, CalledProcessError) as error:
        raise ClozeError(
            f"{', '.join(names)} can't be calculated on these judgements: {error}; leave it out"
        ) from error


def _exact(measure: Measure, largest: int) -> Measure:
    """Return the measure that takes the place of nDCG with exponential gains, or itself.

    gdeval gives it to five decimals and up to grade 4; trec_eval with gains of 2^grade - 1
    (Burges et al. 2005, Learning to rank using gradient descent) gives the same exactly.
    """
    if measure.NAME != "nDCG" or measure["dcg"] != "exp-log2" or "gains" in measure.params:
        return measure
    if largest > _MAX_EXPONENTIAL_GRADE:
        raise ClozeError(
            f"{measure} takes grades up to {_MAX_EXPONENTIAL_GRADE}, and the judgements have "
            f"{largest}; use linear gains, as in nDCG@10"
        )
    return measure(dcg="log2", gains={grade: 2**grade - 1 for grade in range(1, largest + 1)})
