"""Tuning finds what the judgements say, and lets an index alone where they say nothing."""

import json
import random
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from eval.collections import Collection
from eval.commands.tune import tune
from eval.measures import score
from eval.runs import Run
from eval.settings import Setting, grid, present_setting, write_setting
from eval.sweep import Sweep
from eval.tuning import Plan, Tuner, Tuning, assign_folds, choose, cross_validate
from indexer.creation import Settings
from indexer.defaults import change_defaults
from indexer.documents import Document
from indexer.errors import ClozeError
from indexer.manifest import Defaults, read_manifest
from indexer.progress import Step, silent
from search.index import Index
from search.reranking.reranker import Candidate, Scored
from search.runs import column

Qrels = Mapping[str, Mapping[str, int]]

PRESENT = Setting(fusion="minmax", weight=0.5, depth=1000, title_weight=1)
QUERIES = 24


@pytest.fixture(scope="module")
def built(
    tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, documents: list[Document]
) -> Path:
    """An index of documents without titles, for which there is less to try."""
    folder = tmp_path_factory.mktemp("tuning") / "index"
    with Index.open(folder, Settings(model=str(tiny_model))) as index:
        index.add(replace(document, title="") for document in documents[40:110])
    return folder


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "index"))


@pytest.fixture(scope="module")
def queries(documents: list[Document]) -> dict[str, str]:
    """Every query is some words of a document."""
    drawn = random.Random(1)
    texts = [words for each in documents[40:110] if len(words := each.text.split()) > 8]
    return {f"q{n}": " ".join(drawn.sample(drawn.choice(texts), 5)) for n in range(QUERIES)}


def collection(queries: Mapping[str, str], qrels: Qrels, split: str = "dev") -> Collection:
    return Collection(
        name="small", split=split, queries=queries, qrels=qrels, unjudged=0, source=None, notices=()
    )


