"""Each system is timed in a process of its own, and a failure there is told."""

from pathlib import Path

import pytest

from eval.systems import named_systems
from eval.timing import MOST_QUERIES, Timing, others, sample
from indexer.errors import ClozeError
from indexer.progress import Step
from search.index import Index

QUERIES = {f"q{number}": f"the quick fish number {number}" for number in range(12)}


def test_every_system_answers_every_query(
    small_index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A module of the user's, which must be found; and one named as ours, which must not.
    (tmp_path / "timed_by_me.py").write_text(
        "import time\n"
        "def find(query, top):\n"
        "    print(query)\n"
        "    time.sleep(0.02)\n"
        "    return []\n"
    )
    (tmp_path / "search.py").write_text("raise SystemExit('the wrong module')\n")
    monkeypatch.chdir(tmp_path)
    steps: list[Step] = []
    systems = named_systems(["lexical,hybrid,rank-bm25,timed_by_me:find"])
    with Index.open(small_index, threads=1) as index:
        timing = Timing(systems, QUERIES | {"empty": " "}, index)
        costs = timing.costs(steps.append)
    assert set(costs) == {"lexical", "hybrid", "rank-bm25", "find"}
    for cost in costs.values():
        assert cost.queries == 12
        assert 0 < cost.latency_ms["p50"] <= cost.latency_ms["p95"] <= cost.latency_ms["p99"]
        assert cost.peak_bytes is not None and cost.peak_bytes > 5_000_000
    assert costs["find"].latency_ms["p50"] >= 20
    assert {"encode", "dense", "lexical", "documents"} <= costs["hybrid"].stages_ms.keys()
    assert "encode" not in costs["lexical"].stages_ms
    lexical, hybrid = costs["lexical"].index_bytes, costs["hybrid"].index_bytes
    assert lexical is not None and hybrid is not None and 0 < lexical < hybrid
    assert costs["rank-bm25"].index_bytes is None
    assert len(steps) == 10 + 12 and timing.position() == 1.0


def test_a_failure_is_told_by_its_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fails_when_asked.py").write_text("def find(query, top):\n    return 1 / 0\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ClozeError, match=r"timing find failed: .*ZeroDivisionError"):
        Timing(named_systems(["fails_when_asked:find"]), QUERIES, None).costs(lambda step: None)


def test_nothing_to_time() -> None:
    assert Timing(named_systems(["m:f"]), {"q": ""}, None).costs(lambda step: None) == {}
    assert Timing([], QUERIES, None).costs(lambda step: None) == {}


def test_the_sample_is_fixed() -> None:
    many = [str(number) for number in range(1000)]
    assert sample(many) == sample(many)
    assert len(set(sample(many))) == MOST_QUERIES
    assert sample(many[:7]) == many[:7]


def test_warm_up_queries_are_not_those_that_are_timed() -> None:
    asked = ["how to bake", "bread", "a b a"]
    assert others([*asked, "left over"], asked) == ["left over", "bake to how"]
    assert len(others([str(number) for number in range(400)], sample(list(QUERIES)))) == 10
