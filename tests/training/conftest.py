"""A small BERT with both heads, its tokenizer, token shards, and a run of the command."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from transformers import BertModel

import cloze
from tests.training.pretrain_commands import Ended, Server, options
from tests.training.small import small_bert
from training.masking import Vocabulary
from training.shards import Shards
from training.shards.writing import write_shards

_OWN = "CLOZE_OWN_PROCESS"


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Two threads on a busy machine wait for each other longer than these models take."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def base_folder(
    make_model: Callable[[int], Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A BERT of 2 layers of 32 and 64 positions with the heads of pretraining, as a checkpoint."""
    folder = tmp_path_factory.mktemp("base")
    tokenizer = make_model(70)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tokenizer / name, folder / name)
    small_bert(Vocabulary.of(folder).size).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def base_vocabulary(base_folder: Path) -> Vocabulary:
    return Vocabulary.of(base_folder)


@pytest.fixture(scope="session")
def text_shards(
    corpus_file: Path, base_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Shards:
    """The documents that every floor's tests share in shards of 1,500 tokens, a tenth held out."""
    home = tmp_path_factory.mktemp("text-shards")
    return write_shards([str(corpus_file)], base_folder, home=home, held_out=0.1, shard_tokens=1500)


@pytest.fixture(scope="session")
def sentence_folder(base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small BERT as sentence-transformers keeps it: mean pooling, unit length."""
    folder = tmp_path_factory.mktemp("sentences") / "encoder"
    shutil.copytree(base_folder, folder)
    # An encoder without heads is what is published.
    BertModel.from_pretrained(base_folder).save_pretrained(folder)
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


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Starts `cloze` commands fast."""
    started = Server()
    yield started
    started.close()


@pytest.fixture(scope="session")
def finished(
    server: Server,
    corpus_file: Path,
    sentence_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Ended]:
    """A finished run of twenty steps: its folder, and how the command ended."""
    folder = tmp_path_factory.mktemp("runs")
    out = folder / "finished"
    return out, server(folder, "pretrain", corpus_file, *options(out, sentence_folder), "--json")


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Ended]:
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


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that signals its own process in one of its own, which nothing else has used.

    After tests that ran OpenVINO in a process, a signal ended it in SIGSEGV, at its delivery.
    """
    if not pyfuncitem.get_closest_marker("own_process") or _OWN in os.environ:
        return None
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", pyfuncitem.nodeid],
        env=environment | {_OWN: "1"}, cwd=pyfuncitem.config.rootpath, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return True
