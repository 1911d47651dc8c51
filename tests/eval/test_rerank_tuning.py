"""A reranker's weight is tuned after the first stages, and written only where it is better."""

import json
import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from eval.collections import Collection
from eval.commands.tune import tune
from eval.measures import score
from eval.rerank_tuning import WEIGHTS, RerankTuner, write_reranker
from eval.runs import Run
from eval.tuning import Plan
from indexer.creation import Settings
from indexer.defaults import change_defaults
from indexer.documents import Document
from indexer.errors import ClozeError
from indexer.manifest import Defaults, read_manifest
from indexer.progress import Step
from search.index import Index
from search.reranking.reranker import Candidate, Scored
from search.runs import column

QUERIES = 20
Qrels = Mapping[str, Mapping[str, int]]


class Oracle:
    """Gives the relevant document of a query 1 and every other one 0, or the other way round."""

    content_hash, precision, passages = "0", "fp32", 3

    def __init__(self, texts: Mapping[str, str], sign: float) -> None:
        self.name = "oracle"
        self.texts = texts
        self.sign = sign
        self.read: list[tuple[str, int]] = []

    def score(self, query: str, candidates: Sequence[Candidate]) -> list[Scored]:
        self.read += [(query, candidate.number) for candidate in candidates]
        wanted = self.texts[query]
        return [
            Scored(score=self.sign * float(candidate.passages[0].text in wanted))
            for candidate in candidates
        ]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, documents: list[Document]) -> Path:
    folder = tmp_path_factory.mktemp("rerank-tuning") / "index"
    with Index.open(folder, Settings(lexical_only=True)) as index:
        index.add(Document(id=each.id, text=each.text) for each in documents[40:110])
    return folder


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "index"))


class Judged:
    """Queries, each with one relevant document somewhere in its ranking, and what reranks it."""

    def __init__(self, folder: Path, documents: Sequence[Document], place: int) -> None:
        drawn = random.Random(3)
        long = [words for each in documents[40:110] if len(words := each.text.split()) > 8]
        texts = {document.id: document.text for document in documents}
        self.queries: dict[str, str] = {}
        self.qrels: dict[str, dict[str, int]] = {}
        relevant: dict[str, str] = {}
        self.qrels_ids: list[str] = []
        with Index.open(folder) as index:
            while len(self.queries) < QUERIES:
                text = " ".join(drawn.sample(drawn.choice(long), 4))
                ranked = index.rank(text)
                if len(ranked) > place:
                    name = f"q{len(self.queries)}"
                    self.queries[name] = text
                    self.qrels[name] = {column(ranked[place][0]): 1}
                    self.qrels_ids.append(ranked[place][0])
                    relevant[text] = texts[ranked[place][0]]
        self.relevant = relevant

    def collection(self) -> Collection:
        return Collection(
            name="small", split="dev", queries=self.queries, qrels=self.qrels, unjudged=0,
            source=None, notices=(),
        )  # fmt: skip

    def write(self, folder: Path) -> Path:
        (folder / "qrels").mkdir(parents=True)
        lines = [json.dumps({"_id": name, "text": text}) for name, text in self.queries.items()]
        (folder / "queries.jsonl").write_text("\n".join(lines))
        rows = [f"{name}\t{each}\t1" for name, grades in self.qrels.items() for each in grades]
        text = "\n".join(["query-id\tcorpus-id\tscore", *rows])
        (folder / "qrels" / "dev.tsv").write_text(text)
        return folder


def install(patch: pytest.MonkeyPatch, judged: Judged, sign: float = 1.0) -> Oracle:
    """Let every name open an oracle, and "inverse" its inverse."""
    oracle, inverse = Oracle(judged.relevant, sign), Oracle(judged.relevant, -sign)
    patch.setattr(
        "search.reranking.opening.open_reranker",
        lambda name, index: inverse if name == "inverse" else oracle,
    )
    return oracle


def run_command(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(tune)
    return CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)


def stored(folder: Path) -> Defaults:
    return read_manifest(folder).defaults


@pytest.mark.parametrize("measure", ["nDCG@10", "AP"])
def test_every_weight_is_measured_as_a_search_by_it_is(
    folder: Path, documents: list[Document], monkeypatch: pytest.MonkeyPatch, measure: str
) -> None:
    judged = Judged(folder, documents, 3)
    oracle = install(monkeypatch, judged)
    with Index.open(folder) as index:
        tuning = RerankTuner(index, judged.collection(), Plan(measure=measure), "oracle").run()
        assert len(set(oracle.read)) == len(oracle.read)
        assert [weight for weight, _ in tuning.curve] == list(WEIGHTS)
        for weight, mean in tuning.curve:
            ranked = {
                name: [
                    (column(document), value)
                    for document, value in index.rank(
                        text, rerank="oracle", rerank_weight=weight, top=1000
                    )
                ]
                for name, text in judged.queries.items()
            }
            values = score(judged.qrels, Run(name="", ranked=ranked), [measure])[measure]
            assert mean == pytest.approx(sum(values.values()) / QUERIES, abs=1e-12)
    assert tuning.curve[0][1] < tuning.curve[-1][1] == pytest.approx(1.0)
    assert tuning.present == 0.0 and tuning.mean_present == pytest.approx(tuning.curve[0][1])


