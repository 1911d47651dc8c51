"""A run that is killed or stopped, and the same command again."""

import json
import random
import signal
import time
from pathlib import Path

from tests.training.pretrain_commands import TEXT, Server, options


def test_killed_at_any_instant_the_same_command_ends_with_the_same_weights(
    server: Server, corpus_file: Path, base_folder: Path, tmp_path: Path
) -> None:
    # A text of its own, so that its shards are written here too.
    text = tmp_path / "text.jsonl"
    text.write_text(corpus_file.read_text() + json.dumps({"_id": "own", "text": TEXT}) + "\n")
    out = tmp_path / "killed"
    command = ["pretrain", str(text), *options(out, base_folder)]
    killed = [server(tmp_path, *command, after=0.05).code]
    whole = tmp_path / "whole"
    begun = time.monotonic()
    done = server(tmp_path, "pretrain", text, *options(whole, base_folder))
    assert done.code == 0, done.err
    seconds = time.monotonic() - begun

    choose = random.Random(4)
    for _ in range(5):
        after = choose.uniform(0.02, 0.5 * seconds)
        killed.append(server(tmp_path, *command, after=after).code)
    assert killed.count(-signal.SIGKILL) >= 2
    done = server(tmp_path, *command)
    assert done.code == 0, done.err
    found, expected = ((folder / "model.safetensors").read_bytes() for folder in (out, whole))
    assert found == expected
    figures, wanted = (
        json.loads((folder / "run.json").read_text())["result"] for folder in (out, whole)
    )
    for name in ("steps", "tokens", "held_out"):
        assert figures[name] == wanted[name]
    events = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    steps = [event["step"] for event in events if event["kind"] == "train"]
    assert steps == list(range(1, 21))
    assert not (out / "checkpoints").exists()


def test_ctrl_c_keeps_what_was_done(
    server: Server, corpus_file: Path, base_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = ["pretrain", corpus_file, *options(out, base_folder, steps=100_000)]

    def stop() -> int:
        """Press Ctrl-C after a second, and return the step that is kept."""
        done = server(tmp_path, *command, after=1.0, number=signal.SIGINT)
        assert done.code == 130, done.err
        told = "stopped; what was acknowledged is kept, the same command continues\n"
        assert done.err.endswith(told)
        kept = sorted(path.name for path in out.glob("checkpoints/step-*"))
        return int(kept[-1].removeprefix("step-")) if kept else 0

    while not (step := stop()):
        pass
    assert stop() >= step > 0
