"""What the last two sizes say of a far larger one, with the arithmetic written out."""

import math
from collections.abc import Mapping
from typing import Any


def power(sizes: tuple[int, int], values: tuple[float, float], target: int) -> tuple[float, str]:
    """Go on along the straight line through two points in log-log: a power of the size.

    The values are milliseconds; they come back, with the sum in words.
    """
    (small, large), (first, second) = sizes, values
    exponent = math.log(second / first) / math.log(large / small)
    found = second * (target / large) ** exponent
    words = (
        f"{second:g} ms x ({target:,} / {large:,})^{exponent:.3f} = {found:,.1f} ms, where "
        f"{exponent:.3f} = log({second:g} / {first:g}) / log({large:,} / {small:,})"
    )
    return found, words


def linear(
    sizes: tuple[int, int], values: tuple[float, float], target: int, unit: str
) -> tuple[float, str]:
    """Go on along the straight line through two points: so much more for each document."""
    (small, large), (first, second) = sizes, values
    each = (second - first) / (large - small)
    found = second + each * (target - large)
    words = (
        f"{second:,.2f} {unit} + ({second:,.2f} - {first:,.2f}) / ({large:,} - {small:,}) x "
        f"({target:,} - {large:,}) = {found:,.1f} {unit}"
    )
    return found, words


def extrapolation(
    smaller: Mapping[str, Any], larger: Mapping[str, Any], target: int
) -> dict[str, Any]:
    """Extrapolate a query's cost by a power of the size, memory and disk by a straight line.

    Encoding costs the same at any size, and is left out. `smaller` and `larger` are records of
    `eval.bench.growth`.
    """
    sizes = (int(smaller["documents"]), int(larger["documents"]))
    found: dict[str, Any] = {"documents": target}
    for stage in ("lexical", "dense", "hybrid"):
        for rank in ("p50", "p95"):
            name = f"{stage}_ms"
            values = (smaller[name][rank], larger[name][rank])
            value, words = power(sizes, values, target)
            found[f"{stage}_{rank}_ms"] = {"value": round(value, 1), "arithmetic": words}
    for kind in larger["memory_mib"]["answered"]:
        values = tuple(each["memory_mib"]["answered"][kind] for each in (smaller, larger))
        value, words = linear(sizes, (values[0], values[1]), target, "MiB")
        found[f"memory_{kind}_mib"] = {"value": round(value), "arithmetic": words}
    for part in larger["bytes"]:
        mebibytes = tuple(each["bytes"][part] / 2**20 for each in (smaller, larger))
        value, words = linear(sizes, (mebibytes[0], mebibytes[1]), target, "MiB")
        found[f"disk_{part}_mib"] = {"value": round(value), "arithmetic": words}
    return found
