"""The systems that can be compared, by the name that a user gives."""

import difflib
import importlib
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from eval.baselines import VARIANTS
from indexer.errors import ClozeError

# What a user's own system is: (query, how many) to (document id, score), best first.
Answer: TypeAlias = Callable[[str, int], Iterable[tuple[str, float]]]

MODES = ("lexical", "dense", "hybrid")
_EVERYWHERE: dict[str, Callable[[str], Any]] = {
    "depth": int, "rerank": str, "rerank_depth": int, "rerank_weight": float,
}  # fmt: skip
_OPTIONS: dict[str, Callable[[str], Any]] = {"fusion": str, "weight": float, **_EVERYWHERE}
_EXAMPLES = {
    "fusion": "fusion=rrf", "weight": "weight=0.7", "depth": "depth=100", "rerank": "rerank=late",
    "rerank_depth": "rerank_depth=50", "rerank_weight": "rerank_weight=0.3",
}  # fmt: skip
_PATTERN = re.compile(r"(?P<mode>[a-z]+)(?:\((?P<options>[^()]*)\))?$")
_LARGEST = (2 - 2**-23) * 2**127  # of float32
_RUN_SUFFIXES = (".trec", ".run", ".txt", ".res", ".gz")


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A system to be evaluated: a mode of the index, a baseline, a run file or a callable.

    `options` are those of a mode (fusion, weight, depth, and its reranker's); `place` is a run's
    file, or where a callable is to be found, "module:function".
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
        by_encoder = self.options.get("mode") != "lexical" or self.options.get("rerank") == "late"
        return self.kind == "mode" and by_encoder


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
    return distinct(systems)


def run_file(path: str) -> System:
    """Return the system whose answers a TREC run file holds; it is named by the file's stem.

    Raises:
        ClozeError: there is no such file.
    """
    if not Path(path).exists() or Path(path).is_dir():
        raise ClozeError(f"there is no run file {path}; check the path")
    return System(name=Path(path.removesuffix(".gz")).stem, kind="run", place=path)


def distinct(systems: Sequence[System]) -> list[System]:
    """Return the systems with names of their own: a run whose name another has gets its path's.

    Raises:
        ClozeError: two are named alike all the same.
    """
    counts = Counter(system.name for system in systems)
    named = [
        replace(system, name=system.place)
        if system.kind == "run" and counts[system.name] > 1
        else system
        for system in systems
    ]
    for name, count in Counter(system.name for system in named).items():
        if count > 1:
            raise ClozeError(f"{count} systems are named {name!r}; name each once")
    return named


def _parse(name: str) -> System:
    if name in VARIANTS:
        return System(name=name, kind="baseline")
    found = _PATTERN.match(name)
    if found and found["mode"] in MODES:
        options = _options(name, found["mode"], found["options"] or "")
        return System(name=name, kind="mode", options=options)
    if Path(name).is_file() or name.endswith(_RUN_SUFFIXES):
        return run_file(name)
    module, separator, function = name.partition(":")
    if separator and module and function.isidentifier():
        return System(name=function, kind="callable", place=name)
    known = [*VARIANTS, *MODES]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
    raise ClozeError(
        f"there is no system {name!r}: did you mean {near!r}? Systems: {', '.join(known)}, a TREC "
        "run file, or module:function"
    )


def _options(name: str, mode: str, text: str) -> dict[str, Any]:
    """Read the options of a mode, and check that a search will take them."""
    options: dict[str, Any] = {"mode": mode}
    for part in filter(None, (each.strip() for each in text.split(","))):
        key, _, value = (each.strip() for each in part.partition("="))
        takes = _OPTIONS if mode == "hybrid" else _EVERYWHERE
        try:
            options[key] = takes[key](value)
        except (KeyError, ValueError):
            raise ClozeError(
                f"{name!r}: {part!r} is no option of {mode}, which takes "
                f"{' and '.join(_EXAMPLES[each] for each in takes)}"
            ) from None
    fitting = (
        options.get("fusion") in (None, "minmax", "rrf")
        and options.get("rerank") != ""
        and all(0 <= options.get(share, 0) <= 1 for share in ("weight", "rerank_weight"))
        and all(options.get(depth, 1) >= 1 for depth in ("depth", "rerank_depth"))
    )
    if not fitting:
        raise ClozeError(
            f"{name!r} has an option out of its range: fusion is minmax or rrf, weights from 0 to "
            "1, depths 1 or more, rerank late, none or a model"
        )
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
    except Exception as error:  # whatever the user's module does when it is imported
        raise ClozeError(
            f"{place} can't be had ({type(error).__name__}: {error}); name a module in this folder "
            "or an installed one, and a function of (query, top) that returns (document id, score) "
            "pairs"
        ) from error
    if not callable(found):
        raise ClozeError(f"{place} is {found!r}, not a function of (query, top); name one")
    return found


def ask(name: str, function: Answer, query: str, top: int) -> list[tuple[str, float]]:
    """Ask a user's function for the best documents, and check its answer.

    Raises:
        ClozeError: it fails, or as `check_answer`.
    """
    try:
        answer = function(query, top)
    except Exception as error:
        raise ClozeError(
            f"{name} failed on the query {query!r} ({type(error).__name__}: {error}); mend it"
        ) from error
    return check_answer(name, answer)[:top]


def check_answer(name: str, answer: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    """Return a callable's answer in our order: score descending, then id.

    Raises:
        ClozeError: it is not made of (document id, score) pairs, a document comes twice, or a
            score is no finite number that fits 32 bits, as a run file needs it.
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
        if not -_LARGEST <= score <= _LARGEST:  # written so that NaN fails too
            raise ClozeError(
                f"{name} gave document {document!r} the score {score}, not a finite number that "
                "fits 32 bits; mend it"
            )
        seen.add(document)
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))
