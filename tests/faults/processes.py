"""Driver and reader processes as the tests see them: started, read line by line, killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_HERE = Path(__file__).parent


def _start(script: str, *arguments: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, str(_HERE / script), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


class Driver:
    """One indexing process, stopped at its start until `start` or `go`."""

    def __init__(self, folder: Path, models: tuple[Path, Path], *stages: str) -> None:
        self._process = _start("driver.py", folder, *models, *stages)

    def start(self) -> None:
        """Let it run."""
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def go(self) -> Iterator[str]:
        """Let it run, and yield its lines until it ends or waits for `finish`."""
        assert self._process.stdout
        self.start()
        for line in self._process.stdout:
            yield line.rstrip("\n")

    def kill(self, delay: float) -> list[str]:
        """Kill it after so many seconds, and return the lines that were not read before."""
        time.sleep(delay)
        self._process.send_signal(signal.SIGKILL)
        rest, _ = self._process.communicate()
        assert self._process.returncode == -signal.SIGKILL
        return rest.splitlines()

    def finish(self) -> list[str]:
        """Let it run to its end, and return its lines."""
        lines, errors = self.end()
        assert self._process.returncode == 0, errors
        return lines

    def end(self) -> tuple[list[str], str]:
        """Let it run to its end, good or bad, and return its lines and its errors."""
        lines, errors = self._process.communicate("\n")
        return lines.splitlines(), errors


class Reader:
    """One process that looks at one folder after another."""

    def __init__(self) -> None:
        self._process = _start("reader.py")

    def watch(self, folder: Path) -> None:
        """Let it look on, from when there is an index."""
        self._say(str(folder))

    def stop(self) -> int:
        """Let it stop, and return how many different commits it saw."""
        self._say("")
        assert self._process.stdout and self._process.stderr
        answer = self._process.stdout.readline()
        assert answer.startswith("saw "), self._process.stderr.read()
        return int(answer.split()[1])

    def close(self) -> None:
        """End it."""
        self._process.communicate()

    def _say(self, line: str) -> None:
        assert self._process.stdin
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:  # it found something wrong, which `stop` reads
            return
