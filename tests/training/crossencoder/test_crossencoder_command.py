"""`cloze train crossencoder`: what it leaves, what it refuses, in one line each."""

import json
import re
import shlex
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder as Theirs

from indexer.models import find_classifier
from indexer.runtime.probability import read_calibration
from tests.indexer.classifiers import edit_json
from tests.training.crossencoder.made import made_scorer
from tests.training.pretrain_commands import Ended, contents
from training.crossencoder.lists import Size
from training.crossencoder.plan import Plan
from training.crossencoder.run import train_crossencoder
from training.finetuning.material import Material
from training.loop.parts import Part
from training.loop.schedule import Budget
from training.pairs.holding_out import hold_out
from training.pairs.reading import read_pairs

STEPS, HELD_OUT = 10, 12
Run = Callable[..., Ended]


def silent(*told: object) -> None:
    pass


def options(out: Path, base: Path, **changed: object) -> list[str]:
    """The options of the finished run; None leaves one out."""
    given: dict[str, object] = {
        "from": base, "out": out, "loss": "lambda", "hard_negatives": 3, "steps": STEPS, "batch": 4,
        "length": 32, "lr": 3e-3, "precision": "fp32", "held_out": HELD_OUT,
    }  # fmt: skip
    return [
        part
        for name, value in (given | changed).items()
        if value is not None
        for part in (f"--{name.replace('_', '-')}", str(value))
    ]


def plan_of(base: Path, **changed: Any) -> Plan:  # noqa: ANN401
    given: dict[str, Any] = {
        "base": str(base), "loss": "lambda", "size": Size(batch=4, negatives=3),
        "budget": Budget(unit="steps", amount=STEPS), "length": 32, "rate": 3e-3,
        "precision": "fp32",
    }  # fmt: skip
    return Plan(**given | changed)


def train(pair_file: Path, plan: Plan, out: Path) -> dict[str, Any]:
    """Train in this process."""
    pairs = read_pairs([str(pair_file)])
    examples, kept = hold_out(pairs, HELD_OUT)
    material = Material(
        pairs=pairs, train=examples, held_out=kept, paths=(str(pair_file),),
        options={"--held-out": HELD_OUT},
    )  # fmt: skip
    done = train_crossencoder(
        plan, material, out, Part(), tell=silent, training=nullcontext(silent)
    )
    return dict(done.result)


