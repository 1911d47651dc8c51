"""What an index is searched with: its present setting, those worth trying, and a chosen one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log
from pathlib import Path
from typing import Literal

from indexer.defaults import change_defaults
from indexer.index import Index
from indexer.manifest import Defaults
from search.engine import BUILT_IN

WEIGHTS = tuple(step / 20 for step in range(21))
DEPTHS = (50, 100, 200, 500, 1000)
# Not 0: words of titles could be found no more, which the judged queries may not happen to need.
TITLE_WEIGHTS = (1, 2, 3, 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What an index is searched with; fusion is None without vectors, weight is minmax's alone."""

    fusion: Literal["minmax", "rrf"] | None
    weight: float | None
    depth: int
    title_weight: int


def present_setting(index: Index) -> Setting:
    """Return what an index is searched with now: its own defaults, else the built-in ones."""
    sealed = index.manifest
    stored = sealed.defaults
    fusion = (stored.fusion or BUILT_IN.fusion) if sealed.encoder is not None else None
    weight = BUILT_IN.weight if stored.weight is None else stored.weight
    return Setting(
        fusion=fusion,
        weight=weight if fusion == "minmax" else None,
        depth=stored.depth or BUILT_IN.depth or DEPTHS[-1],
        title_weight=sealed.title_weight,
    )


def grid(present: Setting, *, with_titles: bool) -> tuple[Setting, ...]:
    """Return the settings to try: all combinations, with the values of the present one."""
    titles = sorted({present.title_weight, *(TITLE_WEIGHTS if with_titles else ())})
    if present.fusion is None:
        return tuple(replace(present, title_weight=title) for title in titles)
    weights = sorted({*WEIGHTS, *([] if present.weight is None else [present.weight])})
    ways: list[tuple[Literal["minmax", "rrf"], float | None]] = [
        *(("minmax", weight) for weight in weights),
        ("rrf", None),
    ]
    return tuple(
        Setting(fusion=fusion, weight=weight, depth=depth, title_weight=title)
        for title in titles
        for depth in sorted({*DEPTHS, present.depth})
        for fusion, weight in ways
    )


def nearest(settings: Sequence[Setting], present: Setting) -> Setting:
    """Return the setting with the fewest other parts, and of these the one by the least."""
    return min(settings, key=lambda setting: _distance(setting, present))


def _distance(setting: Setting, present: Setting) -> tuple[float, ...]:
    weights = [0.5 if each.weight is None else each.weight for each in (setting, present)]
    parts = (
        abs(weights[0] - weights[1]),
        abs(log(setting.depth / present.depth)),
        abs(setting.title_weight - present.title_weight),
    )
    changed = [part > 0 for part in parts] + [setting.fusion != present.fusion]
    return (sum(changed), *parts)


def write_setting(folder: Path, present: Setting, chosen: Setting) -> None:
    """Let an index be searched by the chosen setting; parts equal to the present stay as stored.

    Raises:
        ClozeError: another process is writing to the index.
    """

    def change(stored: Defaults) -> Defaults:
        return replace(
            stored,
            fusion=stored.fusion if chosen.fusion == present.fusion else chosen.fusion,
            weight=stored.weight if chosen.weight in (present.weight, None) else chosen.weight,
            depth=stored.depth if chosen.depth == present.depth else chosen.depth,
        )

    change_defaults(folder, change, title_weight=chosen.title_weight)
