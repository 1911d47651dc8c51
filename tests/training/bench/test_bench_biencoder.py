"""The bench of the bi-encoder: both systems on the same pairs, timed and compared."""

import json
from pathlib import Path

import pytest

from indexer.errors import ClozeError
from tests.conftest import WORDS
from training.bench.finetuning import OURS, PEER, Bench, bench_biencoder
from training.bench.sentence_peer import SentencePeer
from training.pairs.reading import Pairs, read_pairs


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Pairs:
    path = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    rows = [
        {"query": f"find {first}", "positives": [f"the {second} one", "another"]}
        for first, second in zip(WORDS[:50], WORDS[50:], strict=False)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_pairs([str(path)])


def bench(base: Path, **changed: int | float) -> Bench:
    return Bench(base=str(base), batch=8, length=16, rounds=1, seconds=0.2, **changed)  # type: ignore[arg-type]


def test_all_are_timed_on_the_same_pairs(pairs: Pairs, sentence_folder: Path) -> None:
    pytest.importorskip("datasets")
    result = bench_biencoder(bench(sentence_folder), pairs)
    json.dumps(result)
    assert (result["pairs"], result["length"]) == ({"train": 45, "held_out": 5}, 16)
    names = [f"{system}-{each}" for each in ("fp32", "bf16") for system in (OURS, PEER)]
    assert list(result["systems"]) == names
    for name, figures in result["systems"].items():
        assert figures["pairs_per_second"] > 0
        peers = {each for each in names if each.startswith(PEER)} - {name}
        assert figures["speed_over"].keys() == peers


def test_both_learn_and_are_judged_alike(
    pairs: Pairs, sentence_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("datasets")
    monkeypatch.setattr("training.bench.finetuning.rate_of", lambda plan, base: 1e-2)
    learning = bench_biencoder(bench(sentence_folder, equal=12), pairs)["learning"]
    assert learning["steps"] == 12
    assert learning[OURS] != learning["before"] and learning[PEER] != learning["before"]
    assert learning["difference"] == pytest.approx(learning[OURS] - learning[PEER], abs=2e-4)


def test_the_peer_stops_after_its_steps(sentence_folder: Path) -> None:
    pytest.importorskip("datasets")
    peer = SentencePeer(
        sentence_folder, [(word, f"the {word}") for word in WORDS[:20]], batch=4, length=16
    )
    peer._train(lambda pairs: False, 7)
    assert peer.pairs == 28
    peer._train(lambda pairs: pairs >= 12, 100)
    assert peer.pairs == 12


def test_what_is_refused(
    pairs: Pairs, sentence_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name != "datasets" or None)
    with pytest.raises(ClozeError, match="trainer needs datasets; run: pip install"):
        bench_biencoder(bench(sentence_folder), pairs)
    monkeypatch.undo()
    monkeypatch.setattr("training.bench.finetuning.check_sentence_peer", lambda: None)
    few = Bench(base=str(sentence_folder), batch=64)
    with pytest.raises(ClozeError, match="there are 45 pairs to train on and a batch takes 64"):
        bench_biencoder(few, pairs)
