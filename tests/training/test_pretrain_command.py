"""`cloze pretrain` as a user runs it: what it writes, refuses, survives, and who loads it."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from sentence_transformers import CrossEncoder, SentenceTransformer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import AutoModel, AutoTokenizer, BertForPreTraining

import cloze
from indexer.encoder import Encoder
from indexer.models import find_model
from tests.training.small import small_bert

ROOT = Path(__file__).resolve().parents[2]
TEXT = "The old machine was found by the river. "


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]


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


@pytest.fixture(scope="module")
def finished(
    corpus_file: Path,
    sentence_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, "subprocess.CompletedProcess[str]"]:
    """A run to its end, by the script in a process of its own."""
    out = tmp_path_factory.mktemp("runs") / "finished"
    command = [sys.executable, ROOT / "cloze.py", "pretrain", corpus_file]
    done = subprocess.run(
        [*map(str, command), *options(out, sentence_folder), "--json"],
        env=os.environ | {"CLOZE_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return out, done


@pytest.fixture(scope="module")
def sentence_folder(base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small BERT as sentence-transformers keeps it: mean pooling, unit length."""
    folder = tmp_path_factory.mktemp("sentences") / "encoder"
    shutil.copytree(base_folder, folder)
    # An encoder without heads is what is published.
    small_bert(
        BertForPreTraining.from_pretrained(base_folder).config.vocab_size
    ).bert.save_pretrained(folder)
    kinds = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}
    modules = [
        {"idx": number, "name": str(number), "path": path,
         "type": f"sentence_transformers.models.{kind}"}
        for number, (kind, path) in enumerate(kinds.items())
    ]  # fmt: skip
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    (folder / "2_Normalize").mkdir()
    limits = {"max_seq_length": 48, "do_lower_case": False}
    (folder / "sentence_bert_config.json").write_text(json.dumps(limits))
    return folder


Finished = tuple[Path, "subprocess.CompletedProcess[str]"]


def test_a_run_ends_with_a_model_and_its_figures(finished: Finished) -> None:
    out, done = finished
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["model"] == str(out)
    assert told["trained"] is True
    assert told["steps"] == 20
    assert told["tokens"] > 20 * 200
    assert set(told["held_out"]) == {
        "loss", "mlm_loss", "mlm_accuracy", "pair_loss", "pair_accuracy",
    }  # fmt: skip
    assert told["parameters"] == BertForPreTraining.from_pretrained(out).num_parameters()
    assert re.search("has no cls.seq_relationship; it began at random", done.stderr)
    assert "Traceback" not in done.stderr
    kinds = {Path(name).suffix for name in contents(out) if not name.startswith("tensorboard")}
    assert kinds == {".json", ".jsonl", ".safetensors", ".png", ".md"}, "no pickle"
    assert not (out / "checkpoints").exists()
    with Image.open(out / "loss.png") as picture:
        picture.verify()
        assert picture.format == "PNG"
    events = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [event["step"] for event in events if event["kind"] == "train"] == [10, 20]
    board = EventAccumulator(str(out / "tensorboard"))
    board.Reload()
    assert [event.step for event in board.Scalars("held_out/loss")] == list(range(1, 21))


def test_the_card_tells_the_facts(finished: Finished, sentence_folder: Path) -> None:
    out, done = finished
    told = json.loads(done.stdout)
    card = (out / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: transformers\n")
    facts = (
        "# finished\n", "2 layers of 32", f"{told['parameters']:,} parameters", "up to 64 tokens",
        f"{told['documents']:,} documents ({told['text_tokens']:,} tokens)",
        f"saw {told['tokens']:,} tokens in 20 steps", "| --objective | mlm+nsp |",
        "| --length | 16,64 |", f"| mlm_loss | {told['held_out']['mlm_loss']:.4g} |",
        "![The loss while training](loss.png)",
    )  # fmt: skip
    for fact in facts:
        assert fact in card


def test_others_load_what_was_saved(finished: Finished) -> None:
    out, _ = finished
    saved = load_file(out / "model.safetensors")
    assert {weight.dtype for weight in saved.values()} == {torch.float32}
    model, info = BertForPreTraining.from_pretrained(out, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    tokenizer = AutoTokenizer.from_pretrained(out)
    encoded = tokenizer(TEXT, return_tensors="pt")
    assert "[UNK]" not in tokenizer.convert_ids_to_tokens(encoded["input_ids"][0])
    encoder = AutoModel.from_pretrained(out)
    with torch.no_grad():
        expected = model.eval().bert(**encoded).last_hidden_state[0]
        found = encoder.eval()(**encoded).last_hidden_state[0]
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)
    mean = expected.mean(0) / expected.mean(0).norm()

    sentences = SentenceTransformer(str(out), device="cpu")
    assert [type(module).__name__ for module in sentences] == [
        "Transformer",
        "Pooling",
        "Normalize",
    ]
    assert sentences.max_seq_length == 48
    torch.testing.assert_close(
        sentences.encode(TEXT, convert_to_tensor=True), mean, atol=1e-5, rtol=1e-4
    )

    ours = Encoder(find_model(str(out)), precision="fp32")
    np.testing.assert_allclose(ours.encode_queries([TEXT])[0], mean.numpy(), atol=1e-5)

    scores = CrossEncoder(str(out), num_labels=1, device="cpu").predict([(TEXT, "a river")])
    assert np.isfinite(scores).all()


def test_the_run_has_moved_the_weights(finished: Finished, sentence_folder: Path) -> None:
    out, _ = finished
    saved, before = (
        load_file(out / "model.safetensors"),
        load_file(sentence_folder / "model.safetensors"),
    )
    assert len(before) > 30
    for name, weight in before.items():
        assert not torch.equal(saved[f"bert.{name}"], weight), name


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
    assert again == json.loads(done.stdout) | {"trained": False}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"objective": "mlm"}, "--objective 'mlm+nsp', and now 'mlm'"),
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
        ({"objective": "mlm+rtd"}, "--objective is 'mlm+rtd'; choose mlm, or mlm and one of nsp, sop"),
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
    sentences = SentenceTransformer(str(out), device="cpu")
    assert sentences.encode(TEXT).shape == (128,)


