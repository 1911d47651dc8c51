"""The bench of training: its arithmetic as torch counts it, its clock, peers on our data."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from indexer.errors import ClozeError
from training.bench import clock as clock_module
from training.bench.arithmetic import Work, operations
from training.bench.clock import Clock
from training.bench.examples import Source, beginnings, count_tokens, first_sequences
from training.bench.kinds import kind_of
from training.bench.model import ModelSize, make_model, read_model_size
from training.bench.ours import Watched, make_task
from training.bench.peer import Peer
from training.bench.pretraining import BF16, FP32, OURS, Bench, bench_pretrain
from training.loop.parts import Part
from training.masking import Vocabulary
from training.sequences import Corruption
from training.shards.writing import write_shards
from training.text import Reading
from training.tokenizer_folder import make_tokenizer

SIZE = ModelSize(layers=1, hidden=64, heads=1)
WIDTH = 32


@pytest.fixture(scope="module")
def tokenizer(corpus_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench") / "tokenizer"
    make_tokenizer(
        [str(corpus_file)], 300, folder, cased=False, reading=Reading(),
        progress=lambda done, share: None,
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def source(corpus_file: Path, tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Source:
    home = tmp_path_factory.mktemp("bench-shards")
    return Source(
        shards=write_shards([str(corpus_file)], tokenizer, home=home),
        vocabulary=Vocabulary.of(tokenizer),
        corruption=Corruption(pairing="nsp"), width=WIDTH, seed=3,
    )  # fmt: skip


def new_model(source: Source, dropout: float = 0.0) -> Any:  # noqa: ANN401
    return make_model(SIZE, source.vocabulary.size, source.vocabulary.pad, 0, dropout=dropout)


def test_operations_are_those_that_torch_counts(source: Source) -> None:
    task = Watched(make_task(new_model(source), source, 8 * WIDTH, "fp32"), SIZE)
    step = next(task.steps(0, 0, Part()))
    with FlopCounterMode(display=False) as counter:
        task.backward(step, step.counts)
    assert task.operations == counter.get_total_flops()
    assert (task.places, task.tokens) == (8 * WIDTH, step.tokens)
    assert task.inside > 0


def test_operations_by_hand() -> None:
    work = Work(rows=2, width=4, masked=3, pairs=1)
    size = ModelSize(layers=1, hidden=2, heads=1)
    # 4 * 2^2 + 2 * 2 * 8 weights at 8 places; attention of 4 by 4 in 2 rows; 2^2 + 2 * 10 weights
    # of the head at 3; 2^2 + 2 * 2 of the pooler at 1.
    expected = 6 * 48 * 8 + 3 * 2 * (2 * 2 * 4 * 4 * 2) + 6 * 24 * 3 + 6 * 8
    assert operations(size, 10, work) == expected


def test_a_clock_leaves_the_first_steps_out(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([1.0, 5.0, 6.0, 9.0])
    monkeypatch.setattr(clock_module, "perf_counter", lambda: next(times))
    clock = Clock()
    clock.tick(100)
    clock.tick(200)
    assert not clock.has_timed(0.0)
    clock.tick(260)
    assert clock.has_timed(1.0) and not clock.has_timed(1.1)
    clock.tick(400)
    assert clock.has_timed(4.0) and not clock.has_timed(4.1)
    assert clock.rate() == (400 - 200) / (9.0 - 5.0)


def test_sizes() -> None:
    assert read_model_size("bert-mini") == ModelSize(layers=4, hidden=256, heads=4)
    assert read_model_size("6x384") == ModelSize(layers=6, hidden=384, heads=6)
    with pytest.raises(ClozeError, match="'bert-mimi'; did you mean bert-mini"):
        read_model_size("bert-mimi")
    with pytest.raises(ClozeError, match="width of 100; give a multiple of 64"):
        read_model_size("2x100")


def test_dropout_does_not_change_the_weights(source: Source) -> None:
    with_it, without = (new_model(source, dropout).state_dict() for dropout in (0.1, 0.0))
    assert all(torch.equal(with_it[name], without[name]) for name in without)


def test_kinds_of_operations() -> None:
    assert kind_of("aten::addmm", [[256], [32, 64], [64, 256]], 300) == "products in the layers"
    assert kind_of("aten::mm", [[9, 300], [300, 64]], 300) == "products with the vocabulary"
    assert kind_of("aten::bmm", [[2, 300, 64], [2, 64, 300]], 300) == "products in attention"
    assert kind_of("aten::copy_", [[300, 64]], 300) == "casts and copies"
    assert kind_of("AddmmBackward0", [], 300) == "other"


def test_examples_are_our_sequences_without_masks(source: Source) -> None:
    examples = first_sequences(source, 500)
    assert 500 <= count_tokens(examples) < 500 + WIDTH
    vocabulary, runs = source.vocabulary, source.runs()
    texts = {tuple(run.ids.tolist()) for run in runs}
    whole = 0
    for example in examples:
        ids = np.array(example["input_ids"])
        assert ids[0] == vocabulary.cls and ids[-1] == vocabulary.sep
        assert vocabulary.mask not in ids
        assert example["special_tokens_mask"] == vocabulary.special[ids].astype(int).tolist()
        border = example["token_type_ids"].index(1)
        a, b = ids[1 : border - 1], ids[border:-1]
        whole += example["next_sentence_label"] == 0 and tuple([*a, *b]) in texts
    assert whole >= sum(example["next_sentence_label"] == 0 for example in examples) - 1 > 0


def test_documents_are_truncated_to_the_width(source: Source) -> None:
    runs = source.runs()
    documents = {run.document for run in runs}
    examples = beginnings(source, 10**6)
    assert len(examples) == len(documents)
    longest = max(len(example["input_ids"]) for example in examples)
    assert longest == WIDTH and len(runs) > len(documents)
    assert beginnings(source, 5) == examples[:5]


def test_peers_train_in_their_format_on_what_they_are_given(
    source: Source, tokenizer: Path
) -> None:
    examples = first_sequences(source, 400)[:12]
    peers = {
        bf16: Peer(new_model(source), examples, tokenizer, bf16=bf16) for bf16 in (False, True)
    }
    seen: dict[bool, set[torch.dtype]] = {False: set(), True: set()}
    for bf16, peer in peers.items():
        peer.model.get_submodule("bert.encoder.layer.0.attention.self.query").register_forward_hook(
            lambda module, inputs, output, bf16=bf16: seen[bf16].add(output.dtype)
        )
    for bf16 in (False, True, False, True):
        before = peers[bf16].model.bert.embeddings.word_embeddings.weight.clone()
        ticked = peers[bf16].turn(0.0)
        assert ticked.rate() > 0
        assert not torch.equal(before, peers[bf16].model.bert.embeddings.word_embeddings.weight)
        # Batches of 8 and 4, then of 8 again: three steps end a turn of no time.
        assert peers[bf16].tokens >= count_tokens(examples)
        assert peers[bf16].places > peers[bf16].tokens
    assert seen == {False: {torch.float32}, True: {torch.bfloat16}}


def test_a_peer_learns_once_from_everything_at_the_rate_of_its_tokens(
    source: Source, tokenizer: Path
) -> None:
    examples = first_sequences(source, 400)
    model = new_model(source)
    peer = Peer(model, examples, tokenizer)
    asked: list[int] = []

    def rate(tokens: int) -> float:
        asked.append(tokens)
        return 0.0

    optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    peer.learn(4, optimiser, rate)
    assert peer.tokens == count_tokens(examples) == asked[-1]
    assert asked == sorted(asked) and len(asked) == 1 + -(-len(examples) // 4)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    peer.learn(4, optimiser, lambda tokens: 0.1)
    assert not all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_a_peer_learns_words_alone_in_the_model_it_was_given(
    source: Source, tokenizer: Path
) -> None:
    examples = first_sequences(replace(source, corruption=Corruption()), 200)
    assert all("next_sentence_label" not in each for each in examples)
    model = new_model(source)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
    Peer(model, examples, tokenizer).learn(4, optimiser, lambda tokens: 0.1)
    kept = {name for name, value in model.state_dict().items() if torch.equal(before[name], value)}
    pairs = {"bert.pooler.dense", "cls.seq_relationship"}
    assert {name.rpartition(".")[0] for name in kept} == pairs


def test_all_systems_are_timed_in_turn(
    corpus_file: Path, tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peaks = {name: {"torch": 50.0, "openvino": 100.0} for name in ("fp32", "bf16", "int8")}
    monkeypatch.setattr("training.bench.pretraining.measure_peaks", lambda *sizes: peaks)
    bench = Bench(
        texts=(str(corpus_file),), tokenizer=str(tokenizer), arch="1x64",
        length=WIDTH, batch_tokens=128, rounds=1, seconds=0.0,
    )  # fmt: skip
    found = bench_pretrain(bench, reading=None)
    assert json.loads(json.dumps(found)) == found
    systems = found["systems"]
    assert list(systems) == [OURS, FP32, BF16]
    assert all(
        each["tokens_per_second"] > 0 and len(each["each"]) == 1 for each in systems.values()
    )
    assert set(systems[OURS]["speed_over"]) == {FP32, BF16}
    assert systems[OURS]["filled"] > systems[FP32]["filled"] > 0.3
    assert 0 <= systems[OURS]["waiting"] < 1
    model = systems[OURS]["model"]
    assert 0 < model["share_of_time"] < 1
    assert model["share_of_peak"] == pytest.approx(model["gflops"] / 100, abs=2e-3)
    profile = found["profile"]
    assert sum(profile.values()) == pytest.approx(1, abs=1e-2)
    assert {"products in the layers", "products with the vocabulary", "softmax"} <= set(profile)
    assert list(profile.values()) == sorted(profile.values(), reverse=True)


def test_both_learn_the_same_from_as_many_tokens(corpus_file: Path, tokenizer: Path) -> None:
    bench = Bench(
        texts=(str(corpus_file),), tokenizer=str(tokenizer), arch="1x64", length=WIDTH,
        batch_tokens=256, equal_tokens=12_000, rate=3e-3, dropout=0.0,
    )  # fmt: skip
    learning = bench_pretrain(bench, reading=None)["learning"]
    for system in ("cloze", "transformers"):
        assert 12_000 <= learning[system]["tokens"] < 12_300
        assert learning[system]["mlm_loss"] < 0.95 * learning["before"]["mlm_loss"]
    assert abs(learning["difference"]["mlm_loss"]) < 0.05


def test_what_does_not_fit_is_told(corpus_file: Path, tokenizer: Path, tmp_path: Path) -> None:
    bench = Bench(texts=(str(corpus_file),), tokenizer=str(tokenizer), arch="1x64", objective="nsp")
    with pytest.raises(ClozeError, match=r"--objective is 'nsp'; choose of mlm, mlm\+nsp"):
        bench_pretrain(bench, reading=None)
    small = tmp_path / "small.jsonl"
    lines = [{"text": f"the quiet river number {number}"} for number in range(5)]
    small.write_text("".join(json.dumps(line) + "\n" for line in lines))
    bench = Bench(texts=(str(small),), tokenizer=str(tokenizer), arch="1x64", length=WIDTH)
    with pytest.raises(
        ClozeError, match="4 documents to train on and a batch of Trainer's takes 8"
    ):
        bench_pretrain(bench, reading=None)


def test_a_package_that_is_missing_is_told(
    corpus_file: Path, tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    bench = Bench(texts=(str(corpus_file),), tokenizer=str(tokenizer), arch="1x64")
    with pytest.raises(ClozeError, match="needs accelerate; run: pip install"):
        bench_pretrain(bench, reading=None)
