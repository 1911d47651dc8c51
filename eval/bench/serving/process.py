"""A server of one index as a process on this machine: started, looked at, stopped or killed."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from threading import Event, Thread
from time import monotonic, sleep

from eval.bench.serving.connection import HOST, Connection
from indexer.errors import ClozeError

# Seconds until a server has loaded its models and answers.
_START = 120.0
# Seconds in which a server that is asked to stop finishes what it has accepted.
_STOP = 60.0
_POLL = 0.05
# Memory is looked at so often, in seconds.
_SAMPLE = 0.25
_TOLD = 2_000  # characters of what a server that failed has said last
_OK = 200
_ROOT = Path(__file__).resolve().parents[3]
_CONCERNS = ("CLOZE_HOME", "CLOZE_PRECISION", "CLOZE_THREADS")


def served(folder: Path, threads: int | None) -> list[str]:
    """Return the command that serves an index as it is served by default, but for its port."""
    return [str(_ROOT / "cloze.py"), "serve", str(folder), "--host", HOST, *_threads(threads)]


def served_unbatched(folder: Path, threads: int | None) -> list[str]:
    """Return the command of a server that answers one query after the other."""
    return ["-P", "-m", "eval.bench.serving.unbatched", str(folder), *_threads(threads)]


def _threads(threads: int | None) -> list[str]:
    return [] if threads is None else ["--threads", str(threads)]


class Server:
    """A server process that is ready to answer; what it says goes into a file without a name."""

    def __init__(self, command: Sequence[str]) -> None:
        """Start Python with a command and `--port`, a free one, and wait until it is ready.

        Raises:
            ClozeError: it ended, or is not ready after two minutes; its last words are told.
        """
        self.port = _free_port()
        self._said = TemporaryFile()
        # What a user's environment says of a service of their own is not meant for this one.
        own = {key: value for key, value in os.environ.items() if _concerns(key)}
        path = os.pathsep.join(filter(None, [str(_ROOT), own.get("PYTHONPATH", "")]))
        self._process = subprocess.Popen(
            [sys.executable, *command, "--port", str(self.port)], env={**own, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL, stdout=self._said, stderr=self._said,
        )  # fmt: skip
        try:
            self._wait_until_ready()
        except BaseException:
            self.kill()
            raise

    def _wait_until_ready(self) -> None:
        end = monotonic() + _START
        while not is_ready(self.port):
            if (code := self._process.poll()) is not None:
                raise ClozeError(f"the server ended with {code}, expected it to serve: {self.said}")
            if monotonic() > end:
                raise ClozeError(f"the server is not ready after {_START:g} s: {self.said}")
            sleep(_POLL)

    @property
    def said(self) -> str:
        """Return the last that it has said."""
        self._said.seek(0)
        return self._said.read().decode(errors="replace")[-_TOLD:].strip()

    @property
    def alive(self) -> bool:
        """Tell whether it runs."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End it at once, as a loss of power would."""
        self._process.kill()
        self._process.wait()
        self._said.close()

    def stop(self) -> int:
        """Ask it to stop, and return its exit status.

        Raises:
            ClozeError: it was still there after a minute, and was killed.
        """
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(_STOP)
        except subprocess.TimeoutExpired:
            said = self.said
            self.kill()
            raise ClozeError(f"the server did not stop within {_STOP:g} s: {said}") from None
        self._said.close()
        return code

    @property
    def cpu_seconds(self) -> float:
        """Return the processor seconds that it has used, of all its threads.

        Raises:
            ClozeError: it has ended.
        """
        fields = self._told_by_system("stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def memory_mib(self) -> float:
        """Return its resident memory in MiB, pages of files left out.

        Raises:
            ClozeError: it has ended.
        """
        lines = self._told_by_system("status").splitlines()
        sizes = [line.split()[1] for line in lines if line.startswith("RssAnon:")]
        return int(sizes[0]) / 1024

    def _told_by_system(self, file: str) -> str:
        if not self.alive:
            raise ClozeError(
                f"the server ended with {self._process.poll()} while it was measured: {self.said}"
            )
        return Path(f"/proc/{self._process.pid}/{file}").read_text()

    @contextmanager
    def watched(self) -> Iterator[list[float]]:
        """Note its memory in MiB several times a second, into the list that is yielded."""
        samples = [self.memory_mib]
        over = Event()

        def look() -> None:
            while not over.wait(_SAMPLE) and self.alive:
                samples.append(self.memory_mib)

        thread = Thread(target=look, daemon=True)
        thread.start()
        try:
            yield samples
        finally:
            over.set()
            thread.join()


def is_ready(port: int) -> bool:
    """Tell whether a server at a port of this machine says that it is ready."""
    try:
        connection = Connection(port)
    except OSError:
        return False
    request = f"GET /health/ready HTTP/1.1\r\nHost: {HOST}:{port}\r\n\r\n"
    try:
        return connection.ask(request.encode()) == _OK
    except ConnectionError:
        return False
    finally:
        connection.close()


def _concerns(variable: str) -> bool:
    return not variable.startswith("CLOZE_") or variable in _CONCERNS


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as taken:
        return int(taken.getsockname()[1])
