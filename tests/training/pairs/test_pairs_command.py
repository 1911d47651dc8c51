"""What the commands that train from pairs share, by way of a command of the tests' own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from indexer.errors import ClozeError
from tests.training.pairs.written import write_lines
from training.commands.pairs import held_out_count, open_pairs, show_dry_run, show_report
from training.finetuning.material import Material
from training.pairs.holding_out import hold_out
from training.pairs.reading import Pairs

LINES = [{"query": f"q{number}", "positive": f"p{number // 2}"} for number in range(12)]


def opened(folder: Path, *, against: list[str] | None = None, allow_leak: bool = False) -> Pairs:
    return open_pairs(
        [write_lines(folder / "a.jsonl", LINES)],
        negatives=None,
        split=None,
        against=against,
        allow_leak=allow_leak,
        skip_bad=False,
        quiet=True,
    )


def held(pairs: Pairs) -> Material:
    """The pairs with one query held out."""
    train, held_out = hold_out(pairs, 1)
    return Material(pairs=pairs, train=train, held_out=held_out, paths=(), options={})


def test_a_tenth_is_held_out_of_few() -> None:
    assert [held_out_count(None, count) for count in (9, 661, 5000)] == [0, 66, 200]
    assert held_out_count(0, 5000) == 0
    assert held_out_count(300, 661) == 300


def test_dry_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    material = held(opened(tmp_path))
    train = material.train
    show_dry_run(material, train[:2])
    told = capsys.readouterr().out.splitlines()
    assert told[0].endswith("a.jsonl: JSON lines, 12 rows")
    at = told.index(
        "10 to train on, 1 held out; 1 examples and 1 positives left out for being those of "
        "queries held out"
    )
    assert told[at + 1].startswith("a batch of 2: ")
    assert told[at + 2] == f"  ? {train[0].query}"
    show_report(material)
    # What a run tells is not its result.
    captured = capsys.readouterr()
    assert (captured.out, captured.err.splitlines()) == ("", told[: at + 1])


def test_dry_run_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = opened(tmp_path)
    show_dry_run(held(pairs), pairs.examples[:2], json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["pairs"]["examples"] == 12
    assert told["content_hash"] == pairs.content_hash
    assert (told["train"], told["held_out"]) == (10, 1)
    assert told["left_out"] == {"examples": 1, "positives": 1}
    assert [each["false_negatives"] for each in told["batch"]] == [["p0"], ["p0"]]


def test_leaks_are_looked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "tested"
    (folder / "qrels").mkdir(parents=True)
    write_lines(folder / "queries.jsonl", [{"_id": "1", "text": "Q3"}])
    (folder / "qrels" / "test.tsv").write_text("1\td\t1\n")
    with pytest.raises(ClozeError, match=r"'q3'; take them out, or pass --allow-leak"):
        opened(tmp_path, against=[str(folder)])
    assert len(opened(tmp_path, against=[str(folder)], allow_leak=True).examples) == 12
    assert "allowed: tested, split test: 1 queries" in capsys.readouterr().err
    monkeypatch.setenv("RANK", "1")
    opened(tmp_path, against=[str(folder)], allow_leak=True)
    assert capsys.readouterr().err == ""


def test_options_load_nothing_heavy() -> None:
    code = (
        "import sys, training.commands.pairs\n"
        "print([name for name in ('numpy', 'torch', 'orjson', 'training.pairs', 'eval.collections')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
