"""`cloze pretrain` in one line: what it refuses, by which name, and what it leaves as it was."""

import json
import os
import re
import shlex
import shutil
import signal
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from transformers import BertForPreTraining

from indexer.errors import ClozeError
from tests.training.pretrain_commands import TEXT, Ended, Run, contents, options
from training.commands import extras
from training.commands import pretrain as pretrain_command
from training.loop.interruption import StoppedError
from training.loop.meter import Glance
from training.loop.parts import Part
from training.loop.schedule import Budget
from training.plan import Plan
from training.pretrain import pretrain
from training.run_folder import locked_run
from training.shards.writing import write_shards

Finished = tuple[Path, Ended]


def test_a_finished_run_says_so_and_changes_nothing(
    finished: Finished, corpus_file: Path, sentence_folder: Path, run: Run
) -> None:
    out, done = finished
    before = contents(out)
    ended = run("pretrain", corpus_file, *options(out, sentence_folder))
    assert (ended.code, ended.err) == (0, "")
    assert "is finished: nothing was done" in ended.out
    assert contents(out) == before
    again = json.loads(run("pretrain", corpus_file, *options(out, sentence_folder), "--json").out)
    assert again == json.loads(done.out) | {"trained": False}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"objective": "mlm"}, "--objective 'mlm.nsp', and now 'mlm'"),
        ({"length": "16"}, "--length '16,64', and now '16'"),
        ({"steps": 30}, "--steps 20, and now 30"),
        ({"steps": None, "tokens": 900}, "--steps 20, and now None; --tokens None, and now 900"),
        (
            {"steps": None, "budget": "3m"},
            "--budget None, and now '180s'; --steps 20, and now None",
        ),
        ({"batch_tokens": 128}, "--batch-tokens 256, and now 128"),
        ({"lr": 2e-3}, "--lr 0.001, and now 0.002"),
        ({"precision": "bf16"}, "--precision 'fp32', and now 'bf16'"),
        ({"seed": 9}, "--seed 0, and now 9"),
        ({"masking": "span"}, "--masking 'token', and now 'span'"),
        ({"mask_rate": 0.3}, "--mask-rate 0.15, and now 0.3"),
        ({"mask_shares": "1,0"}, "--mask-shares '0.8,0.1', and now '1,0'"),
        ({"duplicates": 10}, "--duplicates None, and now 10"),
        ({"arch": "bert-tiny"}, r"--arch '\w{16}', and now 'bert-tiny'"),
    ],
)
def test_changed_settings_are_refused_by_name(
    finished: Finished, corpus_file: Path, sentence_folder: Path, run: Run,
    changed: dict[str, Any], told: str,
) -> None:  # fmt: skip
    out, _ = finished
    before = contents(out)
    if changed.get("arch") == "bert-tiny":
        changed = changed | {"tokenizer": sentence_folder}
    ended = run("pretrain", corpus_file, *options(out, sentence_folder, **changed))
    assert ended.code == 2
    assert re.fullmatch(f"cloze: {re.escape(str(out))} was begun with {told}: .*\n", ended.err)
    assert contents(out) == before


