"""How probable it is that a passage is relevant, by its score: a model's calibration.json."""

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp, isfinite
from pathlib import Path
from reprlib import repr as shown
from typing import Any, TypeAlias

from indexer.errors import ClozeError

NAME = "calibration.json"
MOST_POINTS = 10_000
_LEAST_POINTS = 2
_VERSION = 1
_MOST_BYTES = 1_000_000
# What a score in float32 can be; products and differences of such are finite.
_GREATEST = 3.4028234663852886e38
# Beyond it a sigmoid is 0 or 1 to the last bit.
_SATURATED = 700.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sigmoid:
    """1 / (1 + exp(-(slope * score + intercept))); the slope is 0 or above."""

    slope: float
    intercept: float

    def __call__(self, score: float) -> float:
        """Return the probability at a score."""
        logit = min(max(self.slope * score + self.intercept, -_SATURATED), _SATURATED)
        return 1 / (1 + exp(-logit))


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """Lines from point to point, level before the first and behind the last.

    Scores rise; probabilities never fall.
    """

    scores: Sequence[float]
    probabilities: Sequence[float]

    def __call__(self, score: float) -> float:
        """Return the probability at a score."""
        behind = bisect_right(self.scores, score)
        if behind in (0, len(self.scores)):
            return self.probabilities[min(behind, len(self.scores) - 1)]
        before, after = self.scores[behind - 1], self.scores[behind]
        low, high = self.probabilities[behind - 1], self.probabilities[behind]
        return min(high, low + (high - low) * ((score - before) / (after - before)))


Curve: TypeAlias = Sigmoid | Points


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A curve from score to probability, and the share of relevant pairs that it was fitted on.

    Where fewer or more are relevant than that `prior`, probabilities are too high or too low.
    """

    curve: Curve
    prior: float


def write_calibration(folder: Path, calibration: Calibration) -> None:
    """Write a calibration beside its model."""
    (folder / NAME).write_text(json.dumps(as_json(calibration)) + "\n")


def as_json(calibration: Calibration) -> dict[str, Any]:
    """Return what the file says."""
    curve = calibration.curve
    if isinstance(curve, Sigmoid):
        facts: dict[str, Any] = {
            "method": "sigmoid", "slope": curve.slope, "intercept": curve.intercept
        }  # fmt: skip
    else:
        points = [list(each) for each in zip(curve.scores, curve.probabilities, strict=True)]
        facts = {"method": "points", "points": points}
    return {"version": _VERSION, **facts, "prior": calibration.prior}


def read_calibration(folder: Path, name: str) -> Calibration | None:
    """Read the calibration of a model's folder, None where it has none.

    Raises:
        ClozeError: the file isn't one: the line says what is wrong.
    """
    path = folder / NAME
    if not path.exists():
        return None
    try:
        return _read(path)
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        told = f"lacks {error}" if isinstance(error, KeyError) else f"is damaged: {error}"
        raise ClozeError(
            f"{path} {told}; calibrate {name} again by training it, or delete the file: hits then "
            "have no probability"
        ) from None


def _read(path: Path) -> Calibration:
    with path.open("rb") as file:
        written = file.read(_MOST_BYTES + 1)  # whatever the file's size is said to be
    if len(written) > _MOST_BYTES:
        raise ValueError(f"it has more than {_MOST_BYTES:,} bytes")
    content = json.loads(written)
    if not isinstance(content, dict):
        raise ValueError("it holds no object")
    if content["version"] != _VERSION:
        found = shown(content["version"])
        raise ValueError(f"its version is {found}, and this cloze reads {_VERSION}")
    prior = _number(content["prior"], "prior")
    if not 0 <= prior <= 1:
        raise ValueError(f"its prior is {prior:g}, and a share lies between 0 and 1")
    return Calibration(curve=_curve(content), prior=prior)


def _curve(content: Mapping[str, Any]) -> Curve:
    if content["method"] == "sigmoid":
        slope, intercept = (_number(content[key], key) for key in ("slope", "intercept"))
        if slope < 0:
            raise ValueError(f"its slope is {slope:g}, and probabilities rise with the score")
        return Sigmoid(slope=slope, intercept=intercept)
    if content["method"] == "points":
        return _points(content["points"])
    raise ValueError(f"its method is {shown(content['method'])}, and known are sigmoid and points")


def _points(points: Any) -> Points:  # noqa: ANN401 - whatever the file has there
    if not isinstance(points, list) or not _LEAST_POINTS <= len(points) <= MOST_POINTS:
        raise ValueError(f"its points are no list of {_LEAST_POINTS} to {MOST_POINTS:,}")
    if not all(isinstance(each, list) and len(each) == 2 for each in points):
        raise ValueError("a point is a score and a probability")
    scores, probabilities = (
        tuple(_number(each[place], "points") for each in points) for place in (0, 1)
    )
    if not all(before < after for before, after in pairwise(scores)):
        raise ValueError("the scores of its points don't rise")
    if not all(before <= after for before, after in pairwise((0.0, *probabilities, 1.0))):
        raise ValueError("the probabilities of its points fall, or leave 0 to 1")
    return Points(scores=scores, probabilities=probabilities)


def _number(value: Any, name: str) -> float:  # noqa: ANN401 - whatever the file has there
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not isfinite(value) or abs(value) > _GREATEST:
        raise ValueError(f"its {name} has {shown(value)}, and a finite number of float32 is needed")
    return float(value)