def test_a_reranker_that_helps_is_written_and_searches_use_it(
    folder: Path, tmp_path: Path, documents: list[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = Judged(folder, documents, 3)
    beir = judged.write(tmp_path / "beir")
    install(monkeypatch, judged)
    dry = run_command(folder, beir, "--rerank", "oracle", "--dry-run")
    assert stored(folder) == Defaults()
    assert "Nothing changed (--dry-run); the gain is significant" in dry.stdout
    told = json.loads(run_command(folder, beir, "--rerank", "oracle", "--json").stdout)["rerank"]
    assert told["written"] and (told["name"], told["present"]) == ("oracle", 0.0)
    assert told["tuned"] in WEIGHTS[5:] and len(told["choices"]) == 5
    assert told["gain"] == pytest.approx(told["mean_tuned"] - told["mean_present"])
    assert stored(folder) == Defaults(rerank="oracle", rerank_weight=told["tuned"])
    with Index.open(folder) as index:
        for text in judged.queries.values():
            assert index.rank(text) == index.rank(
                text, rerank="oracle", rerank_weight=told["tuned"]
            )
    again = run_command(folder, beir)
    assert f"present {told['tuned']:g}, tuned {told['tuned']:g}" in again.stdout
    assert "Nothing changed: no other share is better by more than luck" in again.stdout


def test_one_that_harms_gets_less_weight(
    folder: Path, tmp_path: Path, documents: list[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = Judged(folder, documents, 0)
    beir = judged.write(tmp_path / "beir")
    install(monkeypatch, judged, sign=-1.0)
    before = Defaults(depth=200, rerank="oracle", rerank_depth=7, rerank_weight=0.9)
    change_defaults(folder, lambda _: before)
    assert "rerank" not in json.loads(
        run_command(folder, beir, "--rerank", "none", "--json").stdout
    )
    assert stored(folder) == before
    result = run_command(folder, beir)
    assert "searches now use oracle with weight 0.2" in result.stdout
    assert stored(folder) == replace(before, rerank_weight=0.2)
    with Index.open(folder) as index:
        tuning = RerankTuner(index, judged.collection(), Plan(), "oracle").run()
    assert tuning.present == 0.2 and not tuning.worth_writing
    write_reranker(folder, replace(tuning, tuned=0.0))
    assert stored(folder) == Defaults(depth=200)
    write_reranker(folder, replace(tuning, tuned=0.4))
    assert stored(folder) == Defaults(depth=200, rerank="oracle", rerank_weight=0.4)


def means(folder: Path, judged: Judged) -> float:
    """The mean nDCG@10 of the queries by searches that say nothing."""
    with Index.open(folder) as index:
        ranked = {
            name: [(column(document), value) for document, value in index.rank(text)]
            for name, text in judged.queries.items()
        }
    values = score(judged.qrels, Run(name="", ranked=ranked), ["nDCG@10"])["nDCG@10"]
    return sum(values.values()) / QUERIES


def test_another_reranker_is_what_has_to_be_outdone(
    folder: Path, tmp_path: Path, documents: list[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = Judged(folder, documents, 3)
    beir = judged.write(tmp_path / "beir")
    install(monkeypatch, judged)
    # A helpful one by another name, at its best already: no better one is to be had.
    before = Defaults(rerank="present", rerank_depth=60, rerank_weight=1.0)
    change_defaults(folder, lambda _: before)
    mean = means(folder, judged)
    told = json.loads(run_command(folder, beir, "--rerank", "oracle", "--json").stdout)["rerank"]
    assert (told["other"], told["present"], told["tuned"]) == ("present", None, None)
    assert told["mean_present"] == pytest.approx(mean) == pytest.approx(1.0)
    assert told["choices"] == [None] * 5 and not told["written"]
    assert [point["weight"] for point in told["curve"]] == list(WEIGHTS)
    assert stored(folder) == before
    # A harmful one gives way, and takes its depth and weight with it.
    change_defaults(folder, lambda _: replace(before, rerank="inverse"))
    assert means(folder, judged) < mean
    result = run_command(folder, beir, "--rerank", "oracle")
    assert "present inverse as now, tuned 0." in result.stdout
    assert stored(folder).rerank == "oracle" and stored(folder).rerank_depth is None


def test_a_folders_whole_path_is_stored(
    folder: Path, tmp_path: Path, documents: list[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = Judged(folder, documents, 3)
    install(monkeypatch, judged)
    (tmp_path / "cross").mkdir()
    monkeypatch.chdir(tmp_path)
    run_command(folder, judged.write(tmp_path / "beir"), "--rerank", "cross")
    assert stored(folder).rerank == str(tmp_path / "cross")


def test_all_queries_see_one_commit(
    folder: Path, documents: list[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = Judged(folder, documents, 3)
    install(monkeypatch, judged)

    def deleting(step: Step) -> None:
        with Index.open(folder) as writer:
            writer.delete([judged.qrels_ids[step.documents % QUERIES]])

    with Index.open(folder) as index:
        quiet = RerankTuner(index, judged.collection(), Plan(), "oracle").run()
        disturbed = RerankTuner(index, judged.collection(), Plan(), "oracle").run(deleting)
    assert disturbed == quiet


def test_a_wrong_name_is_told_before_the_work(folder: Path, documents: list[Document]) -> None:
    judged = Judged(folder, documents, 0)
    with Index.open(folder) as index, pytest.raises(ClozeError, match="did you mean 'late'"):
        RerankTuner(index, judged.collection(), Plan(), "lste")
