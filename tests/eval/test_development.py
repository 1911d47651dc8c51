"""Development sets: what is kept, that the splits share nothing, that folders appear whole."""

import gzip
import hashlib
import json
import os
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import eval.development
from eval.collections import open_collection
from eval.development import Sample, build_collection
from eval.judgements import read_qrels
from indexer.errors import ClozeError

PAIRS = st.lists(
    st.tuples(st.sampled_from("abcdefghij"), st.sampled_from([f"text {n}" for n in range(12)])),
    min_size=1,
    max_size=30,
)


def key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def pairs_file(folder: Path, pairs: list[tuple[str, str]]) -> Path:
    path = folder / "pairs.jsonl"
    lines = (json.dumps({"query": query, "positive": text}) for query, text in pairs)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def content(folder: Path) -> dict[str, str]:
    files = ("corpus.jsonl", "queries.jsonl", "qrels/dev.tsv", "qrels/train.tsv")
    return {name: (folder / name).read_text() for name in files}


@given(PAIRS, st.integers(1, 12), st.integers(0, 6), st.randoms(use_true_random=False))
def test_splits_are_fixed_and_share_nothing(
    tmp_path_factory: pytest.TempPathFactory,
    pairs: list[tuple[str, str]],
    documents: int,
    queries: int,
    random: Random,
) -> None:
    folder = tmp_path_factory.mktemp("dev")
    sample = Sample(documents=documents, queries=queries)
    counts = build_collection(pairs_file(folder, pairs), folder / "a", sample)
    shuffled = random.sample(pairs, len(pairs))
    assert build_collection(pairs_file(folder, shuffled), folder / "b", sample) == counts
    assert content(folder / "a") == content(folder / "b")

    # Said again without the code: dev has the first questions by hash of those with an answer.
    kept = sorted({key(text) for _, text in pairs})[:documents]
    answers = {key(q): {key(t) for other, t in pairs if other == q} for q, _ in pairs}
    answered = sorted(query for query, found in answers.items() if found & set(kept))
    dev = read_qrels(folder / "a" / "qrels" / "dev.tsv")
    train = read_qrels(folder / "a" / "qrels" / "train.tsv")
    assert sorted(dev) == answered[:queries]
    judged = {document for found in dev.values() for document in found}
    assert judged.isdisjoint(document for found in train.values() for document in found)
    assert not dev.keys() & train.keys()
    for query in answered[queries:]:
        leaks = any(answers[query] & answers[other] for other in dev)
        assert (query in train) == (not leaks)
    for query, found in [*dev.items(), *train.items()]:
        assert found == dict.fromkeys(answers[query] & set(kept), 1)
    assert counts == {
        "documents": len(kept),
        "queries": len(dev),
        "judgements": sum(map(len, dev.values())),
        "train_queries": len(train),
        "train_judgements": sum(map(len, train.values())),
    }


def test_the_folder_is_a_collection_with_both_splits(tmp_path: Path) -> None:
    pairs = pairs_file(tmp_path, [(f"question {n}", f"answer {n}") for n in range(10)])
    build_collection(pairs, tmp_path / "made", Sample(documents=9, queries=4))
    dev = open_collection(str(tmp_path / "made"), "dev")
    train = open_collection(str(tmp_path / "made"), "train")
    assert (len(dev.queries), dev.unjudged) == (4, 5)
    assert (len(train.queries), train.unjudged) == (5, 4)
    assert dev.corpus is not None
    assert {document.text for document in dev.corpus()} <= {f"answer {n}" for n in range(10)}


