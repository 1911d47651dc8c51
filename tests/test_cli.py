"""The command line in processes of its own: what it prints, how it ends, what it leaves behind."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cloze as cloze_module
from indexer.documents import Document

Cloze = Callable[..., "subprocess.CompletedProcess[str]"]

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def words_only(cloze: Cloze, corpus_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("words") / "index"
    assert cloze("index", folder, corpus_file, "--lexical-only").returncode == 0
    return folder


@pytest.fixture(scope="module")
def hybrid(
    cloze: Cloze, corpus_file: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """An index over the tiny model, and what `index --json` said of it."""
    folder = tmp_path_factory.mktemp("hybrid") / "index"
    ended = cloze("index", folder, corpus_file, "--model", tiny_model, "--json")
    assert ended.returncode == 0, ended.stderr
    report: dict[str, Any] = json.loads(ended.stdout)
    return folder, report


@pytest.fixture
def inside(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cloze:
    """Run the command line in this process, which saves the start of another."""

    def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["cloze", *map(str, arguments)])
        try:
            cloze_module.main()
            code: Any = 0
        except SystemExit as end:
            code = end.code or 0
        printed = capsys.readouterr()
        return subprocess.CompletedProcess([], code, printed.out, printed.err)

    return run


def one_line(ended: "subprocess.CompletedProcess[str]") -> str:
    """Check that a command printed nothing but one line of error, and give it."""
    assert ended.stdout == ""
    lines = ended.stderr.splitlines()
    assert len(lines) == 1, ended.stderr
    assert lines[0].startswith("cloze: ")
    return lines[0]


def test_index_reports_its_counts(
    hybrid: tuple[Path, dict[str, Any]], documents: list[Document]
) -> None:
    _, report = hybrid
    assert set(report) == {
        "documents", "passages", "tokens", "added", "updated", "unchanged", "deleted", "skipped",
        "control_characters", "empty", "duplicate_texts", "near_duplicates", "truncated_documents",
        "left_out", "repeated_files",
        "dropped_tokens", "seconds", "documents_per_second", "peak_rss_mib",
    }  # fmt: skip
    assert report["documents"] == report["added"] == len(documents)
    assert report["passages"] > len(documents)
    assert report["tokens"] > 10 * len(documents)
    assert (report["empty"], report["duplicate_texts"], report["unchanged"]) == (2, 3, 0)
    assert report["near_duplicates"] == 3
    assert report["seconds"] > 0 < report["peak_rss_mib"]


def test_the_same_command_again_changes_nothing(
    inside: Cloze, corpus_file: Path, words_only: Path, documents: list[Document]
) -> None:
    report = json.loads(inside("index", words_only, corpus_file, "--json").stdout)
    assert (report["added"], report["updated"], report["unchanged"]) == (0, 0, len(documents))


def test_sync_follows_the_corpus(inside: Cloze, words_only: Path, tmp_path: Path) -> None:
    folder = tmp_path / "index"
    shutil.copytree(words_only, folder)
    corpus = tmp_path / "less.jsonl"
    corpus.write_text('{"_id": "new", "text": "a ship"}\n{"_id": "d0", "text": "changed"}\n')
    ended = inside("index", folder, corpus, "--sync", "--json")
    report = json.loads(ended.stdout)
    assert (report["added"], report["updated"], report["deleted"]) == (1, 1, 159)
    assert "compacted by itself" in ended.stderr
    assert json.loads(inside("info", folder, "--json").stdout)["documents"] == 2


def test_search_as_json(
    cloze: Cloze, hybrid: tuple[Path, dict[str, Any]], documents: list[Document]
) -> None:
    ended = cloze(
        "search", hybrid[0], "supersonic ship", "--json", "--top", 3, "--filter", "year>1990"
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    results = json.loads(ended.stdout)
    assert set(results) == {
        "query", "mode", "hits", "total_matches", "took_ms", "notices", "index_version",
    }  # fmt: skip
    assert (results["query"], results["mode"], len(results["hits"])) == (
        "supersonic ship",
        "hybrid",
        3,
    )
    assert results["total_matches"] == sum(d.metadata.get("year", 0) > 1990 for d in documents)
    for place, hit in enumerate(results["hits"], 1):
        assert set(hit) == {
            "rank", "id", "score", "title", "snippet", "snippet_start", "highlights", "passage",
            "passages", "metadata", "stages",
        }  # fmt: skip
        assert hit["rank"] == place
        assert set(hit["stages"]) == {"lexical", "dense", "fused"}
        assert hit["metadata"]["year"] > 1990
        text = next(d.text for d in documents if d.id == hit["id"])
        assert text.startswith(hit["snippet"], hit["snippet_start"])


def test_search_for_a_person(inside: Cloze, words_only: Path) -> None:
    ended = inside("search", words_only, "supersonic", "--top", 1)
    assert ended.returncode == 0
    assert re.match(r" +1  .*\[.+\]\n +\d+\.\d{4} \(lexical 1\)\n", ended.stdout)
    assert "\x1b" not in ended.stdout  # nobody looks: no bold
    assert re.fullmatch(r"1 hits, lexical, [\d.]+ ms\n", ended.stderr)
    nothing = inside("search", words_only, "xylophone")
    assert (nothing.returncode, nothing.stdout) == (0, "no documents match 'xylophone'\n")


def test_explain_facets_and_collapse_as_json(
    inside: Cloze, hybrid: tuple[Path, dict[str, Any]]
) -> None:
    ended = inside(
        "search", hybrid[0], "supersonic ship", "--json", "--explain", "--facets", "lang, year",
        "--collapse",
    )  # fmt: skip
    results = json.loads(ended.stdout)
    assert results["plan"]["candidates"]["fused"] == results["facets"]["counted"]
    assert results["plan"]["vectors"]["kind"] == "flat"
    assert set(results["facets"]["fields"]) == {"lang", "year"}
    assert len(results["hits"]) == 10
    for hit in results["hits"]:
        explanation = hit["explanation"]
        assert sum(part["value"] for part in explanation["parts"]) == hit["score"]
        if (lexical := hit["stages"]["lexical"]) is not None:
            terms = sum(term["score"] for term in explanation["terms"])
            assert terms == pytest.approx(lexical["score"], rel=1e-6)
        assert isinstance(hit["duplicates"], list)


def test_explain_for_a_person(inside: Cloze, words_only: Path) -> None:
    ended = inside(
        "search", words_only, "supersonic ships", "--top", 1, "--explain", "--facets", "lang",
        "--filter", "year > 1990",
    )  # fmt: skip
    assert re.search(r"\d\.\d{4}  lexical: rank 1, score \d", ended.stdout)
    assert re.search(r"ship \(ships\): idf \d\.\d{3} \* tf \d\.\d{3}; \d times", ended.stdout)
    assert re.search(r"\nlang, among \d+ candidates: en \d+", ended.stdout)
    assert re.search(r"\nplan: the filter passes \d+ documents; candidates lexical", ended.stdout)
    plain = inside("search", words_only, "a lazy bear by the garden wall", "--top", 3, "--collapse")
    assert "[d19]" in plain.stdout
    assert "near-duplicates: d20, d21, d22" in plain.stdout


def test_a_filter_that_can_match_nothing_is_told(inside: Cloze, words_only: Path) -> None:
    ended = inside("search", words_only, "ship", "--filter", "year = '2000'")
    assert "year" in ended.stderr.splitlines()[0]
    assert ended.stdout == "no documents match 'ship'\n"


def test_a_query_that_is_no_utf8(cloze: Cloze, hybrid: tuple[Path, dict[str, Any]]) -> None:
    ended = cloze("search", hybrid[0], os.fsdecode(b"ship caf\xe9"), "--json")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["query"] == "ship caf?"


@pytest.fixture(scope="module")
def odd_names(cloze: Cloze, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index with ties, and ids with white space."""
    folder = tmp_path_factory.mktemp("odd")
    corpus = folder / "corpus.jsonl"
    names = ["a b", "tab\u3000wide", *(f"same {n}" for n in range(5)), "z"]
    corpus.write_text("".join(json.dumps({"_id": n, "text": "water ship"}) + "\n" for n in names))
    assert cloze("index", folder / "index", corpus, "--lexical-only").returncode == 0
    return folder / "index"