def dense_first(folder: Path, queries: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """Judgements that hold the first document of the dense list alone for relevant."""
    with Index.open(folder) as index:
        return {
            query: {column(index.rank(text, mode="dense", top=1)[0][0]): 1}
            for query, text in queries.items()
        }


def at_random(documents: Sequence[Document], queries: Mapping[str, str]) -> Qrels:
    drawn = random.Random(2)
    ids = [column(document.id) for document in documents[40:110]]
    return {query: dict.fromkeys(drawn.sample(ids, 8), 1) for query in queries}


def tuned(folder: Path, queries: Mapping[str, str], qrels: Qrels, **plan: Any) -> Tuning:  # noqa: ANN401
    with Index.open(folder) as index:
        return Tuner(index, collection(queries, qrels), Plan(**plan)).run()


def write_beir(folder: Path, queries: Mapping[str, str], qrels: Qrels, split: str) -> Path:
    (folder / "qrels").mkdir(parents=True)
    lines = [json.dumps({"_id": query, "text": text}) for query, text in queries.items()]
    (folder / "queries.jsonl").write_text("\n".join(lines))
    rows = [f"{query}\t{each}\t{grade}" for query in qrels for each, grade in qrels[query].items()]
    (folder / "qrels" / f"{split}.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *rows]))
    return folder


def run_command(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(tune)
    return CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)


@pytest.fixture
def titled_folder(folder: Path, documents: list[Document]) -> Path:
    with Index.open(folder) as index:
        index.add(documents[31:50])
        index.compact()  # as the postings of other title weights are: without the dead
    return folder


@pytest.mark.parametrize("measure", ["nDCG@10", "AP", "P(judged_only=True)@5"])
def test_every_setting_is_measured_as_a_search_by_it_is(
    titled_folder: Path, queries: dict[str, str], documents: list[Document], measure: str
) -> None:
    folder = titled_folder
    asked = dict(list(queries.items())[:8]) | {"empty": " "}
    qrels = at_random(documents, asked)
    settings = [
        PRESENT,
        replace(PRESENT, weight=0.0, depth=50),
        replace(PRESENT, weight=0.85, depth=100, title_weight=3),
        replace(PRESENT, fusion="rrf", weight=None, title_weight=5),
        replace(PRESENT, fusion="rrf", weight=None, depth=50),
    ]
    with Index.open(folder) as index:
        values = Sweep(index, collection(asked, qrels), measure).run(settings, silent)
        for setting, found in zip(settings, values, strict=True):
            write_setting(folder, present_setting(index), setting)
            index.refresh()
            assert present_setting(index) == setting
            run = {query: index.rank(text, top=1000) for query, text in asked.items()}
            encoded = {
                query: [(column(each), value) for each, value in ranked]
                for query, ranked in run.items()
            }
            expected = score(qrels, Run(name="", ranked=encoded), [measure])[measure]
            assert found.tolist() == pytest.approx([expected[query] for query in asked], abs=1e-12)
    if "judged_only" not in measure:  # by which all of these rank alike
        assert len({tuple(row) for row in values.tolist()}) == len(settings)


def test_it_finds_the_weight_that_the_judgements_ask_for_and_searches_use_it(
    folder: Path, tmp_path: Path, queries: dict[str, str]
) -> None:
    qrels = dense_first(folder, queries)
    beir = write_beir(tmp_path / "beir", queries, qrels, "dev")
    result = run_command(folder, beir, "--json")
    found = json.loads(result.stdout)
    assert found["written"] and found["p_value"] < 0.05
    assert found["present"] == {"fusion": "minmax", "weight": 0.5, "depth": 1000, "title_weight": 1}
    assert found["tuned"]["weight"] >= 0.8
    assert found["mean_tuned"] > found["mean_present"] + 0.1
    assert found["gain"] == pytest.approx(found["mean_tuned"] - found["mean_present"])
    assert found["ci95"][0] > 0
    assert (found["split"], found["queries"], found["folds"]) == ("dev", QUERIES, 5)
    assert len(found["choices"]) == 5
    curve = {point["weight"]: point["mean"] for point in found["curve"]}
    assert curve[1.0] == pytest.approx(1.0) and curve[0.0] < curve[0.5] < curve[1.0]
    with Index.open(folder) as index:
        first = [column(index.rank(text, top=1)[0][0]) for text in queries.values()]
        assert present_setting(index) == Setting(**found["tuned"])
    hits = sum(each in qrels[query] for query, each in zip(queries, first, strict=True))
    assert hits > 0.8 * QUERIES


class Graded:
    """A reranker that gives every document of a query its grade."""

    name, content_hash, precision, passages = "graded", "0", "fp32", 1

    def __init__(self, grades: Mapping[str, Mapping[str, int]]) -> None:
        self.grades = grades

    def score(self, query: str, candidates: Sequence[Candidate]) -> list[Scored]:
        grades = self.grades[query]
        return [
            Scored(score=float(grades.get(each.passages[0].text, 0)) if each.passages else None)
            for each in candidates
        ]


def narrowed(
    folder: Path, documents: Sequence[Document]
) -> tuple[dict[str, str], dict[str, dict[str, int]]]:
    """Queries whose best document is the dense list's first; a good one is in hybrid's five alone.

    More weight for the dense list raises the best document, and costs a reranker of five the other.
    """
    drawn = random.Random(4)
    long = [words for each in documents[40:110] if len(words := each.text.split()) > 8]
    queries: dict[str, str] = {}
    grades: dict[str, dict[str, int]] = {}
    with Index.open(folder) as index:
        while len(queries) < QUERIES:
            text = " ".join(drawn.sample(drawn.choice(long), 5))
            dense = [id_ for id_, _ in index.rank(text, mode="dense", top=70)]
            hybrid = [id_ for id_, _ in index.rank(text, top=5)]
            worst = max(hybrid, key=dense.index)
            if dense[0] in hybrid[1:] and dense.index(worst) > 15:
                queries[f"q{len(queries)}"] = text
                grades[text] = {dense[0]: 9, worst: 1}
    return queries, grades


@pytest.mark.parametrize("reranked", [True, False])
def test_what_the_indexs_reranker_gets_worse_by_is_not_written(
    folder: Path,
    tmp_path: Path,
    documents: list[Document],
    monkeypatch: pytest.MonkeyPatch,
    reranked: bool,
) -> None:
    queries, grades = narrowed(folder, documents)
    qrels = {name: {column(id_): each for id_, each in grades[text].items()}
             for name, text in queries.items()}  # fmt: skip
    texts = {document.id: document.text for document in documents}
    by_text = {query: {texts[id_]: each for id_, each in found.items()}
               for query, found in grades.items()}  # fmt: skip
    monkeypatch.setattr(
        "search.reranking.opening.open_reranker", lambda name, index: Graded(by_text)
    )
    before = Defaults(rerank="graded", rerank_depth=5, rerank_weight=1.0)
    if reranked:
        change_defaults(folder, lambda _: before)
    beir = write_beir(tmp_path / "beir", queries, qrels, "dev")
    told = json.loads(run_command(folder, beir, "--rerank", "none", "--json").stdout)
    assert told["p_value"] < 0.05 and told["gain"] > 0 and told["tuned"]["weight"] > 0.5
    assert told["written"] is not reranked
    if not reranked:
        assert told["reranked_gain"] is None
        return
    assert told["reranked_gain"] < 0
    assert read_manifest(folder).defaults == before
    result = run_command(folder, beir, "--rerank", "none")
    assert "without a reranker, but with the index's own, graded, the choice is" in result.stdout
    # One that reads enough loses nothing, so there is no reason against the change.
    change_defaults(folder, lambda _: replace(before, rerank_depth=70))
    deep = json.loads(run_command(folder, beir, "--rerank", "none", "--json").stdout)
    assert deep["reranked_gain"] == pytest.approx(0) and deep["written"]
    assert read_manifest(folder).defaults.weight == told["tuned"]["weight"]


def test_with_a_reranker_the_title_weight_stays(
    titled_folder: Path, queries: dict[str, str], documents: list[Document]
) -> None:
    qrels = at_random(documents, queries)
    free = tuned(titled_folder, queries, qrels)
    change_defaults(titled_folder, lambda _: Defaults(rerank="late"))
    bound = tuned(titled_folder, queries, qrels)
    assert free.has_titles and bound.has_titles and bound.reranker == "late"
    assert {choice.title_weight for choice in (*bound.choices, bound.tuned)} == {1}
    assert bound.reranked is None and not bound.worth_writing


def test_a_dry_run_says_the_same_and_writes_nothing(
    folder: Path, tmp_path: Path, queries: dict[str, str]
) -> None:
    beir = write_beir(tmp_path / "beir", queries, dense_first(folder, queries), "test")
    before = contents(folder)
    result = run_command(folder, beir, "--dry-run")
    assert contents(folder) == before
    assert "Nothing changed (--dry-run); the gain is significant" in result.stdout
    assert "can no longer be used to report this index" in result.stderr


def contents(folder: Path) -> dict[str, bytes]:
    """The files of an index that a reader leaves alone."""
    names = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in names if ".sqlite-" not in path.name}


@pytest.mark.parametrize("seed", [0, 1])
def test_judgements_at_random_change_nothing(
    folder: Path, tmp_path: Path, queries: dict[str, str], documents: list[Document], seed: int
) -> None:
    beir = write_beir(tmp_path / "beir", queries, at_random(documents, queries), "dev")
    before = contents(folder)
    result = run_command(folder, beir, "--seed", seed)
    assert contents(folder) == before
    assert "Nothing changed: " in result.stdout and "can no longer" not in result.stderr


def test_it_is_deterministic_and_tells_how_far_it_is(
    folder: Path, queries: dict[str, str], documents: list[Document]
) -> None:
    asked = dict(list(queries.items())[:12])
    qrels = at_random(documents, asked)
    first = tuned(folder, asked, qrels)
    backwards = dict(reversed(asked.items()))
    steps: list[Step] = []
    with Index.open(folder) as index:
        tuner = Tuner(index, collection(backwards, qrels), Plan())
        assert tuner.position() is None
        again = tuner.run(steps.append)
        assert tuner.position() == 1.0
    assert again.choices == first.choices and again.tuned == first.tuned
    assert again.comparison == first.comparison
    assert [step.documents for step in steps if step.phase == "search"] == list(range(1, 13))


def lexical_only(folder: Path, documents: Sequence[Document]) -> Path:
    with Index.open(folder, Settings(lexical_only=True)) as index:
        index.add(documents)
    return folder


def titled(word: str) -> list[Document]:
    """A document with the word in its title, and one that says it twice in its text."""
    return [
        Document(id=f"title {word}", title=f"{word} report", text="boat garden lazy wall river"),
        Document(id=f"text {word}", title="other report", text=f"{word} {word} water ship"),
    ]


def test_a_lexical_only_index_gets_a_title_weight(tmp_path: Path) -> None:
    words = [f"topic{number}" for number in range(12)]
    folder = lexical_only(tmp_path / "index", [each for word in words for each in titled(word)])
    qrels = {word: {column(f"title {word}"): 1} for word in words}
    beir = write_beir(tmp_path / "beir", {word: word for word in words}, qrels, "dev")
    result = run_command(folder, beir)
    assert "Written" in result.stdout and "(before: title weight 1)" in result.stdout
    manifest = read_manifest(folder)
    assert manifest.title_weight > 1 and manifest.defaults == Defaults()
    with Index.open(folder) as index:
        assert [index.rank(word)[0][0] for word in words] == [f"title {word}" for word in words]


def test_without_titles_their_weight_is_left_alone(tmp_path: Path) -> None:
    words = [f"topic{number}" for number in range(12)]
    bare = [replace(each, title="") for word in words for each in titled(word)]
    folder = lexical_only(tmp_path / "index", bare)
    qrels = {word: {column(f"text {word}"): 1} for word in words}
    beir = write_beir(tmp_path / "beir", {word: word for word in words}, qrels, "dev")
    result = run_command(folder, beir)
    assert "no document has a title" in result.stdout
    assert "no other setting is better" in result.stdout


def test_what_does_not_fit_is_refused(folder: Path, queries: dict[str, str]) -> None:
    def refuse(queries: Mapping[str, str], match: str, **plan: Any) -> None:  # noqa: ANN401
        judged = {query: {"not in the index": 1} for query in queries}
        with pytest.raises(ClozeError, match=match):
            tuned(folder, queries, judged, **plan)

    few = dict(list(queries.items())[:9])
    refuse(few, "small has 9 judged queries, tuning needs 10")
    refuse(queries, "25 folds of 24 queries; choose 2 to 24", folds=25)
    refuse(queries, "1 folds of 24", folds=1)
    refuse(queries, "got 2: AP, RR@10", measure="AP RR@10")
    refuse(queries, "nothing relevant for 24 queries of small")


def test_the_grid_holds_the_present_setting() -> None:
    odd = Setting(fusion="minmax", weight=0.33, depth=70, title_weight=4)
    assert odd in grid(odd, with_titles=True)
    assert len(grid(odd, with_titles=True)) == (22 + 1) * 6 * 5
    assert {each.title_weight for each in grid(odd, with_titles=False)} == {4}
    assert len(set(grid(PRESENT, with_titles=True))) == (21 + 1) * 5 * 4
    assert replace(PRESENT, fusion="rrf", weight=None) in grid(PRESENT, with_titles=False)
    alone = replace(PRESENT, fusion=None, weight=None)
    assert [each.title_weight for each in grid(alone, with_titles=True)] == [1, 2, 3, 5]


def test_parts_that_stay_are_not_written(folder: Path) -> None:
    write_setting(folder, PRESENT, replace(PRESENT, depth=200))
    assert read_manifest(folder).defaults == Defaults(depth=200)
    there = replace(PRESENT, depth=200)
    rrf = replace(there, fusion="rrf", weight=None)
    write_setting(folder, there, rrf)
    assert read_manifest(folder).defaults == Defaults(fusion="rrf", depth=200)
    write_setting(folder, rrf, replace(there, weight=0.5))
    assert read_manifest(folder).defaults == Defaults(fusion="minmax", weight=0.5, depth=200)


@given(st.integers(2, 60), st.integers(0, 5), st.data())
def test_folds_are_even_and_come_from_the_ids(count: int, seed: int, data: st.DataObject) -> None:
    folds = data.draw(st.integers(2, count))
    queries = [f"q{number}" for number in range(count)]
    assigned = assign_folds(queries, folds, seed)
    sizes = np.bincount(assigned, minlength=folds)
    assert len(sizes) == folds and sizes.max() - sizes.min() <= 1 and sizes.min() > 0
    order = data.draw(st.permutations(range(count)))
    moved = assign_folds([queries[place] for place in order], folds, seed)
    assert moved.tolist() == assigned[order].tolist()


def test_another_seed_makes_other_folds() -> None:
    queries = [f"q{number}" for number in range(50)]
    assert assign_folds(queries, 5, 0).tolist() != assign_folds(queries, 5, 1).tolist()


WAYS = [replace(PRESENT, weight=weight) for weight in (0.0, 0.25, 0.5, 0.75, 1.0)]


@given(st.data())
def test_held_out_queries_never_influence_their_folds_choice(data: st.DataObject) -> None:
    draw: Callable[..., Any] = data.draw
    count, fold = draw(st.integers(10, 25)), draw(st.integers(0, 3))
    generator = np.random.default_rng(draw(st.integers(0, 1_000)))
    values = generator.random((len(WAYS), count)) ** 4
    folds = assign_folds([str(number) for number in range(count)], 4, draw(st.integers(0, 9)))
    before = cross_validate(WAYS, PRESENT, values, folds)
    changed = values.copy()
    changed[:, folds == fold] = 0.0
    changed[draw(st.integers(0, len(WAYS) - 1)), folds == fold] = 1.0
    after = cross_validate(WAYS, PRESENT, changed, folds)
    assert after[fold] == before[fold]
    assert before[fold] == choose(WAYS, PRESENT, values[:, folds != fold])


def test_a_folds_choice_depends_on_the_other_folds() -> None:
    folds = assign_folds([str(number) for number in range(20)], 2, 0)
    values = np.zeros((len(WAYS), 20))
    values[0, folds == 0] = 1.0
    values[4, folds == 1] = 1.0
    assert cross_validate(WAYS, PRESENT, values, folds) == [4, 0]


def test_of_equals_the_nearest_to_the_present_is_chosen() -> None:
    values = np.full((len(WAYS), 10), 0.5)
    assert choose(WAYS, PRESENT, values) == 2
    values[2] = 0.1
    assert choose(WAYS, replace(PRESENT, weight=0.55), values) == 3
    depths = [replace(PRESENT, depth=50, weight=0.55), replace(PRESENT, weight=1.0)]
    assert choose(depths, PRESENT, values[3:]) == 1  # one part is other instead of two


def test_what_one_query_prefers_decides_nothing() -> None:
    values = np.full((len(WAYS), 10), 0.5)
    values[4, 0] = 1.0
    assert choose(WAYS, PRESENT, values) == 2  # behind by 0.05, the standard error is 0.05
    values[4, 1] = 1.0
    assert choose(WAYS, PRESENT, values) == 4  # behind by 0.1, the standard error is 0.067