def test_another_text_is_refused(
    finished: Finished, sentence_folder: Path, run: Run, tmp_path: Path
) -> None:
    out, _ = finished
    before = contents(out)
    for number in range(3):
        (tmp_path / f"{number}.txt").write_text(TEXT * (number + 30))
    ended = run("pretrain", tmp_path, *options(out, sentence_folder))
    assert ended.code == 2
    assert re.search(r"was begun with text '\w+', and now '\w+':", ended.err)
    assert contents(out) == before


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"objective": "mlm+rtd"}, "--objective is 'mlm.rtd'; choose mlm, or mlm and one of nsp"),
        ({"objective": "nsp"}, "--objective is 'nsp'"),
        ({"objective": "mlm+nsp+sop"}, "--objective is 'mlm.nsp.sop'"),
        ({"masking": "words"}, "--masking is 'words'; choose token, word, span"),
        ({"mask_rate": 0}, "a mask rate of 0 is no share"),
        ({"mask_rate": "nan"}, "a mask rate of nan is no share"),
        ({"mask_shares": "0.8"}, "--mask-shares is '0.8'; give two shares"),
        ({"mask_shares": "0.8,0.3"}, "add up to at most 1"),
        ({"length": "65"}, "--length is 65 and .* has 64 positions"),
        ({"length": "16,512", "batch_tokens": 512}, "--length is 512 and .* has 64 positions"),
        ({"length": "64,16"}, "--length is '64,16'; give one length, or a shorter and a longer"),
        ({"length": "16,16"}, "--length is '16,16'; give one length, or a shorter and a longer"),
        ({"length": "short"}, "--length is 'short'; give numbers of tokens"),
        ({"length": "6"}, "--length 6 leaves 3 tokens beside 3 special ones; give 7"),
        ({"steps": None, "budget": "fortnight"}, "--budget is 'fortnight'; give a time such as"),
        ({"steps": None, "budget": "0m"}, "--budget is '0m'; give a time such as"),
        ({"steps": None, "budget": "-3m"}, "--budget is '-3m'; give a time such as"),
        ({"budget": "3m"}, "--budget, --steps and --tokens are 2 budgets and a run has one"),
        ({"tokens": 9, "budget": "3m"}, "are 3 budgets and a run has one"),
        ({"lr": 0}, "--lr is 0; give a learning rate above 0"),
        ({"lr": "nan"}, "--lr is nan; give a learning rate above 0"),
        ({"precision": "int8"}, "--precision is 'int8'; training runs in fp32, bf16, or auto"),
        ({"device": "tpu"}, "--device is 'tpu'"),
        ({"device": "cuda"}, "--device is cuda, and torch finds no GPU here; choose cpu or auto"),
        ({"arch": "bert-smal"}, "--arch is 'bert-smal', and the nearest known size is bert-small;"),
        ({"arch": "bert-tiny"}, "--arch bert-tiny begins from nothing and needs a --tokenizer"),
        ({"arch": "./nowhere"}, "there is no folder ./nowhere"),
        ({"tokenizer": "/nowhere"}, "/nowhere"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_and_nothing_is_written(
    corpus_file: Path, base_folder: Path, run: Run, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], told: str,
) -> None:  # fmt: skip
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    ended = run("pretrain", corpus_file, *options(tmp_path / "out", base_folder, **changed))
    assert (ended.code, ended.out) == (2, "")
    assert re.fullmatch(f"cloze: .*{told}.*\n", ended.err), ended.err
    assert not (tmp_path / "out").exists()


def test_a_tokenizer_that_does_not_fit_is_refused(
    corpus_file: Path, base_folder: Path, run: Run, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    content = json.loads((base_folder / "tokenizer.json").read_text())
    vocabulary = content["model"]["vocab"]
    vocabulary["zebra"] = len(vocabulary)
    (other / "tokenizer.json").write_text(json.dumps(content))
    wrong = {"tokenizer": other}
    ended = run("pretrain", corpus_file, *options(tmp_path / "out", base_folder, **wrong))
    assert ended.code == 2
    assert re.fullmatch("cloze: --tokenizer .*other is not the one that .*\n", ended.err)
    # The checkpoint's own tokenizer has grown since it was trained.
    grown = tmp_path / "grown"
    shutil.copytree(base_folder, grown)
    shutil.copyfile(other / "tokenizer.json", grown / "tokenizer.json")
    ended = run("pretrain", corpus_file, *options(tmp_path / "out", grown))
    assert ended.code == 2
    assert re.fullmatch(r"cloze: the tokenizer has 390 pieces and .* embeds 389; .*\n", ended.err)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        ([""], "no text"),
        ([" \n"], "no text"),
        ([TEXT], "one document"),
        ([TEXT, TEXT], "one document"),
        ([TEXT, TEXT * 2], "needs 2 documents to train on, and the text has 1"),
        (["\0\1\2"], "NUL byte"),
    ],
)
def test_text_that_holds_too_little_is_one_line(
    base_folder: Path, run: Run, tmp_path: Path, texts: list[str], told: str
) -> None:
    (tmp_path / "texts").mkdir()
    for number, text in enumerate(texts):
        (tmp_path / "texts" / f"{number}.txt").write_text(text)
    ended = run("pretrain", tmp_path / "texts", *options(tmp_path / "out", base_folder))
    assert ended.code == 2
    assert re.fullmatch(f"cloze: .*{told}.*\n", ended.err), ended.err
    assert not (tmp_path / "out").exists()