def test_a_run_file(cloze: Cloze, odd_names: Path, tmp_path: Path) -> None:
    queries, run = tmp_path / "queries.jsonl", tmp_path / "ship.run"
    lines = [
        {"_id": "q 1", "text": "ship"},
        {"_id": "q2", "text": "nothing"},
        {"_id": "3", "text": ""},
    ]
    queries.write_text("".join(json.dumps(line) + "\n" for line in lines))
    ended = cloze("search", odd_names, "--queries", queries, "--run", run, "--top", 100)
    assert (ended.returncode, ended.stdout) == (0, "")
    assert "are percent-encoded" in ended.stderr
    rows = [line.split() for line in run.read_text().splitlines()]
    assert [len(row) for row in rows] == [6] * 8
    assert {(row[0], row[1], row[5]) for row in rows} == {("q%201", "Q0", "cloze-default")}
    assert [row[3] for row in rows] == [f"{rank}" for rank in range(1, 9)]
    expected = ["a%20b", *(f"same%20{n}" for n in range(5)), "tab%E3%80%80wide", "z"]
    assert [row[2] for row in rows] == expected
    assert all(np.float32(a[4]) > np.float32(b[4]) for a, b in pairwise(rows))
    assert [path.name for path in tmp_path.glob("*.part")] == []