def test_pairs_may_be_compressed_and_a_bad_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl.gz"
    pair = b'{"query": "q", "positive": "p", "title": "t"}\n'
    path.write_bytes(gzip.compress(pair))
    build_collection(path, tmp_path / "made", Sample(documents=9, queries=9))
    document = {"_id": key("p"), "title": "t", "text": "p"}
    assert json.loads((tmp_path / "made" / "corpus.jsonl").read_text()) == document
    path.write_bytes(gzip.compress(pair + b'{"query": "q"}\n'))
    with pytest.raises(ClozeError, match=r"pairs\.jsonl\.gz:2: not a pair"):
        build_collection(path, tmp_path / "other", Sample(documents=9, queries=9))
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('["q", "p"]', "not a pair; it needs query and positive"),
        ("[" * 100_000, "not a pair; it needs query and positive"),
        ('{"query": "q", "positive": ["p"]}', "query, positive and title of a pair must be str"),
        ('{"query": "q", "positive": "p", "title": 0}', "query, positive and title of a pair must"),
        (r'{"query": "q\ud800", "positive": "p"}', "half of an escaped character"),
        (r'{"query": "q", "positive": "\udfff"}', "half of an escaped character"),
        (r'{"query": "q", "positive": "p", "title": "\ud83d"}', "half of an escaped character"),
    ],
)
def test_a_line_that_is_no_pair_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"query": "q", "positive": "p", "title": null}\n' + line)
    with pytest.raises(ClozeError, match=rf"pairs\.jsonl:2: {message}"):
        build_collection(path, tmp_path / "made", Sample(documents=9, queries=9))
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_rename_and_a_link_lose_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample, link = Sample(documents=9, queries=1), tmp_path / "link"
    link.symlink_to(tmp_path / "real")
    build_collection(pairs_file(tmp_path, [("a", "x"), ("b", "y")]), link, sample)
    before, real = content(link), os.rename

    def rename(source: Path, target: Path) -> None:
        if source.name == "new":
            raise OSError("busy")
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", rename)
        with pytest.raises(OSError, match="busy"):
            build_collection(pairs_file(tmp_path, [("c", "z")]), link, sample)
    assert content(link) == before
    build_collection(pairs_file(tmp_path, [("c", "z")]), link, sample)
    assert content(tmp_path / "real") != before
    assert link.is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pairs.jsonl", "real"]


def test_an_older_one_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    sample = Sample(documents=9, queries=1)
    build_collection(pairs_file(tmp_path, [("a", "x"), ("b", "y")]), made, sample)
    before = content(made)
    build_collection(pairs_file(tmp_path, [("c", "z")]), made, sample)
    assert content(made) != before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made", "pairs.jsonl"]

    (made / "notes.txt").write_text("mine")
    kept = content(made)
    with pytest.raises(ClozeError, match="was not made from pairs"):
        build_collection(pairs_file(tmp_path, [("a", "x")]), made, sample)
    (made / "notes.txt").unlink()
    (made / "qrels" / "test.tsv").write_text("q\td\t1\n")
    with pytest.raises(ClozeError, match="was not made from pairs"):
        build_collection(pairs_file(tmp_path, [("a", "x")]), made, sample)
    assert content(made) == kept
    with pytest.raises(ClozeError, match="is a file"):
        build_collection(pairs_file(tmp_path, [("a", "x")]), tmp_path / "pairs.jsonl", sample)


def test_a_failure_half_way_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = Sample(documents=9, queries=1)
    made = tmp_path / "made"
    build_collection(pairs_file(tmp_path, [("a", "x"), ("b", "y")]), made, sample)
    before = content(made)
    write = eval.development._write

    def fail(path: Path, lines: list[str]) -> None:
        if path.name == "train.tsv":
            raise OSError("disk full")
        write(path, lines)

    monkeypatch.setattr(eval.development, "_write", fail)
    with pytest.raises(OSError, match="disk full"):
        build_collection(pairs_file(tmp_path, [("c", "z")]), made, sample)
    assert content(made) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made", "pairs.jsonl"]


def test_an_answer_that_was_dropped_still_keeps_a_question_out_of_train(tmp_path: Path) -> None:
    dropped, *kept = sorted((f"text {n}" for n in range(4)), key=key, reverse=True)
    first, second, third = sorted("abc", key=key)
    pairs = [(first, kept[0]), (first, dropped), (second, kept[1]), (second, dropped)]
    sample = Sample(documents=3, queries=1)
    build_collection(pairs_file(tmp_path, [*pairs, (third, kept[2])]), tmp_path / "made", sample)
    assert read_qrels(tmp_path / "made" / "qrels" / "dev.tsv") == {key(first): {key(kept[0]): 1}}
    assert list(read_qrels(tmp_path / "made" / "qrels" / "train.tsv")) == [key(third)]


def test_a_collection_of_someone_elses_with_the_same_files_is_kept(tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text('{"query": "what", "positive": "that"}\n')
    folder = tmp_path / "mine"
    sample = Sample(documents=10, queries=10)
    build_collection(pairs, folder, sample)
    (folder / "qrels" / "dev.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\n")
    with pytest.raises(ClozeError, match="was not made from pairs"):
        build_collection(pairs, folder, sample)
    pairs.write_text("")
    with pytest.raises(ClozeError, match="holds no pair"):
        build_collection(pairs, tmp_path / "new", sample)
    assert not (tmp_path / "new").exists()
