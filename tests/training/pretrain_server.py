"""Starts `cloze` commands fast: a process that has imported everything, and forks for each.

Reads lines of JSON, {"argv": [...], "out": FILE, "err": FILE}; answers each with the child's
process id, and with its exit code when it has ended, negative where a signal ended it. The children
save a checkpoint after every step, as they would after minutes.
"""

import json
import os
import sys
from dataclasses import replace

import matplotlib.figure  # noqa: F401 - imported here so that the children needn't
import tensorboard  # noqa: F401
import torch.utils.tensorboard.writer  # noqa: F401
from transformers import BertForPreTraining  # noqa: F401

import cloze
from training import pretrain
from training.loop.loop import LoopSettings
from training.plan import Plan

_settings = pretrain._loop_settings


def often(plan: Plan) -> LoopSettings:
    """The settings of a run that saves after every step."""
    return replace(_settings(plan), save_seconds=0.0, journal=1, evaluate=0.5)


def child(argv: list[str], *files: str) -> None:
    """Be the command."""
    for stream, file in enumerate(files, 1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    sys.argv = ["cloze", *argv]
    pretrain._loop_settings = often
    try:
        cloze.main()
    except SystemExit as end:
        sys.stdout.flush()
        os._exit(end.code if isinstance(end.code, int) else int(end.code is not None))
    except BaseException as error:
        sys.stderr.write(f"{error!r}\n")
        os._exit(99)
    sys.stdout.flush()
    os._exit(0)


def main() -> None:
    """Serve until the input ends."""
    for line in sys.stdin:
        asked = json.loads(line)
        if (process := os.fork()) == 0:
            child(asked["argv"], asked["out"], asked["err"])
        sys.stdout.write(f"{process}\n")
        sys.stdout.flush()
        _, status = os.waitpid(process, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
