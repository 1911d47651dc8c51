"""`cloze pretrain` in one line: what it refuses, by which name, and what it leaves as it was."""

import json
import re
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import BertForPreTraining

import cloze
from tests.training.pretrain_commands import TEXT, Ended, contents, options
from training.commands import extras

Run = Callable[..., Ended]
Finished = tuple[Path, Ended]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command line in this process."""
    # The command sets more variables of this kind than it reads.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(variable, "1")
    monkeypatch.setenv("RAYON_NUM_THREADS", "1")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    monkeypatch.setenv("CLOZE_THREADS", "1")

    def command(*arguments: object) -> Ended:
        capsys.readouterr()
        before = signal.getsignal(signal.SIGINT)
        monkeypatch.setattr(sys, "argv", ["cloze", *map(str, arguments)])
        code = 0
        try:
            cloze.main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        finally:
            signal.signal(signal.SIGINT, before)
        return Ended(code, *capsys.readouterr())

    return command


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
        (tmp_path / f"{number}.txt").write_text(TEXT * (number + 9))
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
        ({"length": "16,512"}, "--length is 512 and .* has 64 positions"),
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
        ({"arch": "bert-tiny"}, "--arch bert-tiny begins from nothing and needs a --tokenizer"),
        ({"arch": "./nowhere"}, "there is no folder ./nowhere"),
        ({"tokenizer": "/nowhere"}, "/nowhere"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_and_nothing_is_written(
    corpus_file: Path, base_folder: Path, run: Run, tmp_path: Path,
    changed: dict[str, Any], told: str,
) -> None:  # fmt: skip
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


def test_text_smaller_than_a_batch_is_trained_on_again_and_again(
    base_folder: Path, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "texts").mkdir()
    for number in range(3):
        (tmp_path / "texts" / f"{number}.txt").write_text(TEXT * (number + 1))
    ended = run(
        "pretrain", tmp_path / "texts",
        *options(tmp_path / "out", base_folder, steps=2, batch_tokens=2048), "--json",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    told = json.loads(ended.out)
    assert told["tokens"] > 2 * 1500 > 10 * told["text_tokens"]


def test_a_size_begins_from_nothing_with_a_tokenizer(
    corpus_file: Path, base_folder: Path, run: Run, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    new = {"arch": "bert-tiny", "tokenizer": base_folder, "steps": 1, "objective": "mlm"}
    ended = run("pretrain", corpus_file, *options(out, base_folder, **new))
    assert (ended.code, ended.err) == (0, "")
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
