"""Where the labels of a chart stand, so that none covers another."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from eval.report.notation import elide

_LINE = 24  # characters of a label's line


class Box(NamedTuple):
    """A rectangle; y grows upwards."""

    left: float
    bottom: float
    right: float
    top: float

    def overlap(self, other: "Box") -> float:
        """Return the area that both cover."""
        wide = min(self.right, other.right) - max(self.left, other.left)
        high = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(wide, 0.0) * max(high, 0.0)

    def within(self, other: "Box") -> bool:
        """Tell whether the other covers all of this one."""
        return (
            self.left >= other.left
            and self.bottom >= other.bottom
            and self.right <= other.right
            and self.top <= other.top
        )


def label(name: str) -> str:
    """Write a system's name on at most two lines, broken where a word of it ends."""
    name = elide(name)
    if len(name) <= _LINE:
        return name
    breaks = [at for at in range(1, len(name)) if not name[at - 1].isalnum()]
    middle = len(name) // 2
    near = [at for at in breaks if max(at, len(name) - at) <= _LINE + 4] or [middle]
    at = min(near, key=lambda place: (abs(place - middle), place))
    return f"{name[:at].rstrip()}\n{name[at:].lstrip()}"


def place(
    points: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    bounds: Box,
    *,
    marker: float = 6.0,
) -> list[Box]:
    """Put a label of each size by its point: clear of points and of labels before it, in bounds.

    Where no place is clear, the one that covers least is taken. All are in one unit.
    """
    taken = [Box(x - marker, y - marker, x + marker, y + marker) for x, y in points]
    placed: list[Box] = []
    for point, size in zip(points, sizes, strict=True):
        inside = [box for box in _places(point, size, marker) if box.within(bounds)]
        best = min(inside or [_pushed(point, size, bounds)], key=lambda box: _covered(box, taken))
        placed.append(best)
        taken.append(best)
    return placed


def _covered(box: Box, taken: Iterable[Box]) -> float:
    return sum(box.overlap(other) for other in taken)


def _places(point: tuple[float, float], size: tuple[float, float], marker: float) -> Iterable[Box]:
    """Yield places around a point, nearest first; right, left, above and below before corners."""
    x, y = point
    wide, high = size
    for step in range(16):
        gap = marker + 2 + step * 9
        for turn in (0, 4, 2, 6, 1, 7, 3, 5):
            across, up = math.cos(turn * math.pi / 4), math.sin(turn * math.pi / 4)
            left = x + across * (gap + wide / 2) - wide / 2
            bottom = y + up * (gap + high / 2) - high / 2
            yield Box(left, bottom, left + wide, bottom + high)


def _pushed(point: tuple[float, float], size: tuple[float, float], bounds: Box) -> Box:
    left = min(max(point[0] - size[0] / 2, bounds.left), bounds.right - size[0])
    bottom = min(max(point[1] - size[1] / 2, bounds.bottom), bounds.top - size[1])
    return Box(left, bottom, left + size[0], bottom + size[1])