def test_a_missing_extra_is_named_before_any_work(
    corpus_file: Path, base_folder: Path, run: Run, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setitem(
        __import__("training.commands.extras").commands.extras._MODULES, "no_such_module", "absent"
    )
    ended = run("pretrain", corpus_file, *options(tmp_path / "out", base_folder))
    assert ended.code == 2
    assert ended.err == "cloze: training needs absent; run: pip install 'cloze-search[training]'\n"


class Server:
    """Commands that start fast and can be killed."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("pretrain_server.py"))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env=os.environ | {"CLOZE_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        self.waited = 0.0

    def __call__(
        self, arguments: list[str], log: Path, *, after: float | None = None,
        number: signal.Signals = signal.SIGKILL,
    ) -> int:  # fmt: skip
        """Run a command, send a signal after some seconds, and return how it ended."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"argv": arguments, "out": str(log)}) + "\n")
        self._process.stdin.flush()
        child = int(self._process.stdout.readline())
        begun = time.monotonic()
        if after is not None:
            time.sleep(after)
            os.kill(child, number)  # ended or not, it is a zombie at most until it is waited for
        code = int(self._process.stdout.readline())
        self.waited = time.monotonic() - begun
        return code

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    started = Server()
    yield started
    started.close()


def test_killed_at_any_instant_the_same_command_ends_with_the_same_weights(
    server: Server, corpus_file: Path, base_folder: Path, tmp_path: Path
) -> None:
    # A log of each run alone; a text of its own, so that its shards are written here too.
    text = tmp_path / "text.jsonl"
    text.write_text(corpus_file.read_text() + json.dumps({"_id": "own", "text": TEXT}) + "\n")
    whole, log = tmp_path / "whole", tmp_path / "log"
    command = ["pretrain", str(text), *options(whole, base_folder)]
    assert server(command, log) == 0, log.read_text()
    seconds = server.waited
    expected = contents(whole)

    choose = random.Random(4)
    killed = 0
    for number in range(2):
        out = tmp_path / str(number)
        command = ["pretrain", str(text), *options(out, base_folder)]
        for _ in range(4):
            killed += server(command, log, after=choose.uniform(0.02, seconds)) == -signal.SIGKILL
        log.write_text("")
        assert server(command, log) == 0, log.read_text()
        assert (out / "model.safetensors").read_bytes() == expected["model.safetensors"]
        figures, wanted = (
            json.loads((folder / "run.json").read_text())["result"] for folder in (out, whole)
        )
        for name in ("steps", "tokens", "held_out"):
            assert figures[name] == wanted[name]
        events = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
        steps = [event["step"] for event in events if event["kind"] == "train"]
        assert steps == list(range(1, 21))
        assert not (out / "checkpoints").exists()
    assert killed >= 3


def test_ctrl_c_keeps_what_was_done(
    server: Server, corpus_file: Path, base_folder: Path, tmp_path: Path
) -> None:
    out, log = tmp_path / "out", tmp_path / "log"
    command = ["pretrain", str(corpus_file), *options(out, base_folder, steps=100_000)]
    while not (out / "checkpoints").is_dir():
        assert server(command, log, after=2.0, number=signal.SIGINT) == 130, log.read_text()
    assert log.read_text().endswith(
        "stopped; what was acknowledged is kept, the same command continues\n"
    )
    (newest,) = sorted((out / "checkpoints").iterdir())[-1:]
    step = int(newest.name.removeprefix("step-"))
    assert server(command, log, after=2.0, number=signal.SIGINT) == 130
    (later,) = sorted((out / "checkpoints").iterdir())[-1:]
    assert int(later.name.removeprefix("step-")) >= step > 0