@pytest.fixture(scope="module")
def finished(
    pair_file: Path, pair_base: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """A finished run: its folder and its result."""
    out = tmp_path_factory.mktemp("run") / "judge"
    return out, train(pair_file, plan_of(pair_base), out)


@pytest.fixture
def run(run: Run) -> Run:
    """`cloze train crossencoder` in this process."""
    return partial(run, "train", "crossencoder")


def test_the_folder_is_a_cross_encoder_everywhere(
    finished: tuple[Path, dict[str, Any]], pair_base: Path
) -> None:
    out, result = finished
    pairs = [("the dog", "a cat in the sun"), ("fish", "water " * 60), ("", "")]
    scorer = made_scorer(out, length=64)
    assert not scorer.is_new
    found = scorer.predict(pairs)
    logits = Theirs(str(out), device="cpu").predict(pairs, activation_fn=torch.nn.Identity())
    assert np.abs(found - logits).max() < 1e-4
    assert (out / "tokenizer.json").read_bytes() == (pair_base / "tokenizer.json").read_bytes()
    assert not (out / "checkpoints").exists()
    for picture in ("loss.png", "reliability.png"):
        assert (out / picture).read_bytes().startswith(b"\x89PNG")
    assert result["held_out"]["ndcg@10"] >= result["before"]["ndcg@10"]
    assert result["steps"] == STEPS
    assert result["examples_held_out"] == HELD_OUT
    # A reranker that has what it was calibrated by.
    checkpoint = find_classifier(str(out))
    assert checkpoint.calibration == read_calibration(out, "it")
    assert checkpoint.calibration is not None
    told = result["calibration"]
    assert told["prior"] == pytest.approx(checkpoint.calibration.prior, abs=1e-4)
    assert told["pairs"] == HELD_OUT * 20
    after = told["after"][told["method"]]
    assert after["ece"] == min(each["ece"] for each in told["after"].values())


def test_the_card_tells_the_runs_facts(
    finished: tuple[Path, dict[str, Any]], pair_file: Path, pair_base: Path
) -> None:
    out, result = finished
    card = (out / "README.md").read_text()
    told = result["calibration"]
    before, after = result["before"]["ndcg@10"], result["held_out"]["ndcg@10"]
    for line in (
        f"| ndcg@10 | {before:.4f} | {after:.4f} |",
        f"| {told['method']} | {told['after'][told['method']]['ece']:.4f} | "
        f"{told['after'][told['method']]['brier']:.4f} |",
        f"of which {told['prior']:.1%} are relevant",
        f'CrossEncoder("{out.name}")',
        "![Probability against relevance](reliability.png)",
    ):
        assert line in card
    assert "{" not in card.replace("{{", "")
    (command,) = re.findall(r"^\$ (cloze train .*)$", card, re.MULTILINE)
    expected = [str(pair_file), *options(out, pair_base, precision="fp32")]
    words = shlex.split(command)[3:]
    assert sorted(words) == sorted([*expected, "--seed", "0"])


def test_a_finished_run_says_so_and_changes_nothing(
    finished: tuple[Path, dict[str, Any]], pair_file: Path, pair_base: Path, run: Run
) -> None:
    out, result = finished
    before = contents(out)
    ended = run(pair_file, *options(out, pair_base))
    assert (ended.code, ended.err) == (0, "")
    assert "is finished: nothing was done" in ended.out
    assert "Probabilities: " in ended.out
    again = run(pair_file, *options(out, pair_base), "--json")
    assert json.loads(again.out) == {"model": str(out), "trained": False} | result
    assert contents(out) == before


def test_a_model_can_go_on_from_a_cross_encoder(
    finished: tuple[Path, dict[str, Any]], pair_file: Path, run: Run, tmp_path: Path
) -> None:
    out, result = finished
    ended = run(pair_file, *options(tmp_path / "more", out, steps=1, lr=1e-6), "--json")
    assert (ended.code, ended.err) == (0, "")  # nothing began at random
    before = json.loads(ended.out)["before"]["ndcg@10"]
    assert before == pytest.approx(result["held_out"]["ndcg@10"], abs=1e-3)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"loss": "bce"}, "--loss 'lambda', and now 'bce'"),
        ({"hard_negatives": 2}, "--hard-negatives 3, and now 2"),
        ({"batch": 5}, "--batch 4, and now 5"),
        ({"length": 40}, "--length 32, and now 40"),
        ({"lr": 1e-3}, "--lr 0.003, and now 0.001"),
        ({"seed": 4}, "--seed 0, and now 4"),
        ({"steps": None, "epochs": 2}, "--epochs None, and now 2.0; --steps 10, and now None"),
        ({"precision": "bf16"}, "--precision 'fp32', and now 'bf16'"),
        ({"held_out": 11}, "--held-out 12, and now 11"),
    ],
)
def test_changed_settings_are_refused_by_name(
    finished: tuple[Path, dict[str, Any]], pair_file: Path, pair_base: Path, run: Run,
    changed: dict[str, Any], told: str,
) -> None:  # fmt: skip
    out, _ = finished
    before = contents(out)
    ended = run(pair_file, *options(out, pair_base, **changed))
    assert ended.code == 2
    assert re.fullmatch(f"cloze: {re.escape(str(out))} was begun with {told}: .*\n", ended.err)
    assert contents(out) == before


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"loss": "lamda"}, "--loss is 'lamda'; did you mean lambda\\? choose of bce, listnet"),
        ({"loss": "distil"}, "--loss distil learns a teacher's scores .* 48 of 48 examples lack"),
        ({"length": 65}, "--length is 65 and .* reads 64 tokens; give at most that"),
        ({"batch": 49}, "--batch is 49 and there are 48 examples to train on"),
        ({"batch": 1}, "--batch is 1 and \\d+ of 48 examples have no negatives"),
        ({"held_out": 0}, "no query is held out of 60"),
        ({"held_out": 60}, "60 queries are to be held out of 60"),
        ({"epochs": 1}, "--budget, --steps and --epochs are 2 budgets"),
        ({"steps": None, "budget": "soon"}, "--budget is 'soon'; give a time"),
        ({"lr": 2}, "--lr is 2; give a learning rate above 0"),
        ({"precision": "int8"}, "--precision is 'int8'; training runs in fp32, bf16, or auto"),
        ({"from": "./nowhere"}, "there is no folder ./nowhere"),
        ({"negatives": "./none.jsonl"}, "none.jsonl"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_written(
    pair_file: Path, pair_base: Path, run: Run, tmp_path: Path, changed: dict[str, Any], told: str
) -> None:
    ended = run(pair_file, *options(tmp_path / "out", pair_base, **changed))
    assert (ended.code, ended.out) == (2, "")
    assert re.fullmatch(f"cloze: .*{told}.*\n", ended.err), ended.err
    assert not (tmp_path / "out").exists()


def test_a_tokenizer_that_puts_nothing_between_two_texts_is_refused(
    pair_file: Path, base_folder: Path, run: Run, tmp_path: Path
) -> None:
    ended = run(pair_file, *options(tmp_path / "out", base_folder))
    assert ended.code == 2
    assert "puts no special token between the two texts of a pair" in ended.err
    assert not (tmp_path / "out").exists()


def test_a_model_of_one_segment_is_refused_and_nothing_is_written(
    pair_file: Path, pair_base: Path, run: Run, tmp_path: Path
) -> None:
    shutil.copytree(pair_base, tmp_path / "one")
    edit_json(tmp_path / "one" / "config.json", type_vocab_size=1)
    ended = run(pair_file, *options(tmp_path / "out", tmp_path / "one"))
    assert ended.code == 2
    assert re.fullmatch("cloze: .* has the type_vocab_size 1, and .* choose .*\n", ended.err)
    assert not (tmp_path / "out").exists()


def test_a_model_that_cannot_be_loaded_leaves_no_run_behind(
    pair_file: Path, pair_base: Path, run: Run, tmp_path: Path
) -> None:
    shutil.copytree(pair_base, tmp_path / "wide")
    edit_json(tmp_path / "wide" / "config.json", intermediate_size=48)
    ended = run(pair_file, *options(tmp_path / "out", tmp_path / "wide"), "--json")
    assert (ended.code, ended.out) == (2, "")
    assert re.fullmatch("cloze: .* lacks 6 of its weights, .*\n", ended.err)
    assert not (tmp_path / "out").exists()


def test_a_dry_run_shows_one_batch_and_trains_nothing(
    pair_file: Path, pair_base: Path, run: Run, tmp_path: Path
) -> None:
    ended = run(pair_file, *options(tmp_path / "out", pair_base), "--dry-run", "--json")
    assert ended.code == 0, ended.err
    told = json.loads(ended.out)
    assert (told["train"], told["held_out"]) == (48, HELD_OUT)
    assert len(told["batch"]) == 4
    for each in told["batch"]:
        assert len(each["positives"]) + len(each["negatives"]) == 4
    assert not (tmp_path / "out").exists()
    shown = run(pair_file, *options(tmp_path / "out", pair_base), "--dry-run")
    assert "a batch of 4" in shown.out


def test_without_enough_held_out_there_is_no_probability(
    pair_file: Path, pair_base: Path, run: Run, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    ended = run(pair_file, *options(out, pair_base, held_out=3, steps=1))
    assert ended.code == 0, ended.err
    assert "too few held-out queries to calibrate" in ended.err
    assert "57 to train on, 3 held out" in ended.err
    assert find_classifier(str(out)).calibration is None
    assert not (out / "reliability.png").exists()
    assert "too few held-out queries to calibrate" in (out / "README.md").read_text()
