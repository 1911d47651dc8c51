"""A test's queries and relevant documents in the pairs are found, refused, or told of."""

from pathlib import Path

import pytest

from eval.collections import open_collection
from indexer.errors import ClozeError
from tests.training.pairs.written import write_lines
from training.pairs.leaks import Leaks, check_leaks, find_leaks
from training.pairs.reading import Pairs, read_pairs

PAIRS = [
    {"query": "Judged  QUERY", "positive": "harmless"},
    {"query": "fine", "positives": ["the relevant text", "not relevant"]},
    {"query": "good", "positive": "Title of it and what it says"},
    {"query": "well", "positive": "AND what it says", "negative": "the relevant text"},
    {"query": "judged by train alone", "positive": "unjudged"},
]


@pytest.fixture
def pairs(tmp_path: Path) -> Pairs:
    return read_pairs([write_lines(tmp_path / "a.jsonl", PAIRS)])


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    folder = tmp_path / "tested"
    (folder / "qrels").mkdir(parents=True)
    texts = {"q 1": "judged query", "q2": "other", "q3": "judged by train alone", "q4": ""}
    write_lines(folder / "queries.jsonl", [{"_id": id, "text": texts[id]} for id in texts])
    documents = [
        {"_id": "d 1", "title": "", "text": "The relevant text"},
        {"_id": "d2", "title": "Title of it", "text": "and what it says"},
        {"_id": "d3", "text": "not relevant"},
        {"_id": "d4", "text": "unjudged"},
        {"_id": "d5", "text": ""},
    ]
    write_lines(folder / "corpus.jsonl", documents)
    head = "query-id\tcorpus-id\tscore\n"
    grades = "q 1\td 1\t1\nq2\td2\t2\nq2\td3\t0\nq4\td5\t1\n"
    (folder / "qrels" / "test.tsv").write_text(head + grades)
    (folder / "qrels" / "train.tsv").write_text(f"{head}q3\td4\t1\n")
    return folder


def test_what_a_split_is_judged_by_is_found(pairs: Pairs, collection: Path) -> None:
    assert find_leaks(pairs, open_collection(str(collection))) == Leaks(
        collection="tested",
        split="test",
        queries=("Judged  QUERY",),
        positives=("the relevant text", "Title of it and what it says", "AND what it says"),
        documents=True,
    )
    found = find_leaks(pairs, open_collection(str(collection), "train"))
    assert (found.queries, found.positives) == (("judged by train alone",), ("unjudged",))


def test_a_leak_is_refused_unless_allowed(pairs: Pairs, collection: Path) -> None:
    told: list[str] = []
    what = (
        "tested, split test: 1 queries and 3 positives of the pairs are what it is judged by, the "
        "first 'Judged QUERY'"
    )
    with pytest.raises(ClozeError) as raised:
        check_leaks(pairs, [str(collection)], allow=False, tell=told.append)
    assert str(raised.value) == f"{what}; take them out, or pass --allow-leak"
    assert told == []
    (found,) = check_leaks(pairs, [str(collection)], allow=True, tell=told.append)
    assert told == [f"allowed: {what}"]
    assert found.as_json()["positives"] == {"count": 3, "first": ("the relevant text",)}


def test_without_documents_queries_alone_are_compared(pairs: Pairs, collection: Path) -> None:
    (collection / "corpus.jsonl").unlink()
    found = find_leaks(pairs, open_collection(str(collection)))
    assert (found.queries, found.positives, found.documents) == (("Judged  QUERY",), (), False)
    told: list[str] = []
    check_leaks(pairs, [str(collection)], allow=True, tell=told.append)
    assert told[1] == "tested has no documents here, so positives were not compared"


def test_no_leak(tmp_path: Path, collection: Path) -> None:
    path = write_lines(tmp_path / "b.jsonl", [{"query": "fine", "positive": "not relevant"}])
    told: list[str] = []
    found = check_leaks(read_pairs([path]), [str(collection)], allow=False, tell=told.append)
    assert not any(found)
    assert told == []


def test_a_split_may_be_named_behind_the_folder(pairs: Pairs, collection: Path) -> None:
    with pytest.raises(ClozeError, match=r"^tested, split train: 1 queries and 1 positives"):
        check_leaks(pairs, [f"{collection}:train"], allow=False, tell=print)
    with pytest.raises(ClozeError, match=r"has no split 'trian'.*did you mean train"):
        check_leaks(pairs, [f"{collection}:trian"], allow=False, tell=print)