def test_a_run_of_every_mode_agrees_with_single_searches(
    inside: Cloze, hybrid: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    queries, run = tmp_path / "queries.jsonl", tmp_path / "out.run"
    queries.write_text('{"_id": "q", "text": "a supersonic wing"}\n')
    assert inside("search", hybrid[0], "--queries", queries, "--run", run).returncode == 0
    hits = json.loads(inside("search", hybrid[0], "a supersonic wing", "--json").stdout)["hits"]
    rows = [line.split() for line in run.read_text().splitlines()]
    names = [hit["id"].replace(" ", "%20") for hit in hits]
    assert [row[2] for row in rows] == names
    assert [float(row[4]) for row in rows] == pytest.approx([h["score"] for h in hits], rel=1e-6)


def test_compact_tells_the_recall_that_it_reached(
    inside: Cloze, hybrid: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(hybrid[0], folder)
    compacted = inside("compact", folder, "--faiss", "HNSW8,Flat", "--recall", "0.9")
    (line,) = [each for each in compacted.stdout.splitlines() if "vectors" in each]
    assert "HNSW8,Flat, 100 efSearch: recall at ten" in line and "0.9 was asked for" in line
    assert line in inside("info", folder).stdout
    flat = inside("compact", folder, "--faiss", "IVF4096,SQ8")
    assert "flat: exact; too few yet for IVF4096,SQ8" in flat.stdout


def test_export_gives_back_what_came_in(
    cloze: Cloze, hybrid: tuple[Path, dict[str, Any]], tiny_model: Path, tmp_path: Path,
    documents: list[Document],
) -> None:  # fmt: skip
    exported = cloze("export", hybrid[0])
    records = [json.loads(line) for line in exported.stdout.splitlines()]
    assert records == [
        {"_id": d.id, "title": d.title, "text": d.text, "metadata": d.metadata} for d in documents
    ]
    again = cloze(
        "index", tmp_path / "again", "-", "--model", tiny_model, "--json", input=exported.stdout
    )
    report = json.loads(again.stdout)
    assert report["added"] == len(documents)
    assert cloze("export", tmp_path / "again").stdout == exported.stdout
    answers = [
        json.loads(cloze("search", folder, "under water", "--json", "--top", 50).stdout)["hits"]
        for folder in (hybrid[0], tmp_path / "again")
    ]
    for a, b in zip(*answers, strict=True):
        assert a == b


def test_show_delete_and_info(inside: Cloze, words_only: Path, tmp_path: Path) -> None:
    folder = tmp_path / "index"
    shutil.copytree(words_only, folder)
    assert json.loads(inside("show", folder, "only a title").stdout) == {
        "_id": "only a title", "title": "the supersonic ship", "text": "", "metadata": {},
    }  # fmt: skip
    deleted = inside("delete", folder, "only a title", "nobody", "--json")
    assert json.loads(deleted.stdout) == {"deleted": 1, "missing": 1}
    assert "1 of the ids are not in" in deleted.stderr
    assert "has no document 'only a title'" in one_line(inside("show", folder, "only a title"))
    by_filter = inside("delete", folder, "--filter", "year = 1991", "--json")
    assert json.loads(by_filter.stdout)["deleted"] > 0
    info = json.loads(inside("info", folder, "--json").stdout)
    assert info["documents"] == 159 - json.loads(by_filter.stdout)["deleted"]
    assert list(info["fields"]) == ["lang", "year"]
    assert info["manifest"]["encoder"] is None
    compacted = inside("compact", folder)
    assert (compacted.returncode, "compacted" in compacted.stdout) == (0, True)
    assert json.loads(inside("info", folder, "--json").stdout)["dead"] == 0


def test_reindex_gives_vectors(
    inside: Cloze, odd_names: Path, tiny_model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "index"
    shutil.copytree(odd_names, folder)
    ended = inside("reindex", folder, "--model", tiny_model)
    assert (ended.returncode, ended.stdout) == (
        0, f"{folder}: 8 documents encoded by {tiny_model}\n",
    )  # fmt: skip
    assert len(json.loads(inside("search", folder, "sea", "--json").stdout)["hits"]) == 8


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def wreck_postings(folder: Path) -> None:
    flip(next(folder.glob("lexical/*/*.idx")))


def wreck_vectors(folder: Path) -> None:
    flip(next(folder.glob("dense/*.safetensors")))


def wreck_store(folder: Path) -> None:
    with sqlite3.connect(folder / "store.sqlite") as database:
        database.execute("UPDATE contents SET text = 'other' WHERE number = 5")
    database.close()


def test_verify_is_0_when_clean(inside: Cloze, hybrid: tuple[Path, dict[str, Any]]) -> None:
    folder = hybrid[0]
    ended = inside("verify", folder)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"{folder}: clean\n", "")
    assert json.loads(inside("verify", folder, "--json").stdout) == {
        "folder": str(folder), "clean": True, "damage": [],
    }  # fmt: skip


@pytest.mark.parametrize("wreck", [wreck_postings, wreck_vectors, wreck_store])
def test_verify_is_1_with_the_damage_listed(
    inside: Cloze,
    hybrid: tuple[Path, dict[str, Any]],
    tmp_path: Path,
    wreck: Callable[[Path], None],
) -> None:
    folder = tmp_path / "index"
    shutil.copytree(hybrid[0], folder)
    wreck(folder)
    ended = inside("verify", folder, "--json")
    report = json.loads(ended.stdout)
    assert (ended.returncode, report["clean"], len(report["damage"])) == (1, False, 1)
    assert str(folder) in report["damage"][0]


def test_damaged_vectors_are_told_and_answered_without(
    inside: Cloze, hybrid: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder = tmp_path / "index"
    shutil.copytree(hybrid[0], folder)
    wreck_vectors(folder)
    damaged, whole = (
        inside("search", place, "ship", "--json", "--mode", "dense")
        for place in (folder, hybrid[0])
    )
    assert json.loads(damaged.stdout)["hits"] == json.loads(whole.stdout)["hits"]
    assert ".safetensors" in one_line_of(damaged.stderr)
    assert whole.stderr == ""


def one_line_of(text: str) -> str:
    (line,) = text.splitlines()
    return line


# Arguments after which INDEX stands for a lexical-only index and CORPUS for a file of documents.
MISTAKES = [
    (["search", "nowhere", "q"], "nowhere is not an index: it does not exist"),
    (["search", "CORPUS", "q"], "is not an index: it is a file"),
    (["search", "INDEX"], "search takes a QUERY, or --queries FILE with --run FILE"),
    (["search", "INDEX", "q", "--queries", "CORPUS"], "search takes a QUERY"),
    (["search", "INDEX", "q", "--mode", "dense"], "asked for --mode dense"),
    (["search", "INDEX", "q", "--mode", "fast"], "mode is 'fast'; choose hybrid, dense, lexical"),
    (["search", "INDEX", "q", "--fusion", "sum"], "fusion is 'sum'; choose minmax, rrf"),
    (["search", "INDEX", "q", "--top", "-1"], "top is -1"),
    (["search", "INDEX", "q", "--facets", "colour"], "colour"),
    (
        ["search", "INDEX", "--queries", "CORPUS", "--run", "r", "--explain"],
        "--facets and --explain are about one QUERY",
    ),
    (["search", "INDEX", "q", "--filter", "year >"], "at character 7 of the filter"),
    (["search", "INDEX", "q", "--filter", "colour = 1"], "colour"),
    (["search", "INDEX", "q", "--device", "tpu"], "--device is 'tpu'; choose auto, cpu or cuda"),
    (["search", "INDEX", "--queries", "none.jsonl", "--run", "r"], "none.jsonl"),
    (["index", "INDEX", "none.jsonl"], "none.jsonl"),
    (["index", "CORPUS", "CORPUS", "--lexical-only"], "is a file, not an index"),
    (["index", "INDEX", "CORPUS", "--language", "german"], "asked for 'german'"),
    (["index", "new", "CORPUS", "--language", "klingon", "--lexical-only"], "klingon"),
    (["index", "new", "CORPUS", "--model", "./none"], "there is no folder ./none"),
    (["index", "new", "CORPUS", "--lexical-only", "--id", "nope"], "nope"),
    (["delete", "INDEX"], "delete takes ids or --filter"),
    (["delete", "INDEX", "d1", "--filter", "year = 1"], "delete takes ids or --filter"),
    (["show", "INDEX", "nobody"], "has no document 'nobody'"),
    (["reindex", "INDEX", "--model", "./none"], "there is no folder ./none"),
    (["verify", "nowhere"], "is not an index"),
    (["export", "nowhere"], "is not an index"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES, ids=lambda value: str(value)[:40])
def test_the_users_mistake_is_one_line_and_2(
    inside: Cloze,
    words_only: Path,
    corpus_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    places = {"INDEX": str(words_only), "CORPUS": str(corpus_file)}
    ended = inside(*(places.get(each, each) for each in arguments))
    assert ended.returncode == 2
    assert message in one_line(ended)


def test_a_mistake_ends_a_process_with_2(cloze: Cloze, tmp_path: Path) -> None:
    ended = cloze("search", tmp_path / "nowhere", "q")
    assert ended.returncode == 2
    assert "is not an index: it does not exist" in one_line(ended)


def test_debug_shows_the_traceback(cloze: Cloze, tmp_path: Path) -> None:
    ended = cloze("--debug", "search", tmp_path / "nowhere", "q")
    assert ended.returncode != 0
    assert "Traceback (most recent call last)" in ended.stderr
    assert "indexer.errors.ClozeError" in ended.stderr


@pytest.mark.parametrize("threads", ["abc", "-1", "1.5"])
def test_a_bad_number_of_threads_is_named(
    inside: Cloze, words_only: Path, monkeypatch: pytest.MonkeyPatch, threads: str
) -> None:
    monkeypatch.setenv("CLOZE_THREADS", threads)
    ended = inside("search", words_only, "q")
    assert ended.returncode == 2
    assert f"CLOZE_THREADS is {threads!r}" in one_line(ended)


def test_damage_is_one_line_and_1(inside: Cloze, words_only: Path, tmp_path: Path) -> None:
    folder = tmp_path / "index"
    shutil.copytree(words_only, folder)
    (folder / "manifest.json").write_text("{}")
    ended = inside("search", folder, "q")
    assert ended.returncode == 1
    assert "manifest.json is damaged" in one_line(ended)


def test_a_reader_that_leaves_early_is_no_error(words_only: Path) -> None:
    command = f"'{sys.executable}' '{ROOT / 'cloze.py'}' export '{words_only}' | head -n 1"
    ended = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, check=False
    )
    assert json.loads(ended.stdout)["_id"] == "d0"
    assert ended.stderr == ""


NO_NETWORK = """
import socket, sys

def refuse(*arguments):
    sys.stderr.write("something asked for the network\\n")
    raise OSError("there is no network here")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
import cloze
cloze.main()
"""


def test_nothing_asks_for_the_network(corpus_file: Path, tiny_model: Path, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    for arguments in (
        ["index", "index", corpus_file, "--model", tiny_model],
        ["search", "index", "a supersonic ship"],
    ):
        ended = subprocess.run(
            [sys.executable, "-c", NO_NETWORK, *map(str, arguments)],
            env=environment | {"PYTHONPATH": str(ROOT)}, cwd=tmp_path,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        assert "network" not in ended.stderr
        assert ended.stdout
