"""What a service is to reach, and whether a run of the bench reached it."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from eval.bench.serving.saturation import ratio

_COST_MS = 1.5
_OVER_UNBATCHED = 3.0
_OF_BATCHES = 0.85
_TAIL = 2.0
# Memory is flat where the second half of the overload needs no more than this over the first.
_GROWTH = 1.05


def goals(
    cost: Mapping[str, Any],
    saturation: Mapping[str, Any],
    levels: Sequence[Mapping[str, Any]],
    writing: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Hold what was measured against the goals; `met` tells of each, None where nothing came."""
    rates = saturation["rates"]
    busy, over = levels[1], levels[-1]
    memory = over["memory_mib"]
    read, written = writing["reads"], writing["writes"]
    return [
        _goal("one client's cost at p50, ms", cost["cost_ms"], "<", _COST_MS),
        _goal(
            "saturated, over one query at a time",
            ratio(rates["server"], rates["unbatched"]), ">=", _OVER_UNBATCHED,
        ),
        _goal(
            "saturated, share of in-process batches",
            ratio(rates["server"], rates["batches"]), ">=", _OF_BATCHES,
        ),
        _goal("p99 at 400% over p99 at 90%", _tail(busy, over), "<", _TAIL),
        # Fast: a refusal costs less than half of the answers wait.
        _goal("p99 of 429 at 400%, ms", _of(over["refused_ms"], "p99"), "<",
              _of(over["accepted_ms"], "p50")),
        _goal("neither answered nor 429, at any load",
              sum(sum(level["other"].values()) for level in levels), "<=", 0),
        _goal("memory at 400%, second half over first",
              round(memory["second_half"] / memory["first_half"], 3), "<=", _GROWTH),
        _goal("reads failed while writing", read["requests"] - read["accepted"], "<=", 0),
        _goal("writes failed", written["requests"] - written["accepted"], "<=", 0),
    ]  # fmt: skip


def _tail(busy: Mapping[str, Any], over: Mapping[str, Any]) -> float | None:
    """Return how many times longer the slowest percent waits, the median of the rounds."""
    pairs = zip(over["p99_ms_by_round"], busy["p99_ms_by_round"], strict=True)
    found = [most / less for most, less in pairs if most and less]
    return round(median(found), 3) if found else None


def _of(spread: Mapping[str, float] | None, rank: str) -> float | None:
    return spread[rank] if spread else None


def _goal(name: str, value: float | None, sign: str, wanted: float | None) -> dict[str, Any]:
    if value is None or wanted is None:
        return {"goal": name, "value": value, "wanted": sign, "met": None}
    met = {"<": value < wanted, "<=": value <= wanted, ">=": value >= wanted}[sign]
    return {"goal": name, "value": value, "wanted": f"{sign} {wanted:g}", "met": met}
