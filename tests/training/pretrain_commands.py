"""`cloze pretrain` in tests: its options, and a process that starts it fast."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
TEXT = "The old machine was found by the river. "


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]


def options(out: Path, base: Path, **changed: object) -> list[str]:
    """The options of a short run that goes on from the small BERT; None leaves one out."""
    given: dict[str, object] = {
        "out": out, "arch": base, "objective": "mlm+nsp", "length": "16,64", "steps": 20,
        "batch_tokens": 256, "lr": 1e-3, "precision": "fp32",
    }  # fmt: skip
    return [
        part
        for name, value in (given | changed).items()
        if value is not None
        for part in (f"--{name.replace('_', '-')}", str(value))
    ]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


class Server:
    """Commands that start fast and can be stopped by signals."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("pretrain_server.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ
            | {"CLOZE_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        )

    def __call__(
        self,
        folder: Path,
        *arguments: object,
        after: float | None = None,
        number: signal.Signals = signal.SIGKILL,
    ) -> Ended:
        """Run a command that prints into files of a folder; send it a signal after some seconds."""
        assert self._process.stdin
        assert self._process.stdout
        out, err = folder / "command.out", folder / "command.err"
        asked = {"argv": [*map(str, arguments)], "out": str(out), "err": str(err)}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        child = int(self._process.stdout.readline())
        if after is not None:
            ended, _, _ = select.select([self._process.stdout], [], [], after)
            if not ended:
                os.kill(child, number)
        code = int(self._process.stdout.readline())
        return Ended(code, out.read_text(), err.read_text())

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()
