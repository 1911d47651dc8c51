"""The benches of the models' speed: their arithmetic by hand, and that peers do the same work."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from eval.bench.encoding import bench_encode, cosines, rates, read_precisions
from eval.bench.footprint import with_growth
from eval.bench.head import write_with_head
from eval.bench.inside import Watch, covered, share_inside
from eval.bench.pairs import make_pairs
from eval.bench.peak import measure_peaks
from eval.bench.peers import read_peers
from eval.bench.query import QUERIES, bench_query
from eval.bench.reranking import agreement, bench_rerank
from eval.bench.turns import in_turn, speed_over, speeds_over
from eval.bench.work import Size, operations, read_size
from indexer.creation import Settings
from indexer.documents import Document
from indexer.encoder import Encoder
from indexer.errors import ClozeError
from indexer.models import find_model
from indexer.runtime import precision
from indexer.runtime.checkpoint import Checkpoint
from indexer.runtime.model import read_tokenizer
from search.hits import Results
from search.index import Index

SIZE = Size(hidden=2, intermediate=3, layers=1, weights=28)
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def checkpoint(tiny_model: Path) -> Checkpoint:
    return find_model(str(tiny_model))


@pytest.fixture(scope="module")
def tokenizer(checkpoint: Checkpoint) -> Tokenizer:
    return read_tokenizer(checkpoint)


@pytest.fixture(scope="module")
def classifier(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_with_head(checkpoint, tmp_path_factory.mktemp("classifier"))


def test_every_system_gets_every_piece_in_turn_and_every_other_one_backwards() -> None:
    seen: list[tuple[str, int]] = []
    systems: dict[str, Callable[[int], object]] = {
        name: lambda piece, name=name: seen.append((name, piece))  # type: ignore[misc]
        for name in ("a", "b")
    }
    times = in_turn(systems, [1, 2, 3])
    assert seen == [("a", 1), ("b", 1), ("b", 2), ("a", 2), ("a", 3), ("b", 3)]
    assert {name: len(taken) for name, taken in times.items()} == {"a": 3, "b": 3}


def test_a_speed_is_the_median_of_ratios_turn_by_turn() -> None:
    times = {"theirs": [4.0, 9.0, 10.0], "ours": [2.0, 3.0, 1.0]}
    assert speed_over(times["theirs"], times["ours"]) == 3.0
    assert speeds_over(["theirs"], times, "ours") == {"theirs": 3.0}
    assert speeds_over(["theirs"], times, "theirs") == {}


def test_operations_by_hand() -> None:
    # 28 weights * 2 * 4 tokens, and 4 * 2 dimensions * (1 + 9) pairs of tokens.
    assert operations(SIZE, [1, 3]) == 224 + 80


def test_operations_are_those_that_torch_counts(checkpoint: Checkpoint) -> None:
    import torch
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import AutoModel

    size = read_size(checkpoint.folder, checkpoint.dimension)
    assert size == Size(
        hidden=64, intermediate=128, layers=2, weights=2 * (4 * 64 * 64 + 2 * 64 * 128)
    )
    model = AutoModel.from_pretrained(
        checkpoint.folder, attn_implementation="eager", add_pooling_layer=False
    ).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(input_ids=torch.ones(1, 23, dtype=torch.long))
    assert operations(size, [23]) == counter.get_total_flops()


def test_rates_by_hand() -> None:
    found = rates(2e-9, [1, 3], SIZE, {"torch": 1.0, "openvino": 304.0})
    assert found["gflops"] == 152.0
    assert found["share_of_peak"] == 0.5
    assert found["tokens_per_second"] == 2_000_000_000
    assert found["texts_per_second"] == 1e9
    assert rates(1.0, [1], SIZE, {})["share_of_peak"] is None


def test_cosines_by_hand() -> None:
    vectors = np.array([[2, 0], [3, 4]], dtype=np.float32)
    expected = np.array([[1, 0], [0.4, 0.3]], dtype=np.float32)
    assert cosines(vectors, expected) == {"worst": 0.96, "mean": 0.98}


def test_agreement_by_hand() -> None:
    scores = np.array([1, 3, 2], dtype=np.float32)
    expected = np.array([1, 2, 3.5], dtype=np.float32)
    # Ranks differ by 0, 1 and 1: 1 - 6 * 2 / (3 * 8).
    assert agreement(scores, expected) == {"spearman": 0.5, "largest_difference": 1.5}


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9)), max_size=12))
def test_what_spans_cover_together(drawn: list[tuple[int, int]]) -> None:
    spans = [(float(begin), float(begin + length)) for begin, length in drawn]
    units = {begin + each for begin, length in drawn for each in range(length)}
    assert covered(spans) == len(units)


def test_the_peak_of_growth_is_seen_after_it_was_freed() -> None:
    def work() -> int:
        return int(np.ones(64 * MIB, dtype=np.uint8).sum())

    result, growth = with_growth(work)
    assert result == 64 * MIB
    assert 60 < growth < 200


def test_peaks_of_every_format() -> None:
    peaks = measure_peaks(64, 128, 1)
    formats = {"fp32", "int8", *(["bf16"] if precision.has("bf16", "cpu") else [])}
    assert set(peaks) == formats
    for ways in peaks.values():
        assert set(ways) == {"torch", "openvino", "openvino_streams"}
        assert all(gflops > 0 for gflops in ways.values())


@pytest.mark.parametrize(
    ("flags", "expected"),
    [(set(), ["fp32"]), ({"avx512_bf16"}, ["bf16"]), ({"amx_int8", "amx_bf16"}, ["int8", "bf16"])],
)
def test_precisions_where_none_is_named(
    flags: set[str], expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLOZE_PRECISION", raising=False)
    monkeypatch.setattr(precision, "processor_flags", lambda: frozenset(flags))
    assert read_precisions(None) == expected
    assert read_precisions("fp32, fp32") == ["fp32"]


def test_a_peer_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnx" else find(name)
    )
    assert read_peers("st,onnx") == (
        ["sentence-transformers"],
        ["onnxruntime-int8 is left out: onnx is not installed"],
    )
    assert read_peers("none") == ([], [])
    with pytest.raises(ClozeError, match="did you mean onnx"):
        read_peers("onxx")


def test_encoding_and_its_peers(
    corpus_file: Path, tiny_model: Path, documents: list[Document], tokenizer: Tokenizer
) -> None:
    found = bench_encode(
        str(corpus_file), 40, 1, model=str(tiny_model), precisions="fp32", peers="st,onnx",
        threads=1,
    )  # fmt: skip
    texts = [f"{each.title} {each.text}".strip() for each in documents[:40]]
    lengths = [min(64, len(tokenizer.encode(text).ids)) for text in texts]
    long = [length for length in lengths if length == 64]
    assert found["texts"] == {
        "all": {"texts": 40, "tokens": sum(lengths)},
        "long": {"texts": len(long), "tokens": 64 * len(long)},
    }
    systems = found["systems"]
    assert list(systems) == ["cloze-fp32", "sentence-transformers", "onnxruntime-int8"]
    # Peers encode what we do: the same tokens, pooled alike, in the same order.
    assert systems["cloze-fp32"]["cosine_to_fp32"] == {"worst": 1.0, "mean": 1.0}
    assert systems["sentence-transformers"]["cosine_to_fp32"]["worst"] > 0.9999
    assert systems["onnxruntime-int8"]["cosine_to_fp32"]["worst"] > 0.9
    assert systems["onnxruntime-int8"]["cosine_to_fp32"]["mean"] < 1.0
    for name, system in systems.items():
        for chosen in ("all", "long"):
            assert system[chosen]["seconds"] > 0 and system[chosen]["share_of_peak"] > 0
            expected = {"sentence-transformers", "onnxruntime-int8"} - {name}
            assert set(system[chosen]["speed_over"]) == expected
        assert system["encoding_mib"] >= 0
        assert "loaded_mib" not in system  # what is imported before would flatter the first
    assert found["notices"] == []


def test_a_corpus_that_is_too_small_is_refused(corpus_file: Path, tiny_model: Path) -> None:
    with pytest.raises(ClozeError, match=r"160 documents, asked for 161"):
        bench_encode(
            str(corpus_file), 161, 1, model=str(tiny_model), precisions="fp32", peers="none",
            threads=1,
        )  # fmt: skip


def test_queries_of_a_file(tiny_model: Path, tmp_path: Path) -> None:
    file = tmp_path / "queries.txt"
    file.write_text("the quick fox\na cold river by the garden\n")
    found = bench_query(str(file), 3, model=str(tiny_model), precisions="fp32", threads=1)
    assert (found["queries"], found["tokens"]) == (2, 6.5)
    assert list(found["systems"]) == ["cloze-fp32", "sentence-transformers"]
    for system in found["systems"].values():
        assert 0 < system["ms"]["p50"] <= system["ms"]["p95"]
    assert found["systems"]["cloze-fp32"]["speed_over"]["sentence-transformers"] > 0


def test_pairs_have_about_the_tokens_asked_for(
    documents: list[Document], tokenizer: Tokenizer
) -> None:
    pairs = make_pairs(documents, tokenizer, 12, 40)
    lengths = [
        len(tokenizer.encode(first).ids) + len(tokenizer.encode(second).ids) - 1
        for first, second in pairs
    ]
    assert len({first for first, _ in pairs}) == 1 and len(pairs) == 12
    assert all(34 <= length <= 46 for length in lengths) and len(set(lengths)) > 3
    with pytest.raises(ClozeError, match="passages for pairs of 40 tokens, asked for 999"):
        make_pairs(documents, tokenizer, 999, 40)


def test_a_random_head_is_the_same_each_time(
    checkpoint: Checkpoint, classifier: Path, tmp_path: Path
) -> None:
    again = write_with_head(checkpoint, tmp_path)
    assert (again / "model.safetensors").read_bytes() == (
        classifier / "model.safetensors"
    ).read_bytes()


def test_reranking_and_where_a_search_spends_its_time(
    corpus_file: Path, classifier: Path, small_index: Path, tmp_path: Path
) -> None:
    queries = tmp_path / "queries.jsonl"
    lines = [{"_id": str(place), "text": f"the quiet river {place}"} for place in range(3)]
    queries.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found: dict[str, Any] = bench_rerank(
        str(corpus_file), 10, 40, 1, model=str(classifier), precisions="fp32",
        search=(str(small_index), str(queries)), threads=1,
    )  # fmt: skip
    assert found["pairs"] == 10 and 340 <= found["tokens"] <= 460
    ours, theirs = found["systems"]["cloze-fp32"], found["systems"]["sentence-transformers"]
    assert ours["to_fp32"] == {"spearman": 1.0, "largest_difference": 0.0}
    assert theirs["to_fp32"]["spearman"] == 1.0
    assert ours["tokens_per_second"] > ours["pairs_per_second"] > 0
    inside = found["search"]
    assert inside["queries"] == 3 and inside["mode"] == "hybrid"
    assert inside["rerank_precision"] == "fp32" and inside["passages"] >= 10
    with Index.open(small_index) as index:
        assert inside["encoder_precision"] == index.encoder.precision
    assert {"encode", "lexical", "dense", "rerank", "total"} <= set(inside["stages_ms"])
    assert 0 < inside["inside_ms"] <= inside["stages_ms"]["total"]
    assert 0 < inside["share"] < 1


def test_searches_are_hybrid_or_none(tmp_path: Path, documents: list[Document]) -> None:
    with Index.open(tmp_path / "index", Settings(lexical_only=True)) as index:
        index.add(documents[:5])
    with pytest.raises(ClozeError, match="built with --lexical-only, hybrid searches are timed"):
        share_inside(str(tmp_path / "index"), ["ship"], "late", 5, 1, None)


def test_the_queries_that_are_timed_were_not_searched_before(
    classifier: Path, small_index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    search = Index.search

    def noted(self: Index, query: str, **options: Any) -> Results:  # noqa: ANN401
        asked.append(query)
        assert options["mode"] == "hybrid"
        return search(self, query, **options)

    monkeypatch.setattr(Index, "search", noted)
    timed = ["the quiet river", "a cold garden"]
    share_inside(str(small_index), timed, str(classifier), 5, 1, "fp32")
    assert asked == [*QUERIES, *timed, *timed] and not set(timed) & set(QUERIES)


def test_every_forward_pass_is_seen_while_watched(checkpoint: Checkpoint) -> None:
    watch = Watch()
    with watch.forwards():
        watched = Encoder(checkpoint, precision="fp32")
    unwatched = Encoder(checkpoint, precision="fp32")
    begin = perf_counter()
    vectors = watched.encode_queries(["the quick fox"])
    end = perf_counter()
    ((first, last),) = watch.spans
    assert begin < first < last < end
    assert np.array_equal(vectors, unwatched.encode_queries(["the quick fox"]))
    assert len(watch.spans) == 1
    watched.encode_documents(["the quick fox", "a cold river by the garden " * 4])
    assert len(watch.spans) == 3  # one batch for each length
    assert 0 < covered(watch.spans) < perf_counter() - begin


def test_an_index_needs_queries(cloze: Callable[..., Any], corpus_file: Path) -> None:
    ended = cloze("bench", "rerank", corpus_file, "--index", "x")
    assert ended.returncode == 2
    assert "--index is given, --query-file is not; give both or neither" in ended.stderr
