"""What an experiment's figures say, in plain sentences."""

from eval.report.notation import decimal, plural, printable, probability_phrase
from eval.results import Comparison, Experiment, SystemResult

ALPHA = 0.05


def ordered(experiment: Experiment) -> tuple[SystemResult, ...]:
    """Return the systems, best mean of the first measure first, equals in their given order."""
    first = experiment.measures[0]
    return tuple(sorted(experiment.systems, key=lambda system: -system.means[first]))


def baseline(experiment: Experiment) -> SystemResult:
    """Return the system that the others are compared with."""
    return next(each for each in experiment.systems if each.name == experiment.baseline)


def compared(experiment: Experiment) -> tuple[tuple[SystemResult, Comparison], ...]:
    """Return the other systems, best first, each with its comparison on the first measure."""
    first = experiment.measures[0]
    return tuple(
        (system, system.comparisons[first])
        for system in ordered(experiment)
        if first in system.comparisons
    )


def is_significant(comparison: Comparison) -> bool:
    """Tell whether the difference is significant at .05 after Holm's correction."""
    return comparison.p_holm < ALPHA


def verdicts(experiment: Experiment) -> tuple[str, ...]:
    """Say of every system whether it is better or worse than the baseline, or not told apart."""
    pairs = compared(experiment)
    if pairs:
        return tuple(_against(experiment, *pair, corrected=len(pairs) > 1) for pair in pairs)
    return tuple(_alone(experiment, system) for system in ordered(experiment))


def _against(
    experiment: Experiment, system: SystemResult, comparison: Comparison, *, corrected: bool
) -> str:
    measure, other = experiment.measures[0], printable(experiment.baseline)
    name, difference = printable(system.name), comparison.difference
    low, high = comparison.ci95
    p = f"{probability_phrase(comparison.p_holm)}{' after Holm' if corrected else ''}"
    if not is_significant(comparison):
        figures = f"{_signed(difference)} {measure}, 95% {_signed(low)} to {_signed(high)}, {p}"
        return f"{name} is not told apart from {other} ({figures})."
    better = difference > 0
    if not better:  # a loss is named by its size, and so is its interval
        difference, low, high = -difference, -high, -low
    interval = f"95% {_unsigned(low)} to {_unsigned(high)}"
    return (
        f"{name} is {'better' if better else 'worse'} than {other} by {decimal(difference)} "
        f"{measure} ({interval}, {p})."
    )


def _signed(value: float) -> str:
    return decimal(value, sign=True).replace("-", "−")


def _unsigned(value: float) -> str:
    return decimal(value).replace("-", "−")


def _alone(experiment: Experiment, system: SystemResult) -> str:
    measure = experiment.measures[0]
    low, high = system.ci95[measure]
    reach = f"{decimal(system.means[measure])} {measure} (95% {decimal(low)} to {decimal(high)})"
    return f"{printable(system.name)} reaches {reach}; there is no other system to compare it with."


def remarks(experiment: Experiment) -> tuple[str, ...]:
    """Say what a reader of the figures must know: ties, unanswered queries, notices."""
    queries = len(experiment.queries)
    lines = _tied(experiment)
    for system in ordered(experiment):
        if system.unanswered:
            lines.append(
                f"{printable(system.name)} found nothing for {system.unanswered:,} of "
                f"{plural(queries, 'query', 'queries')}, which "
                f"{'counts' if system.unanswered == 1 else 'count'} 0."
            )
    return (*lines, *(printable(notice) for notice in experiment.notices))


def _tied(experiment: Experiment) -> list[str]:
    """Say in one line what another order of equal scores would make of the means."""
    measure = experiment.measures[0]
    tied = [system for system in ordered(experiment) if system.ties.queries]
    if not tied:
        return []
    counts = ", ".join(
        f"{printable(system.name)} {plural(system.ties.queries, 'query', 'queries')}"
        for system in tied
    )
    ranges = [
        f"{decimal(system.ties.low, 4)} to {decimal(system.ties.high, 4)} for "
        f"{printable(system.name)}"
        for system in tied
        if decimal(system.ties.low, 4) != decimal(system.ties.high, 4)
    ]
    effect = (
        f"could make {measure} anything from {', from '.join(ranges)}"
        if ranges
        else f"would not change {measure} in four digits"
    )
    return [f"Equal scores reach the cut-off ({counts}); another order of them {effect}."]


def test_note(experiment: Experiment) -> str:
    """Say in a sentence how significance was tested, and marked; "" where nothing is compared."""
    pairs = compared(experiment)
    if not pairs:
        return ""
    correction = f", Holm-corrected over {len(pairs)} comparisons" if len(pairs) > 1 else ""
    return (
        f"told apart from {printable(experiment.baseline)}: p < .05, paired randomisation test on "
        f"{experiment.measures[0]}{correction}"
    )
