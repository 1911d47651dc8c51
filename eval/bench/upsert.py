"""How soon a change is seen: one document written, or deleted, until a search tells."""

import random
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from eval.bench.figures import machine, spread
from indexer.documents import Document
from indexer.index import Index

_OPENS = 5


def bench_upsert(folder: str, changes: int, threads: int | None) -> dict[str, Any]:
    """Open a copy of an index, and time documents added, replaced and deleted one at a time.

    Each time ends when a search has seen the change. The documents are new ones with the texts of
    old ones.
    """
    with tempfile.TemporaryDirectory(dir=Path(folder).absolute().parent) as place:
        copy = Path(place) / "index"
        shutil.copytree(folder, copy)
        opening = [_opened(copy, threads) for _ in range(_OPENS)]
        with Index.open(copy, threads=threads) as index:
            texts = _texts(index, changes)
            added, replaced, deleted = _change(index, texts)
            return {
                "bench": "upsert",
                "documents": index.lexical.count,
                "changes": changes,
                "open_ms": spread(opening),
                "add_ms": spread(added) | {"max": round(max(added) * 1000, 3)},
                "replace_ms": spread(replaced) | {"max": round(max(replaced) * 1000, 3)},
                "delete_ms": spread(deleted) | {"max": round(max(deleted) * 1000, 3)},
                "machine": machine(index.threads),
            }


def _opened(folder: Path, threads: int | None) -> float:
    begin = perf_counter()
    with Index.open(folder, threads=threads):
        return perf_counter() - begin


def _texts(index: Index, count: int) -> list[str]:
    numbers = random.Random(0).choices(index.lexical.numbers().tolist(), k=count)
    found = index.store.documents(numbers)
    return [found[number].text for number in numbers]


def _change(index: Index, texts: list[str]) -> tuple[list[float], list[float], list[float]]:
    times: tuple[list[float], list[float], list[float]] = ([], [], [])
    for place, text in enumerate(texts):
        name, word = f"bench-{place}", f"benchword{place}"
        new = Document(id=name, text=f"{word} {text}")
        again = Document(id=name, text=f"{word}again {text}")
        times[0].append(_seen(partial(index.add, [new]), index, word, 1))
        times[1].append(_seen(partial(index.add, [again]), index, f"{word}again", 1))
        times[2].append(_seen(partial(index.delete, [name]), index, f"{word}again", 0))
    return times


def _seen(change: Callable[[], object], index: Index, word: str, expected: int) -> float:
    """Return the seconds from a change to the search that sees it."""
    begin = perf_counter()
    change()
    with index.reading():
        found = index.lexical.search(word, 10)
    seconds = perf_counter() - begin
    if len(found.numbers) != expected:
        raise AssertionError(f"{word} is in {len(found.numbers)} documents, not in {expected}")
    return seconds
