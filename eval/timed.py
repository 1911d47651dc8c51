"""One system in a process of its own, answering a query a line and telling what each took.

Run as `python -m eval.timed`: the first line of standard input describes the system, every further
one is a query; each is answered by a line of JSON, and the end of input by the peak memory.
"""

import json
import signal
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any, TypeAlias

from eval.systems import System, ask, load_callable

TOP = 10

# Milliseconds by stage, "total" among them.
Took: TypeAlias = dict[str, float]
Timed: TypeAlias = Callable[[str], Took]


def open_system(description: dict[str, Any]) -> Timed:
    """Return a function that answers a query whole, as users meet it, and tells what it took.

    A mode of the index answers with hits, snippets included; the others with ranked ids.
    """
    from indexer.threads import budget

    budget(description["threads"])
    system = System(**description["system"])
    if system.kind == "callable":
        function = load_callable(system.place)
        return _clocked(lambda query: ask(system.name, function, query, TOP))

    from search.index import Index

    index = Index.open(
        description["index"], device=description["device"], threads=description["threads"]
    )
    if system.kind == "baseline":
        from eval.baselines import RankBM25

        documents = (document for _, document in index.store.all_live())
        baseline = RankBM25(system.name, documents, index.analyzer)
        return _clocked(lambda query: baseline.rank(query, TOP))

    def search(query: str) -> Took:
        begin = perf_counter()
        results = index.search(query, top=TOP, **system.options)
        total = (perf_counter() - begin) * 1000
        return {**results.took_ms, "total": total}

    return search


def _clocked(answer: Callable[[str], object]) -> Timed:
    def timed(query: str) -> Took:
        begin = perf_counter()
        answer(query)
        return {"total": (perf_counter() - begin) * 1000}

    return timed


def peak_bytes() -> int | None:
    """Return the largest resident memory this process had, where the system tells it.

    From Linux's VmHWM: what getrusage says of a child starts at the memory of its parent.
    """
    try:
        with open("/proc/self/status") as file:
            line = next(line for line in file if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return None
    return int(line.split()[1]) * 1024


def main() -> None:
    """Serve one system over standard input and output, until the input ends."""
    # Ctrl-C is the parent's to answer, which then ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Whatever a library prints must not stand between the answers.
    answers, sys.stdout = sys.stdout, sys.stderr

    def tell(value: object) -> None:
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    try:
        timed = open_system(json.loads(sys.stdin.readline()))
        tell({"ready": True})
        for line in sys.stdin:
            tell(timed(json.loads(line)))
        tell({"peak_bytes": peak_bytes()})
    except Exception as error:
        tell({"error": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    main()
