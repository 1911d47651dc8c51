"""Memory and opening times of an index, in a process of its own that does nothing else.

Run as `python -m eval.bench.resident`: a JSON object on standard input, one on standard output.
"""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from indexer.errors import ClozeError

_OPENS = 5
# What opening and searching imports; it is neither timed nor counted as the index's memory.
_IMPORTED = ("search.index", "indexer.vectors", "indexer.filters.selection")


def resident(
    folder: Path,
    threads: int,
    *,
    queries: Sequence[str] = (),
    vectors: Sequence[Sequence[float]] = (),
    depths: Sequence[int] = (),
) -> dict[str, Any]:
    """Open an index and its vectors, then search with query vectors, then with queries, hybrid.

    Returns:
        `memory_mib`, anonymous and of files (what of them lies in memory), after each step;
        `open_ms` and `vectors_ms`, medians of five, of files that the system has in its cache.

    Raises:
        ClozeError: the process failed; it has said why on standard error.
    """
    asked = {
        "folder": str(folder),
        "threads": threads,
        "queries": list(queries),
        "vectors": list(vectors),
        "depths": list(depths),
    }
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
    done = subprocess.run(
        # -P: a folder of the user's named search or eval must not stand before ours.
        [sys.executable, "-P", "-m", "eval.bench.resident"], input=json.dumps(asked),
        stdout=subprocess.PIPE, text=True, check=False, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    if done.returncode:
        raise ClozeError(
            f"the process that measures {folder} ended with {done.returncode}, expected 0; mend "
            "what it says above, and run this again"
        )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def memory() -> dict[str, float]:
    """Return this process's resident memory in MiB: anonymous, and pages of files.

    Raises:
        ClozeError: the system does not tell, as Linux does since 4.5.
    """
    names = {"RssAnon": "anonymous", "RssFile": "files"}
    with open("/proc/self/status") as file:
        lines = [line.split() for line in file]
    found = {names[key[:-1]]: int(rest[0]) for key, *rest in lines if key[:-1] in names}
    if len(found) < len(names):
        raise ClozeError("/proc/self/status has no RssAnon and RssFile; run this on Linux")
    return {name: round(kibibytes / 1024, 1) for name, kibibytes in found.items()}


def measure(asked: dict[str, Any]) -> dict[str, Any]:
    """Do in this process what `resident` describes."""
    import numpy as np

    for module in _IMPORTED:
        importlib.import_module(module)
    from search.index import Index

    steps = {"imported": memory()}
    times: dict[str, list[float]] = {"open": [], "vectors": []}

    def opened() -> Index:
        begin = perf_counter()
        index = Index.open(asked["folder"], threads=asked["threads"])
        times["open"].append(perf_counter() - begin)
        return index

    def load(index: Index) -> None:
        begin = perf_counter()
        _ = index.dense
        times["vectors"].append(perf_counter() - begin)

    with opened() as index:
        steps["opened"] = memory()
        load(index)
        steps["vectors"] = memory()
        for vector in asked["vectors"]:
            for depth in asked["depths"]:
                index.dense.search(np.array(vector, dtype=np.float32), depth)
        if asked["vectors"]:
            steps["searched"] = memory()
        if asked["queries"]:
            _ = index.encoder
            steps["encoder"] = memory()
            for query in asked["queries"]:
                index.search(query)
            steps["answered"] = memory()
    for _ in range(_OPENS - 1):
        with opened() as index:
            load(index)
    return {
        "memory_mib": steps,
        **{f"{name}_ms": round(median(taken) * 1000, 1) for name, taken in times.items()},
    }


def main() -> None:
    """Measure what standard input asks for."""
    from indexer.threads import budget

    # Whatever a library prints must not stand in the answer.
    answer, sys.stdout = sys.stdout, sys.stderr
    asked = json.load(sys.stdin)
    budget(asked["threads"])
    try:
        answer.write(json.dumps(measure(asked)) + "\n")
    except ClozeError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
