"""Corpus lines and filters that libFuzzer grows to reach new code: no traceback, bounded memory.

`pip install atheris`, then `python -m tests.faults.fuzz corpus --runs 10000`, or `filters`. Prints
each new finding once, with the input, and goes on.
"""

import argparse
import os
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore]

with atheris.instrument_imports(include=["indexer.corpus", "indexer.filters"]):
    from tests.faults.hostile import FILTERS, SEEDS, SUFFIXES, Ground

_MEMORY_MIB = 1024
_WORDS = (
    "and", "or", "not", "in", "null", "true", "false", "!=", ">=", "$gte", "_id", "metadata",
    "text", "\\ud800", "1e999", "NaN", "<doc", "</doc>", "[[[[[[[[", "{{", "9999999999999999999",
)  # fmt: skip


class Findings:
    """What went wrong, once for each place in the code."""

    def __init__(self, test: Callable[[bytes], None]) -> None:
        self.test = test
        self.inputs = 0
        self.places: dict[str, bytes] = {}

    def __call__(self, content: bytes) -> None:
        """Try one input."""
        self.inputs += 1
        try:
            self.test(content)
        except Exception as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{type(error).__name__} in {Path(frame.filename).name}:{frame.lineno}"
            if place not in self.places:
                self.places[place] = content
                sys.stderr.write(f"\nFINDING {place}: {str(error)[:200]!r}\n  {content[:300]!r}\n")


def main() -> None:
    """Fuzz one of the two, so many times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("corpus", "filters"))
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="cloze-fuzz-"))
    ground = Ground(home)

    def corpus(content: bytes) -> None:
        ground.read(content[1:], SUFFIXES[(content[:1] or b"\0")[0] % len(SUFFIXES)])

    def filters(content: bytes) -> None:
        ground.ask(content.decode(errors="replace"))

    seeds = home / "seeds"
    seeds.mkdir()
    known = SEEDS if options.what == "corpus" else [each.encode() for each in FILTERS]
    for number, seed in enumerate(known):
        (seeds / str(number)).write_bytes(seed)
    words = home / "words"
    words.write_text("".join(f'"{word.replace(chr(92), chr(92) * 2)}"\n' for word in _WORDS))
    findings = Findings(corpus if options.what == "corpus" else filters)
    begin = time.monotonic()

    def report() -> None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        sys.stdout.write(
            f"{options.what}: {findings.inputs:,} inputs in {time.monotonic() - begin:.0f} s, "
            f"{ground.refused:,} refused in a line, {len(findings.places)} findings, "
            f"peak {peak:.0f} MiB\n"
        )
        sys.stdout.flush()
        ground.close()
        shutil.rmtree(home)
        # libFuzzer would end the process as one that crashed.
        os._exit(1 if findings.places or peak > _MEMORY_MIB else 0)

    def one(content: bytes) -> None:
        findings(content)
        if findings.inputs >= options.runs:
            report()

    arguments: list[Any] = [
        sys.argv[0], f"-seed={options.seed}", f"-dict={words}", "-max_len=4096",
        f"-rss_limit_mb={_MEMORY_MIB}", "-timeout=20", "-verbosity=0", str(seeds),
    ]  # fmt: skip
    atheris.Setup(arguments, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
