"""A gate for continuous integration: did a system get worse than the baseline?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from eval.measures import parse_measures
from eval.results import Comparison, Experiment
from indexer.errors import ClozeError

LEVEL = 0.05
_WORST = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """The measure that may not fall, and by how much it may all the same."""

    measure: str
    tolerance: float

    def check(self, measures: Sequence[str]) -> None:
        """Check that the measure is one of those that are computed.

        Raises:
            ClozeError: it is not.
        """
        if self.measure not in measures:
            raise ClozeError(
                f"the gate is on {self.measure}, the measures are {', '.join(measures)}; add it to "
                "--measures"
            )


def parse_gate(text: str) -> Gate:
    """Read "nDCG@10=0.01": the measure, and the loss that is borne.

    Raises:
        ClozeError: it is not of that form.
    """
    name, _, number = text.rpartition("=")
    try:
        tolerance = float(number)
    except ValueError:
        tolerance = -1.0
    if not name.strip() or not 0 <= tolerance < math.inf:
        raise ClozeError(
            f"--fail-if-worse {text!r} is not of the form MEASURE=LOSS; write nDCG@10=0.01"
        )
    measures = parse_measures([name])
    if len(measures) > 1:
        raise ClozeError(
            f"--fail-if-worse {text!r} names {len(measures)} measures ({', '.join(measures)}); "
            "name one"
        )
    return Gate(measure=measures[0], tolerance=tolerance)


def failures(experiment: Experiment, gate: Gate) -> list[str]:
    """Tell, a line a system, of those that lost more than is borne, and significantly.

    Significant is a p-value below 0.05 after Holm's correction. The line names the queries that
    lost most.

    Raises:
        ClozeError: the measure is none of the experiment's, nothing was compared, or the baseline
            leaves most queries unanswered.
    """
    gate.check(experiment.measures)
    if not any(system.comparisons for system in experiment.systems):
        raise ClozeError(
            f"--fail-if-worse needs a system besides the baseline {experiment.baseline}, and there "
            "is none; name one, or another --baseline"
        )
    baseline = next(each for each in experiment.systems if each.name == experiment.baseline)
    queries = len(experiment.queries)
    if 2 * baseline.unanswered > queries:
        raise ClozeError(
            f"the baseline {baseline.name} answers {queries - baseline.unanswered} of {queries} "
            "queries, so hardly anything could be worse than it; give a whole run"
        )
    found = []
    for system in experiment.systems:
        comparison = system.comparisons.get(gate.measure)
        if comparison is None or not _fails(comparison, gate):
            continue
        ours, theirs = system.per_query[gate.measure], baseline.per_query[gate.measure]
        lost = sorted(ours, key=lambda query: (ours[query] - theirs[query], query))[:_WORST]
        worst = ", ".join(f"{query} ({ours[query] - theirs[query]:+.3f})" for query in lost)
        found.append(
            f"{system.name} is worse than {experiment.baseline}: {gate.measure} "
            f"{comparison.difference:+.4f} (p={comparison.p_holm:.2g}), more than the "
            f"{gate.tolerance:g} that is borne; worst queries: {worst}"
        )
    return found


def borne(experiment: Experiment, gate: Gate) -> list[str]:
    """Tell, a line a system, of losses beyond what is borne that may be luck."""
    return [
        f"{system.name} lost {-comparison.difference:.4f} {gate.measure}, more than the "
        f"{gate.tolerance:g} that is borne, which may be luck (p={comparison.p_holm:.2g}): passed"
        for system in experiment.systems
        if (comparison := system.comparisons.get(gate.measure))
        and comparison.difference < -gate.tolerance
        and not _fails(comparison, gate)
    ]


def _fails(comparison: Comparison, gate: Gate) -> bool:
    return comparison.difference < -gate.tolerance and comparison.p_holm < LEVEL
