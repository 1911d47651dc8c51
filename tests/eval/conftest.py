"""A small collection of the tiny model's words, and an index of its documents."""

import json
import random
from pathlib import Path

import pytest

from indexer.creation import Settings
from indexer.documents import Document
from search.index import Index


@pytest.fixture(scope="session")
def small_collection(documents: list[Document], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BEIR folder: 12 queries made of their relevant document's words, one without an answer."""
    folder = tmp_path_factory.mktemp("collections") / "small"
    (folder / "qrels").mkdir(parents=True)
    choose = random.Random(7)
    queries, rows = [], ["query-id\tcorpus-id\tscore"]
    for number in range(12):
        target = documents[number * 10 + 4]
        words = target.text.strip(".").lower().split()
        queries.append({"_id": f"q{number}", "text": " ".join(choose.sample(words[:12], 3))})
        rows.append(f"q{number}\t{target.id}\t2")
        rows += [f"q{number}\t{other.id}\t{choose.randint(0, 1)}" for other in documents[:3]]
    queries[11]["text"] = "zyzzyva"
    lines = {
        "corpus.jsonl": [
            {"_id": each.id, "title": each.title, "text": each.text} for each in documents
        ],
        "queries.jsonl": queries,
    }
    for name, objects in lines.items():
        (folder / name).write_text("".join(json.dumps(each) + "\n" for each in objects))
    (folder / "qrels" / "test.tsv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="session")
def small_index(
    documents: list[Document], tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """An index of the small collection's documents, by the tiny model."""
    folder = tmp_path_factory.mktemp("indexes") / "small"
    with Index.open(folder, Settings(model=str(tiny_model))) as index:
        index.add(documents)
    return folder
