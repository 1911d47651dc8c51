"""Parsers of formats that files can be hostile in, run in a process that may be killed."""

import contextlib
import json
import os
import resource
import select
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from time import monotonic
from typing import Any

from indexer.corpus.fields import BadRecord
from indexer.errors import ClozeError

_MEMORY = 1 << 29  # bytes beside those for the document
_MEMORY_FACTOR = 16  # bytes for each byte that a document may have
_SECONDS = 60.0
_BYTES_A_SECOND = 100_000  # what the slowest document of any size is read at
_CHUNK = 1 << 16

_ROOT = str(Path(__file__).resolve().parents[2])
# Appended, so that what lies beside the package can't stand in for the standard library.
_PROGRAM = (
    "import sys; sys.path.append(sys.argv[1]); from indexer.corpus.worker import main; main()"
)


class Worker:
    """One process that parses documents, started when it is first asked and after it was lost."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._process: subprocess.Popen[bytes] | None = None
        self._received = bytearray()

    def ask(self, format: str, *, limit: int, data: bytes = b"", path: str = "") -> Iterator[Any]:
        """Yield the answers to one request, as `indexer.corpus.worker` describes them.

        A process that crashes, needs more than 512 MiB and 16 times the limit, or says nothing for
        60 seconds and one for each 100 kB of a document is killed, and is a BadRecord.

        Raises:
            ClozeError: the process or its library could not start, whatever the document.
        """
        request = {
            "format": format,
            "limit": limit,
            "memory": _MEMORY + _MEMORY_FACTOR * limit,
            "bytes": len(data),
            "path": path,
        }
        patience = _SECONDS + (len(data) or limit) / _BYTES_A_SECOND
        ready = answered = False
        try:
            try:
                self._send(json.dumps(request).encode() + b"\n" + data)
            except BrokenPipeError:
                # What it said before tells whether it had started.
                ready = self._receive(patience).get("ready", False)
                raise
            ready = self._receive(patience)["ready"]
            while not (answer := self._receive(patience)).get("end"):
                yield answer
            answered = True
        except (BrokenPipeError, EOFError):
            raise (_crashed() if ready else _not_started(format)) from None
        finally:
            if not answered:
                self.stop()

    def stop(self) -> None:
        """Kill the process, if there is one."""
        process, self._process = self._process, None
        self._received.clear()
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                # Closing flushes what the process can't take any more.
                with contextlib.suppress(OSError):
                    pipe.close()  # type: ignore[union-attr]

    def _send(self, message: bytes) -> None:
        if self._process is not None and self._process.poll() is not None:
            self.stop()  # it died after its last answer
        if self._process is None:
            # One arena, no threads: what they set aside would count as memory.
            environment = os.environ | {"MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1"}
            environment |= {"OPENBLAS_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _PROGRAM, _ROOT],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                bufsize=0,
            )
        assert self._process.stdin is not None
        view = memoryview(message)
        while view:
            view = view[self._process.stdin.write(view) :]

    def _receive(self, patience: float) -> Any:  # noqa: ANN401 - JSON
        """Return the next answer; wait for it as long as patience lasts, in seconds."""
        assert self._process is not None and self._process.stdout is not None
        output = self._process.stdout
        deadline = monotonic() + patience
        searched = 0
        while (end := self._received.find(b"\n", searched)) < 0:
            searched = len(self._received)
            left = max(deadline - monotonic(), 0)
            if not select.select([output], [], [], left)[0]:
                problem = f"it took more than {patience:.0f} s to read"
                raise BadRecord(problem, "make it simpler or leave it out")
            piece = os.read(output.fileno(), _CHUNK)
            if not piece:
                raise EOFError
            self._received += piece
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        return json.loads(line)


def _crashed() -> BadRecord:
    problem = "its parser crashed or ran out of memory: the file is damaged or too large"
    return BadRecord(problem, "get the file again or split it")


def _not_started(format: str) -> ClozeError:
    _, highest = resource.getrlimit(resource.RLIMIT_AS)
    bound = "no limit" if highest == resource.RLIM_INFINITY else f"{highest >> 10} KiB"
    return ClozeError(
        f"the process that reads {format} could not load its library (ulimit -v: {bound}); give it "
        'more memory, or install it anew: pip install --force-reinstall "cloze-search[readers]"'
    )


@cache
def shared_worker() -> Worker:
    """Return the worker that all files of this process are read by; it ends with this process."""
    return Worker()
