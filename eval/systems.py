"""The systems that can be compared, by the name that a user gives."""

import difflib
import importlib
import math
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from eval.baselines import VARIANTS
from indexer.errors import ClozeError

# What a user's own system is: (query, how many) to (document id, score), best first.
Answer: TypeAlias = Callable[[str, int], Iterable[tuple[str, float]]]

MODES = ("lexical", "dense", "hybrid")
_OPTIONS: dict[str, Callable[[str], Any]] = {"fusion": str, "weight": float, "depth": int}
_PATTERN = re.compile(r"(?P<mode>[a-z]+)(?:\((?P<options>[^()]*)\))?$")
_RUN_SUFFIXES = (".trec", ".run", ".txt", ".res", ".gz")


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A system to be evaluated: a mode of the index, a baseline, a run file or a callable.

    `options` are those of a mode (fusion, weight, depth); `place` is a run's file, or where a
    callable is to be found, "module:function".
    """

    name: str
    kind: Literal["mode", "baseline", "run", "callable"]
    options: dict[str, Any] = field(default_factory=dict)
    place: str = ""

    @property
    def needs_index(self) -> bool:
        """Whether it answers from the index."""
        return self.kind in ("mode", "baseline")

    @property
    def has_name(self) -> bool:
        """Whether another process can open it by what is known here."""
        return self.needs_index or (self.kind == "callable" and bool(self.place))

    @property
    def needs_vectors(self) -> bool:
        """Whether it answers from the index's vectors."""
        return self.kind == "mode" and self.options.get("mode") != "lexical"


def split_names(text: str) -> list[str]:
    """Split names at commas, but not at those within parentheses."""
    return [name.strip() for name in re.split(r",(?![^(]*\))", text) if name.strip()]


def named_systems(names: Iterable[str]) -> list[System]:
    """Return the systems of these names; an element may hold several, separated by commas.

    A name is that of a mode, with options perhaps ("hybrid(weight=0.7)"), of a baseline, of a run
    file ("old.trec") or of a function ("module:function").

    Raises:
        ClozeError: one is none of these (the nearest name is given), or two come out alike.
    """
    systems = [_parse(name) for text in names for name in split_names(text)]
    if not systems:
        raise ClozeError(f"no system was named; there are {', '.join((*VARIANTS, *MODES))}")
    counts = Counter(system.name for system in systems)
    # Runs of one name in several folders are told apart by their paths.
    systems = [
        replace(system, name=system.place) if counts[system.name] > 1 and system.place else system
        for system in systems
    ]
    ((name, count),) = Counter(system.name for system in systems).most_common(1)
    if count > 1:
        raise ClozeError(f"{count} systems are named {name!r}; name each once")
    return systems


def _parse(name: str) -> System:
    if name in VARIANTS:
        return System(name=name, kind="baseline")
    found = _PATTERN.match(name)
    if found and found["mode"] in MODES:
        options = _options(name, found["options"] or "")
        return System(name=name, kind="mode", options={"mode": found["mode"], **options})
    if Path(name).is_file() or name.endswith(_RUN_SUFFIXES):
        stem = Path(name.removesuffix(".gz")).stem
        return System(name=stem, kind="run", place=name)
    module, separator, function = name.partition(":")
    if separator and module and function.isidentifier():
        return System(name=function, kind="callable", place=name)
    known = [*VARIANTS, *MODES]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
    raise ClozeError(
        f"there is no system {name!r}: did you mean {near!r}? Systems: {', '.join(known)}, a TREC "
        "run file, or module:function"
    )


def _options(name: str, text: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        key, _, value = part.partition("=")
        try:
            options[key.strip()] = _OPTIONS[key.strip()](value.strip())
        except (KeyError, ValueError):
            raise ClozeError(
                f"{name!r}: {part!r} is no option of a system; write fusion=rrf, weight=0.7 or "
                "depth=100"
            ) from None
    return options


def load_callable(place: str) -> Answer:
    """Import "module:function" from the current folder or the installed packages.

    Raises:
        ClozeError: there is no such module or function.
    """
    module, _, function = place.partition(":")
    if "" not in sys.path:
        sys.path.append("")  # last, so that no file there stands before an installed package
    try:
        found: Answer = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise ClozeError(
            f"{place} can't be had ({error}); name a module in this folder or an installed one, "
            "and a function of (query, top) that returns (document id, score) pairs"
        ) from None
    return found


def check_answer(name: str, answer: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    """Return a callable's answer in our order: score descending, then id.

    Raises:
        ClozeError: it is not made of (document id, score) pairs, a document comes twice, or a
            score is not a number.
    """
    try:
        pairs = [(str(document), float(score)) for document, score in answer]
    except (TypeError, ValueError) as error:
        raise ClozeError(
            f"{name} did not return (document id, score) pairs ({error}); mend it and run this "
            "again"
        ) from None
    seen: set[str] = set()
    for document, score in pairs:
        if document in seen:
            raise ClozeError(f"{name} returned document {document!r} twice for one query; mend it")
        if math.isnan(score):
            raise ClozeError(f"{name} gave document {document!r} the score NaN; mend it")
        seen.add(document)
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))
