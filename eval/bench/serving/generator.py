"""The load generator as a process of its own, so that it takes nothing from the server's.

Run as `python -m eval.bench.serving.generator`: a JSON object on standard input, one on standard
output. What it imports is light, and requests are bytes before the clock starts.
"""

import gc
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import process_time
from typing import Any

from eval.bench.serving.loop import Sent, Stream, send
from indexer.errors import ClozeError

# Seconds after the last arrival until what is unanswered counts as such.
DRAIN = 35.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What became of the requests of each stream, and the generator's own processor seconds."""

    streams: Sequence[Sent]
    cpu_seconds: float

    @property
    def cpu_ms(self) -> float:
        """Return what one request takes of a processor, in milliseconds."""
        count = sum(len(stream.due) for stream in self.streams)
        return 1000 * self.cpu_seconds / max(count, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """A stream as text: see `Stream`, whose requests are these in UTF-8."""

    requests: Sequence[str]
    arrivals: Sequence[float] | None
    connections: int
    seconds: float


def generate(port: int, feeds: Sequence[Feed]) -> Load:
    """Send streams of requests to a port of this machine from a process of its own.

    Raises:
        ClozeError: the process failed; it has said why on standard error.
    """
    limit = max(feed.seconds for feed in feeds) + DRAIN
    asked = {"port": port, "limit": limit, "feeds": [asdict(feed) for feed in feeds]}
    root = str(Path(__file__).resolve().parents[3])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
    done = subprocess.run(
        # -P: a folder of the user's named search or eval must not stand before ours.
        [sys.executable, "-P", "-m", "eval.bench.serving.generator"], input=json.dumps(asked),
        stdout=subprocess.PIPE, text=True, check=False, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    if done.returncode:
        raise ClozeError(
            f"the load generator ended with {done.returncode}, expected 0; mend what it says above"
        )
    found = json.loads(done.stdout)
    return Load(
        streams=[Sent(**stream) for stream in found["streams"]], cpu_seconds=found["cpu_seconds"]
    )


def _generated(asked: dict[str, Any]) -> dict[str, Any]:
    streams = [
        Stream(**{**feed, "requests": [request.encode() for request in feed["requests"]]})
        for feed in asked["feeds"]
    ]
    # Nothing made so far is looked at again while the clock runs.
    gc.collect()
    gc.freeze()
    begin = process_time()
    sent = send(asked["port"], streams, asked["limit"])
    taken = process_time() - begin
    return {"streams": [asdict(each) for each in sent], "cpu_seconds": taken}


def main() -> None:
    """Send what standard input asks for."""
    try:
        sys.stdout.write(json.dumps(_generated(json.load(sys.stdin))))
    except OSError as error:
        sys.exit(f"cloze: the server can't be reached: {error}")


if __name__ == "__main__":
    main()