def test_a_folder_with_other_things_is_left_alone(
    corpus_file: Path, base_folder: Path, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "thesis.txt").write_text("all of it")
    ended = run("pretrain", corpus_file, *options(tmp_path, base_folder))
    assert ended.code == 2
    assert re.fullmatch("cloze: .* holds something and no run of training; .*\n", ended.err)
    assert contents(tmp_path) == {"thesis.txt": b"all of it"}


def test_text_smaller_than_a_batch_is_refused(base_folder: Path, run: Run, tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    for number in range(3):
        (tmp_path / "texts" / f"{number}.txt").write_text(TEXT * (number + 1))
    ended = run(
        "pretrain", tmp_path / "texts",
        *options(tmp_path / "out", base_folder, steps=2, batch_tokens=2048),
    )  # fmt: skip
    assert (ended.code, ended.out) == (2, "")
    assert re.fullmatch(r"cloze: .* is \d\d tokens and --batch-tokens 2048: .*\n", ended.err)
    assert not (tmp_path / "out").exists()


def test_a_size_begins_from_nothing_with_a_tokenizer(
    corpus_file: Path, base_folder: Path, run: Run, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    new = {"arch": "bert-tiny", "tokenizer": base_folder, "steps": 1, "objective": "mlm"}
    ended = run("pretrain", corpus_file, *options(out, base_folder, **new))
    assert (ended.code, ended.err) == (0, "documents without a token, left out: 1\n")
    assert f"{out}: 1 steps" in ended.out
    model = BertForPreTraining.from_pretrained(out)
    assert (model.config.hidden_size, model.config.vocab_size) == (128, 389)


def test_a_missing_extra_is_named_before_any_work(
    corpus_file: Path, base_folder: Path, run: Run, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setitem(extras._MODULES, "no_such_module", "absent")
    ended = run("pretrain", corpus_file, *options(tmp_path / "out", base_folder))
    assert ended.code == 2
    assert ended.err == "cloze: training needs absent; run: pip install 'cloze-search[training]'\n"


def test_a_folder_is_looked_at_before_the_text(
    finished: Finished, sentence_folder: Path, run: Run, tmp_path: Path
) -> None:
    out, _ = finished
    nowhere = tmp_path / "nowhere.jsonl"
    ended = run("pretrain", nowhere, *options(out, sentence_folder, seed=9))
    assert (ended.code, ended.out) == (2, "")
    assert re.fullmatch("cloze: .* was begun with --seed 0, and now 9: .*\n", ended.err)
    (tmp_path / "thesis.txt").write_text("all of it")
    ended = run("pretrain", nowhere, *options(tmp_path, sentence_folder))
    assert re.fullmatch("cloze: .* holds something and no run of training; .*\n", ended.err)


def test_one_process_trains_in_a_folder(
    corpus_file: Path, base_folder: Path, run: Run, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with locked_run(out):
        ended = run("pretrain", corpus_file, *options(out, base_folder, steps=1))
    assert (ended.code, ended.out) == (2, "")
    told = f"cloze: {re.escape(str(out))} is being written by process {os.getpid()} .*\n"
    assert re.fullmatch(told, ended.err)
    assert set(contents(out)) == {"lock"}
    assert run("pretrain", corpus_file, *options(out, base_folder, steps=1)).code == 0
    assert "lock" not in contents(out)


def test_what_a_kill_at_the_very_end_left_is_cleared_away(
    finished: Finished, corpus_file: Path, sentence_folder: Path, run: Run, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished[0], out)
    (out / "checkpoints" / "step-000000020").mkdir(parents=True)
    before = contents(out)
    assert run("pretrain", corpus_file, *options(out, sentence_folder)).code == 0
    assert not (out / "checkpoints").exists()
    assert contents(out) == before


@pytest.mark.own_process
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_is_one_line_and_no_end(
    corpus_file: Path, base_folder: Path, run: Run, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals,
) -> None:  # fmt: skip
    out = tmp_path / "out"
    command = ["pretrain", corpus_file, *options(out, base_folder, steps=6, objective="mlm")]

    def stop(glance: Glance) -> None:
        if glance.step == 3:
            signal.raise_signal(number)

    with monkeypatch.context() as patch:
        patch.setattr(pretrain_command, "training_bar", lambda *, quiet: nullcontext(stop))
        ended = run(*command, "--json")
    assert (ended.code, ended.out) == (128 + number, "")
    told = "cloze: stopped; what was acknowledged is kept, the same command continues\n"
    assert ended.err.endswith(told)
    assert [path.name for path in (out / "checkpoints").iterdir()] == ["step-000000004"]
    assert not (out / "model.safetensors").exists()
    done = run(*command, "--json")
    assert done.code == 0
    assert json.loads(done.out)["steps"] == 6


def test_the_card_names_texts_base_and_command(
    finished: Finished, corpus_file: Path, sentence_folder: Path
) -> None:
    out, done = finished
    told = json.loads(done.out)
    card = (out / "README.md").read_text()
    assert f'\nbase_model: "{sentence_folder}"\n---\n' in card
    assert f"pretrained with cloze, on from {sentence_folder}: " in card
    assert f"tokens) of {corpus_file} and saw" in card
    assert f"{told['documents_held_out']} more documents were held out" in card
    for option in ("--arch", "--tokenizer"):
        assert re.search(rf"\| {option} \| {re.escape(str(sentence_folder))} \(\w{{16}}\) \|", card)
    (command,) = re.findall(r"^\$ (cloze pretrain .*)$", card, re.MULTILINE)
    words = shlex.split(command)
    assert words[2] == str(corpus_file)
    asked = options(out, sentence_folder)
    for place in range(0, len(asked), 2):
        assert words[words.index(asked[place]) + 1] == asked[place + 1]


def test_documents_trained_on_are_those_not_held_out(
    finished: Finished, corpus_file: Path, sentence_folder: Path, tmp_path: Path
) -> None:
    told = json.loads(finished[1].out)
    shards = write_shards([str(corpus_file)], sentence_folder, home=tmp_path)
    trained, held_out = (
        [shards.runs(10**6, held_out=side)[number] for number in range(count)]
        for side, count in ((False, told["documents"]), (True, told["documents_held_out"]))
    )
    assert told["documents"] + told["documents_held_out"] == shards.documents
    assert told["text_tokens"] == sum(len(each.ids) for each in trained)
    assert told["text_tokens"] + sum(len(each.ids) for each in held_out) == shards.tokens


@pytest.mark.own_process
def test_what_is_amiss_is_told_before_training(
    corpus_file: Path, base_folder: Path, sentence_folder: Path, tmp_path: Path
) -> None:
    told: list[str] = []

    def stop(glance: Glance) -> None:
        assert told[-1] == "documents without a token, left out: 1"
        if glance.step == 1:
            signal.raise_signal(signal.SIGTERM)

    plan = Plan(
        texts=(str(corpus_file),), tokenizer=None, arch=str(sentence_folder), objective="mlm",
        budget=Budget(unit="steps", amount=9), widths=(16,), batch_tokens=64, precision="fp32",
    )  # fmt: skip
    for _ in range(2):
        with pytest.raises(StoppedError):
            pretrain(
                plan, tmp_path / "out", Part(), tell=told.append,
                reading=nullcontext(lambda *done: None), training=nullcontext(stop),
            )  # fmt: skip
        (checkpoint,) = (tmp_path / "out" / "checkpoints").iterdir()
        os.truncate(checkpoint / "model.safetensors", 10)
    begun = [line for line in told if "it began at random" in line]
    assert len(begun) == len(set(begun)) * 2 > 0
    (damaged,) = [line for line in told if "is damaged" in line]
    assert "beginning anew" in damaged


def test_processes_without_rows_are_refused(
    corpus_file: Path, base_folder: Path, tmp_path: Path
) -> None:
    plan = Plan(
        texts=(str(corpus_file),), tokenizer=None, arch=str(base_folder), objective="mlm",
        budget=Budget(unit="steps", amount=1), widths=(16, 64), batch_tokens=128,
    )  # fmt: skip
    with pytest.raises(
        ClozeError,
        match="128 holds 2 rows of 64 tokens, and 3 processes share them; give at least 192",
    ):
        pretrain(
            plan, tmp_path / "out", Part(world=3), tell=lambda line: None,
            reading=nullcontext(lambda *done: None), training=nullcontext(lambda glance: None),
        )  # fmt: skip
