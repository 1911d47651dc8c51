"""Driver processes as the tests see them: started, read line by line, killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_DRIVER = Path(__file__).with_name("driver.py")


class Driver:
    """One indexing process, stopped at its start until `go`."""

    def __init__(self, folder: Path, model: Path, *stages: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(_DRIVER), str(folder), str(model), *stages],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )

    def go(self) -> Iterator[str]:
        """Let it run, and yield its lines until it ends or waits for `finish`."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write("\n")
        self._process.stdin.flush()
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
        lines, errors = self._process.communicate("\n")
        assert self._process.returncode == 0, errors
        return lines.splitlines()
