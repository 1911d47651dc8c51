"""`cloze train biencoder` from pairs to a folder: what it leaves, who loads it, what it refuses."""

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer

import cloze
from indexer.encoder import Encoder
from indexer.errors import ClozeError
from indexer.models import find_model
from tests.training.pretrain_commands import Ended, contents
from training.finetuning.encoder import TextEncoder
from training.pairs.example import Example

STEPS = 4
TEXTS = ["above the river", "a", "the old machine was found by the river, and taken to the town"]
Run = Callable[..., Ended]


@pytest.fixture(scope="module")
def patched() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        # The command sets more variables of this kind than it reads.
        for variable in ("OMP", "OPENBLAS", "MKL", "RAYON"):
            patch.setenv(f"{variable}_NUM_THREADS", "1")
        patch.setenv("TOKENIZERS_PARALLELISM", "false")
        patch.setenv("CLOZE_THREADS", "1")
        yield patch


@pytest.fixture(scope="module")
def run(patched: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The command line in this process."""
    folder = tmp_path_factory.mktemp("told")

    def command(*arguments: object) -> Ended:
        patched.setattr(sys, "argv", ["cloze", *map(str, arguments)])
        code = 0
        with (folder / "out").open("w+") as out, (folder / "err").open("w+") as err:
            patched.setattr(sys, "stdout", out)
            patched.setattr(sys, "stderr", err)
            try:
                cloze.main()
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(end.code is not None)
            finally:
                patched.setattr(sys, "stdout", sys.__stdout__)
                patched.setattr(sys, "stderr", sys.__stderr__)
        return Ended(code, (folder / "out").read_text(), (folder / "err").read_text())

    return command


def options(out: Path, base: Path, **changed: object) -> list[str]:
    """The options of a short run; None leaves one out."""
    given: dict[str, object] = {
        "out": out, "from": base, "steps": STEPS, "batch": 8, "lr": 3e-3, "precision": "fp32",
        "held_out": 8, "dims": "32,8", "hard_negatives": 2, "length": 32,
    }  # fmt: skip
    return [
        part
        for name, value in (given | changed).items()
        if value is not None
        for part in (f"--{name.replace('_', '-')}", str(value))
    ]


@pytest.fixture(scope="module")
def finished(
    run: Run, pair_file: Path, sentence_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Ended]:
    out = tmp_path_factory.mktemp("runs") / "finished"
    return out, run("train", "biencoder", pair_file, *options(out, sentence_folder), "--json")


def test_the_result_tells_what_was_gained(
    finished: tuple[Path, Ended], pair_file: Path, sentence_folder: Path
) -> None:
    out, ended = finished
    assert (ended.code, ended.err) == (0, "")
    result = json.loads(ended.out)
    assert result["trained"] is True and result["steps"] == STEPS
    assert (result["examples"], result["examples_held_out"]) == (32, 8)
    assert set(result["before"]) == set(result["held_out"]) == {"ndcg@10", "ndcg@10/8"}
    assert result["held_out"]["ndcg@10"] >= result["before"]["ndcg@10"]
    events = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    held_out = {each["step"]: each["ndcg@10"] for each in events if each["kind"] == "held_out"}
    assert held_out.keys() == set(range(STEPS + 1))
    assert result["held_out"]["ndcg@10"] == pytest.approx(max(held_out.values()), abs=1e-4)
    assert held_out[result["best_step"]] == max(held_out.values())
    before, after = (load_file(each / "model.safetensors") for each in (sentence_folder, out))
    moved = [not torch.equal(after[name], each) for name, each in before.items() if name in after]
    assert result["best_step"] and all(moved)
    card = (out / "README.md").read_text()
    for told in (
        f"{result['before']['ndcg@10']:.4f} | {result['held_out']['ndcg@10']:.4f} |",
        f"cloze train biencoder {pair_file} --from {sentence_folder} --loss infonce --dims 32,8",
        "It learned from 32 queries", "8 more queries were held out", "first 8 dimensions",
    ):  # fmt: skip
        assert told in card
    assert (out / "loss.png").stat().st_size > 1000
    assert not (out / "checkpoints").exists()


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_others_make_the_same_vectors(
    finished: tuple[Path, Ended], run: Run, pair_file: Path, sentence_folder: Path,
    tmp_path: Path, pooling: str,
) -> None:  # fmt: skip
    out = finished[0]
    if pooling == "cls":
        out = tmp_path / "cls"
        given = options(out, sentence_folder, pooling="cls", steps=1)
        assert run("train", "biencoder", pair_file, *given).code == 0
    checkpoint = find_model(str(out))
    assert (checkpoint.pooling, checkpoint.normalize, checkpoint.max_tokens) == (pooling, True, 48)
    ours = TextEncoder(checkpoint, pooling=None, length=48, dtype=torch.float32, device="cpu")
    expected = ours.encode(ours.documents(TEXTS)).numpy()
    other = {"mean": "cls", "cls": "mean"}[pooling]
    otherwise = TextEncoder(checkpoint, pooling=other, length=48, dtype=torch.float32, device="cpu")
    assert np.abs(otherwise.encode(otherwise.documents(TEXTS)).numpy() - expected).max() > 1e-2
    theirs = SentenceTransformer(str(out), device="cpu", local_files_only=True)
    assert np.asarray(theirs.encode(TEXTS)) == pytest.approx(expected, abs=1e-4)
    if pooling == "mean":  # what the engine makes of either is tested there
        engine = Encoder(checkpoint, precision="fp32")
        assert engine.encode_documents(TEXTS) == pytest.approx(expected, abs=1e-4)


def test_a_finished_run_says_so_and_changes_nothing(
    finished: tuple[Path, Ended], run: Run, pair_file: Path, sentence_folder: Path
) -> None:
    out, done = finished
    before = contents(out)
    ended = run("train", "biencoder", pair_file, *options(out, sentence_folder))
    assert (ended.code, ended.err) == (0, "")
    assert "is finished: nothing was done" in ended.out
    assert "(before: " in ended.out
    again = run("train", "biencoder", pair_file, *options(out, sentence_folder), "--json")
    assert json.loads(again.out) == json.loads(done.out) | {"trained": False}
    assert contents(out) == before


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"loss": "kl"}, "--loss 'infonce', and now 'kl'"),
        ({"dims": None}, "--dims '32,8', and now None"),
        ({"pooling": "cls"}, "--pooling 'mean', and now 'cls'"),
        ({"temperature": 0.1}, "--temperature 0.05, and now 0.1"),
        ({"steps": None, "epochs": 2}, "--epochs None, and now 2.0; --steps 4, and now None"),
        ({"steps": None, "budget": "3m"}, "--budget None, and now '180s'; --steps 4, and now None"),
        ({"batch": 4}, "--batch 8, and now 4"),
        ({"hard_negatives": 1}, "--hard-negatives 2, and now 1"),
        ({"length": 16}, "--length 32, and now 16"),
        ({"lr": 1e-3}, "--lr 0.003, and now 0.001"),
        ({"precision": "bf16"}, "--precision 'fp32', and now 'bf16'"),
        ({"seed": 9}, "--seed 0, and now 9"),
        ({"held_out": 4}, "--held-out 8, and now 4"),
    ],
)
def test_changed_settings_are_refused_by_name(
    finished: tuple[Path, Ended], run: Run, pair_file: Path, sentence_folder: Path,
    changed: dict[str, Any], told: str,
) -> None:  # fmt: skip
    out, _ = finished
    ended = run("train", "biencoder", pair_file, *options(out, sentence_folder, **changed))
    assert ended.code == 2
    assert re.fullmatch(
        f"cloze: {re.escape(str(out))} was begun with {re.escape(told)}: .*\n", ended.err
    )


def test_other_pairs_are_refused(
    finished: tuple[Path, Ended], run: Run, examples: tuple[Example, ...], sentence_folder: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    pairs = write(tmp_path, examples[1:])
    ended = run("train", "biencoder", pairs, *options(finished[0], sentence_folder))
    assert ended.code == 2
    assert re.search(r"was begun with pairs '\w+', and now '\w+'", ended.err)


def write(folder: Path, examples: tuple[Example, ...], **changed: Any) -> Path:  # noqa: ANN401
    path = folder / "pairs.jsonl"
    rows = ({"query": each.query, "positives": each.positives} | changed for each in examples)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (
            {"loss": "infonse"},
            r"--loss is 'infonse'; did you mean infonce\? choose of infonce, cached",
        ),
        ({"pooling": "max"}, "--pooling is 'max'; choose mean or cls"),
        ({"dims": "8"}, "--dims is 8, without the whole vector's 32"),
        ({"dims": "32,64"}, "--dims is 32,64 and vectors of .* have 32 dimensions"),
        ({"dims": "32,32"}, "--dims is 32,32 and vectors of"),
        ({"dims": "half"}, "--dims is 'half'; give numbers of dimensions"),
        ({"length": 64}, "--length is 64 and .* reads 48 tokens"),
        ({"temperature": 0}, "--temperature is 0; give a number above 0"),
        ({"teacher_temperature": "nan", "loss": "kl"}, "--teacher-temperature is nan"),
        ({"teacher_temperature": 2}, "--teacher-temperature is for marginmse and kl, and --loss"),
        ({"budget": "3m"}, "--budget, --steps and --epochs are 2 budgets and a run has one"),
        ({"steps": None, "epochs": 0}, "--epochs is 0; give a number above 0"),
        ({"lr": 0}, "--lr is 0; give a learning rate above 0"),
        ({"precision": "int8"}, "--precision is 'int8'"),
        ({"batch": 33}, "--batch is 33 and there are 32 examples to train on"),
        ({"held_out": 0}, "no query is held out of 40, and the best weights are chosen by those"),
        ({"held_out": 40}, "40 queries are to be held out of 40"),
        ({"loss": "kl", "hard_negatives": 0}, "--hard-negatives is 0 and --loss kl compares"),
        ({"against": "nowhere"}, "nowhere"),
        ({"from": "nowhere/at-all"}, "nowhere/at-all is not in the hub's cache"),
    ],
)
def test_bad_options_are_one_line_before_a_model_is_loaded(
    run: Run, pair_file: Path, sentence_folder: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], told: str,
) -> None:  # fmt: skip
    unloaded(monkeypatch)
    out = tmp_path / "run"
    ended = run("train", "biencoder", pair_file, *options(out, sentence_folder, **changed))
    assert ended.code == 2
    assert re.fullmatch(f"cloze: .*{told}.*\n", ended.err), ended.err
    assert not out.exists()


def unloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """No weights may be loaded."""

    def refuse(*given: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("training.finetuning.encoder.load_encoder", refuse)


def test_bad_pairs_are_one_line_before_a_model_is_loaded(
    run: Run, examples: tuple[Example, ...], sentence_folder: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    unloaded(monkeypatch)
    out = tmp_path / "run"
    cases: dict[str, dict[str, Any]] = {
        "has no positive": {"positives": []},
        "one and the same passage": {"positives": ["the same"]},
        "--loss marginmse learns a teacher's scores .* 32 of 32 examples lack them": {},
    }
    for told, changed in cases.items():
        pairs = write(tmp_path, examples, **changed)
        given = options(out, sentence_folder, loss="marginmse")
        ended = run("train", "biencoder", pairs, *given)
        assert ended.code == 2
        assert re.fullmatch(f"cloze: .*{told}.*\n", ended.err), ended.err
    assert not out.exists()


def test_leaks_are_refused_unless_allowed(
    run: Run, examples: tuple[Example, ...], pair_file: Path, sentence_folder: Path,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    unloaded(monkeypatch)
    beir = tmp_path / "judged"
    (beir / "qrels").mkdir(parents=True)
    asked, relevant = examples[3].query, examples[9].positives[0]
    (beir / "corpus.jsonl").write_text(json.dumps({"_id": "d", "title": "", "text": relevant}))
    (beir / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": asked}))
    (beir / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td\t1\n")
    given = [*options(tmp_path / "run", sentence_folder), "--against", str(beir), "--dry-run"]
    ended = run("train", "biencoder", pair_file, *given)
    assert ended.code == 2
    assert "1 queries and 1 positives" in ended.err and "--allow-leak" in ended.err
    allowed = run("train", "biencoder", pair_file, *given, "--allow-leak")
    assert allowed.code == 0, allowed.err
    assert "allowed: " in allowed.err


def test_what_the_pairs_hold_is_told_before_the_model_is_loaded(
    run: Run, pair_file: Path, sentence_folder: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def stop(*given: object) -> None:
        raise ClozeError("here the model is loaded")

    monkeypatch.setattr("training.finetuning.encoder.load_encoder", stop)
    ended = run("train", "biencoder", pair_file, *options(tmp_path / "run", sentence_folder))
    assert re.search(
        r"32 to train on, 8 held out.*\ncloze: here the model is loaded\n$", ended.err, re.DOTALL
    ), ended.err
    assert "40 examples" in ended.err


def test_a_dry_run_shows_the_first_batch_and_writes_nothing(
    run: Run, pair_file: Path, sentence_folder: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    unloaded(monkeypatch)
    out = tmp_path / "run"
    given = [*options(out, sentence_folder), "--dry-run"]
    ended = run("train", "biencoder", pair_file, *given)
    assert (ended.code, ended.err) == (0, "")
    assert "a batch of 8" in ended.out
    shown = json.loads(run("train", "biencoder", pair_file, *given, "--json").out)
    assert len(shown["batch"]) == 8
    assert {len(each["negatives"]) for each in shown["batch"]} == {2}
    assert not out.exists()


def test_help_names_every_option(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "COLUMNS", "200")
    told = run("train", "biencoder", "--help").out
    for name in options(Path(), Path()):
        if name.startswith("--"):
            assert name in told
