"""File names for systems, whose names may be anything."""

import re
from collections.abc import Iterable

_UNSAFE = re.compile(r"[^A-Za-z0-9_+.-]+")
_LONGEST = 80


def run_files(systems: Iterable[str]) -> dict[str, str]:
    """Return a run file's name for every system, different even where case does not count."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for system in systems:
        stem = _UNSAFE.sub("_", system.removesuffix(".trec")).lstrip(".")[:_LONGEST] or "system"
        candidate, number = stem, 1
        while candidate.casefold() in taken:
            number += 1
            candidate = f"{stem}-{number}"
        taken.add(candidate.casefold())
        names[system] = f"{candidate}.trec"
    return names
