"""Collections of ir_datasets: with its own registry, without a network, files put in place."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from eval.collections import open_collection
from indexer.errors import ClozeError

ROOT = Path(__file__).resolve().parents[2]

# The package reads its home when it is imported, so each test has a process of its own.
CLOSED = """
import json, os, socket, sys
asked = []
def refuse(*where, **options):
    asked.append(str(where))
    raise OSError("Network is unreachable")
socket.socket.connect = socket.getaddrinfo = refuse
from indexer.errors import ClozeError
from eval.collections import open_collection
def attempt(name, split=None):
    try:
        found = open_collection(name, split)
        corpus = found.corpus()
        documents = [(each.id, each.title, each.text) for each in corpus]
        return {
            "name": found.name, "split": found.split, "queries": list(found.queries.items()),
            "qrels": found.qrels, "documents": documents, "unjudged": found.unjudged,
            "position": corpus.position(),
            "fingerprints": [found.fingerprint, found.corpus_fingerprint],
        }
    except ClozeError as error:
        return str(error)
"""


def in_process(home: Path, code: str) -> list[object]:
    pytest.importorskip("ir_datasets")
    done = subprocess.run(
        [sys.executable, "-c", f"{CLOSED}\n{code}"],
        cwd=ROOT,
        env={**os.environ, "IR_DATASETS_HOME": str(home / "home"), "IR_DATASETS_TMP": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_without_a_network_the_files_to_get_are_named(tmp_path: Path) -> None:
    scifact, antique, robust = in_process(
        tmp_path,
        'for name in ("beir/scifact", "antique/test", "disks45/nocr/trec-robust-2004"):\n'
        "    print(json.dumps(attempt(name)))\n"
        "assert asked",
    )
    home = tmp_path / "home"
    assert isinstance(scifact, str)
    assert scifact.startswith("beir/scifact/test: a file can't be downloaded (ConnectionError")
    assert f"scifact.zip (MD5 5f7d1de60b170fc8027bb7898e2efca1) to {home}/beir/scifact" in scifact
    # All three files, and not one at each try.
    assert isinstance(antique, str)
    for place in ("test/queries.txt", "test/qrels", "collection.tsv"):
        assert antique.count(f" to {home}/antique/{place}") == 1
    assert antique.count("https://ciir.cs.umass.edu/downloads/Antique/") == 3
    # What can't be downloaded at all has instructions for an address.
    assert isinstance(robust, str)
    assert "requires agreements to be filed with NIST" in robust
    assert all("\n" not in each for each in (scifact, antique, robust))


def test_a_file_put_where_the_error_says_is_read(tmp_path: Path) -> None:
    place = tmp_path / "home" / "beir" / "scifact" / "source.zip"
    place.parent.mkdir(parents=True)
    with zipfile.ZipFile(place, "w") as packed:
        packed.writestr(
            "scifact/queries.jsonl",
            '{"_id": "1", "text": "one", "metadata": {}}\n'
            '{"_id": "2", "text": "two", "metadata": {}}\n',
        )
        packed.writestr(
            "scifact/corpus.jsonl",
            '{"_id": "7", "title": "Seven", "text": "seven text", "metadata": {}}\n'
            '{"_id": "8", "title": "", "text": "eight", "metadata": {}}\n',
        )
        packed.writestr("scifact/qrels/test.tsv", "query-id\tcorpus-id\tscore\n2\t7\t1\n")
        packed.writestr("scifact/qrels/train.tsv", "query-id\tcorpus-id\tscore\n1\t8\t1\n")
    bare, test, train, again = in_process(
        tmp_path,
        'for name, split in (("beir/scifact", None), ("beir/scifact/test", None),\n'
        '                    ("beir/scifact", "train"), ("beir/scifact/test", "train")):\n'
        "    print(json.dumps(attempt(name, split)))\n"
        "assert not asked",
    )
    assert bare == test
    assert isinstance(test, dict)
    fingerprints = test.pop("fingerprints")
    assert test == {
        "name": "beir/scifact",
        "split": "test",
        "queries": [["2", "two"]],
        "qrels": {"2": {"7": 1}},
        "documents": [["7", "Seven", "seven text"], ["8", "", "eight"]],
        "unjudged": 0,
        "position": 2 / 5183,  # of the documents that the real one has
    }
    assert isinstance(train, dict)
    assert (train["split"], train["queries"]) == ("train", [["1", "one"]])
    assert train["fingerprints"][0] != fingerprints[0]
    assert train["fingerprints"][1] == fingerprints[1]
    assert again == "beir/scifact/test has no split 'train', but test"


def test_a_data_set_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "docs.tsv").write_text("d1\tfirst text\nd 2\tsecond\n")
    (tmp_path / "queries.tsv").write_text("q1\tone\nq 2\ttwo\n")
    (tmp_path / "qrels").write_text("q1 0 d1 2\nq1 0 d9 -1\n")
    parts = ("docs_tsv", "queries_tsv", "qrels_trec")
    files = ("docs.tsv", "queries.tsv", "qrels")
    arguments = ", ".join(
        f"{part}={str(tmp_path / name)!r}" for part, name in zip(parts, files, strict=True)
    )
    mine, missing, near, far = in_process(
        tmp_path,
        f"import ir_datasets\n"
        f"ir_datasets.registry.register('mine', ir_datasets.create_dataset({arguments}))\n"
        f"for name, split in (('mine', None), ('mine', 'dev'), ('beir/scifct', None),\n"
        f"                    ('qqqq', None)):\n"
        f"    print(json.dumps(attempt(name, split)))\n"
        f"assert not asked",
    )
    assert isinstance(mine, dict)
    assert (mine["name"], mine["split"], mine["unjudged"]) == ("mine", "test", 1)
    assert mine["queries"] == [["q1", "one"]]
    assert mine["qrels"] == {"q1": {"d1": 2, "d9": -1}}
    assert mine["documents"] == [["d1", "", "first text"], ["d 2", "", "second"]]
    assert missing == "mine has no split 'dev', but test"
    assert isinstance(near, str)
    assert near.endswith("has this id; did you mean beir/scifact?")
    assert far == "there is no folder qqqq, and no data set of ir_datasets has this id"


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ir_datasets", None)
    with pytest.raises(ClozeError, match=r'pip install "cloze-search\[datasets\]"'):
        open_collection("beir/scifact/test")
