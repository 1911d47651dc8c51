"""What the bench found, as lines for a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_LEVEL = ("load", "offered/s", "done/s", "p50", "p95", "p99", "429", "429 p99", "other")
_WIDTH = 10


def table(found: Mapping[str, Any]) -> str:
    """Return a table of loads, a line for each further measurement, and the goals."""
    return "\n".join([*_levels(found), "", *_lines(found), "", *_goals(found["goals"])]) + "\n"


def _levels(found: Mapping[str, Any]) -> Iterator[str]:
    rows: list[tuple[str, Mapping[str, Any]]] = [
        (f"{level['share']:.0%}", level) for level in found["levels"]
    ]
    rows += [(name, found["writing"][name]) for name in ("reads", "writes")]
    yield _row(_LEVEL)
    for name, each in rows:
        accepted, refused = each["accepted_ms"] or {}, each["refused_ms"] or {}
        yield _row(
            [
                name,
                f"{each['offered_per_second']:,.1f}",
                f"{each['accepted_per_second']:,.1f}",
                *(_milliseconds(accepted.get(rank)) for rank in ("p50", "p95", "p99")),
                f"{each['refused']:,}",
                _milliseconds(refused.get("p99")),
                f"{sum(each['other'].values()):,}",
            ]
        )


def _row(cells: Sequence[str]) -> str:
    return "".join(cell.rjust(_WIDTH) for cell in cells)


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}"


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    client, rates = found["one_client"], found["saturation"]["per_second"]
    ours, theirs = client["ms"]["server"]["p50"], client["ms"]["in_process"]["p50"]
    yield f"one client   {ours:.2f} ms at p50, in process {theirs:.2f}"
    yield (
        f"saturated    {rates['server']:,.1f} queries/s; in-process batches "
        f"{rates['batches']:,.1f}, one query at a time {rates['unbatched']:,.1f}"
    )
    over = found["levels"][-1]
    memory = over["memory_mib"]
    yield (
        f"at 400%      {memory['first_half']:,.1f} MiB in the first half, "
        f"{memory['second_half']:,.1f} in the second; {over['server_cpu_ms']:.2f} ms of processor "
        f"a request, the generator's {over['generator_cpu_ms']:.3f}"
    )


def _goals(goals: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    marks = {True: "met", False: "MISSED", None: "not measured"}
    for goal in goals:
        value = "-" if goal["value"] is None else f"{goal['value']:,g}"
        yield f"{marks[goal['met']]:<12} {goal['goal']}: {value} (goal {goal['wanted']})"
