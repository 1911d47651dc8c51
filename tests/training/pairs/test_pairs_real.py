"""The public pairs: as many rows as are published, and what merging leaves of them."""

import gzip
import json
from pathlib import Path

import pytest

from eval.collections import open_collection
from tests.training.pairs.written import key
from training.pairs.leaks import find_leaks
from training.pairs.reading import Pairs, read_pairs

ROWS = {
    "medquad": 16_407, "squad-questions": 5_161, "squad-sentences": 11_877, "policyqa": 7_961,
    "subjqa": 15_416, "trecqa": 7_383,
}  # fmt: skip


@pytest.fixture(scope="module")
def read(real_data: Path) -> dict[str, Pairs]:
    return {name: read_pairs([str(real_data / "pairs" / f"{name}.jsonl.gz")]) for name in ROWS}


def test_counts_are_the_published_ones(read: dict[str, Pairs]) -> None:
    for name, pairs in read.items():
        (file,) = pairs.report.files
        assert file.rows + sum(file.left_out.values()) == ROWS[name], name
        # Every row is an example, or one more of an example.
        merged = pairs.report.merged["rows of a query that came before"]
        dropped = sum(pairs.report.left_out.values())
        assert len(pairs.examples) + merged + dropped == file.rows, name
    left_out = {name: pairs.report.files[0].left_out for name, pairs in read.items()}
    assert left_out["subjqa"] == {"of the split dev": 1_557, "of the split test": 4_753}
    assert left_out["trecqa"] == {"of the split dev": 1_148, "of the split test": 1_517}
    assert not any(left_out[name] for name in set(ROWS) - {"subjqa", "trecqa"})


def test_examples_are_those_of_a_naive_reading(real_data: Path, read: dict[str, Pairs]) -> None:
    for name in ("policyqa", "trecqa"):
        positives: dict[str, set[str]] = {}
        with gzip.open(real_data / "pairs" / f"{name}.jsonl.gz", "rt") as file:
            for line in map(json.loads, file):
                if line.get("split", "train") == "train":
                    own = positives.setdefault(key(line["query"]), set())
                    if line.get("label", 1):
                        text = line.get("positive", line.get("passage"))
                        own.add(key(f"{line.get('title', '')} {text}"))
        found = {
            key(each.query): {key(text) for text in each.positives} for each in read[name].examples
        }
        assert found == {query: own for query, own in positives.items() if own}


def test_train_judgements_of_a_collection(real_data: Path) -> None:
    folder = str(real_data / "collections" / "scifact")
    pairs = read_pairs([folder])
    assert pairs.report.files[0].rows == 809
    test = find_leaks(pairs, open_collection(folder))
    train = find_leaks(pairs, open_collection(folder, "train"))
    assert len(train.queries) == len(pairs.examples)
    assert 0 < len(test.queries) < 5
