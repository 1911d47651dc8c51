"""An experiment end to end: its figures are those of its parts, and it refuses what can't be."""

import json
import re
import shutil
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import pytest
import pytrec_eval

from eval.comparison import compare_runs
from eval.experiment import Plan, run_experiment
from eval.judgements import read_qrels
from eval.runs import write_run
from indexer.creation import Settings
from indexer.defaults import change_defaults
from indexer.documents import Document
from indexer.errors import ClozeError
from indexer.index import Index as StoredIndex
from indexer.manifest import Defaults
from search.index import Index


def plan(small_collection: Path, small_index: Path, **options: object) -> Plan:
    return Plan(collection=str(small_collection), index=str(small_index), timed=False, **options)  # type: ignore[arg-type]


def test_its_figures_are_trec_evals_of_its_runs(small_collection: Path, small_index: Path) -> None:
    found = run_experiment(plan(small_collection, small_index, measures=["nDCG@10,AP,R@100"]))
    assert [system.name for system in found.systems] == ["rank-bm25", "lexical", "dense", "hybrid"]
    assert (found.baseline, found.split, len(found.queries)) == ("lexical", "test", 12)
    qrels = {query: dict(grades) for query, grades in found.qrels.items()}
    names = {"nDCG@10": "ndcg_cut_10", "AP": "map", "R@100": "recall_100"}
    oracle = pytrec_eval.RelevanceEvaluator(qrels, set(names.values()))
    for system in found.systems:
        run = {
            query: {document: float(-place) for place, (document, _) in enumerate(ranked)}
            for query, ranked in system.run.ranked.items()
        }
        values = oracle.evaluate(run)
        for ours, theirs in names.items():
            for query in found.queries:
                expected = values.get(query, {}).get(theirs, 0.0)
                assert system.per_query[ours][query] == pytest.approx(expected, abs=1e-9)
            assert system.means[ours] == pytest.approx(sum(system.per_query[ours].values()) / 12)
        compared = system.comparisons
        assert (compared == {}) == (system.name == "lexical")
        assert all(each.wins + each.ties + each.losses == 12 for each in compared.values())
        assert all(each.p_holm >= each.p_value for each in compared.values())
        # What the run depends on is named by the tag of its file.
        assert system.run.tag == found.provenance["runs"][system.name]
        assert re.fullmatch(rf"{system.name}-[0-9a-f]{{12}}", system.run.tag)
    lexical = found.systems[1]
    assert lexical.unanswered == 1  # the query of an unknown word
    title_only = found.documents(["only%20a%20title", "absent"])
    assert title_only["only%20a%20title"].title == "the supersonic ship"
    assert list(title_only) == ["only%20a%20title"]


def test_without_an_index_one_is_built_and_kept(
    small_collection: Path,
    tiny_model: Path,
    documents: list[Document],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CLOZE_HOME", str(tmp_path / "home"))
    shutil.copytree(small_collection, tmp_path / "copy")
    wanted = Plan(
        collection=str(tmp_path / "copy"), model=str(tiny_model), systems=["dense"], timed=False
    )

    def killed(index: StoredIndex, stream: Iterable[Document], **options: object) -> None:
        whole_add(index, islice(stream, 30))
        raise KeyboardInterrupt

    whole_add = StoredIndex.add
    with monkeypatch.context() as patch:
        patch.setattr(StoredIndex, "add", killed)
        with pytest.raises(KeyboardInterrupt):
            run_experiment(wanted)
    indexes = tmp_path / "home" / "indexes"
    assert len(list(indexes.iterdir())) == 1 and not list(indexes.glob("*/whole"))

    first = run_experiment(wanted)
    assert first.provenance["index"]["documents"] == len(documents)
    again = run_experiment(wanted)
    assert again.notices == ("finished runs were reused: dense",)
    assert again.systems == first.systems
    with (tmp_path / "copy" / "corpus.jsonl").open("a") as corpus:
        corpus.write(json.dumps({"_id": "new", "text": "the quick fish"}) + "\n")
    changed = run_experiment(wanted)
    assert len(list(indexes.glob("*/whole"))) == 2
    assert changed.provenance["index"]["documents"] == len(documents) + 1


def test_a_baseline_file_is_another_system_whatever_its_name(
    small_collection: Path, small_index: Path, tmp_path: Path
) -> None:
    made = run_experiment(plan(small_collection, small_index, systems=["hybrid"]))
    old = tmp_path / "lexical.trec"
    write_run(old, made.systems[0].run)
    found = run_experiment(
        plan(small_collection, small_index, systems=["lexical"], baseline=str(old))
    )
    assert [system.name for system in found.systems] == [str(old), "lexical"]
    assert found.baseline == str(old)
    assert found.systems[0].means == made.systems[0].means != found.systems[1].means
    assert found.systems[1].comparisons["nDCG@10"].difference == pytest.approx(
        found.systems[1].means["nDCG@10"] - made.systems[0].means["nDCG@10"]
    )
    other = tmp_path / "other" / "lexical.trec"
    other.parent.mkdir()
    write_run(other, found.systems[1].run)
    qrels = str(small_collection / "qrels" / "test.tsv")
    compared = compare_runs(qrels, [str(other)], baseline=str(old))
    assert [system.name for system in compared.systems] == [str(old), str(other)]
    with pytest.raises(ClozeError, match="2 systems are named 'lexical'"):
        run_experiment(
            plan(
                small_collection, small_index, systems=["lexical"],
                functions={"lexical": lambda query, top: []},
            )
        )  # fmt: skip


def test_runs_and_functions_beside_the_index(
    small_collection: Path, small_index: Path, tmp_path: Path
) -> None:
    made = run_experiment(plan(small_collection, small_index, systems=["hybrid"]))
    old = tmp_path / "old.trec"
    write_run(old, made.systems[0].run)

    def nothing(query: str, top: int) -> list[tuple[str, float]]:
        return []

    found = run_experiment(
        plan(
            small_collection, small_index, systems=["lexical,hybrid"], baseline=str(old),
            functions={"mine": nothing},
        )
    )  # fmt: skip
    assert found.baseline == "old"
    by_name = {system.name: system for system in found.systems}
    assert by_name.keys() == {"old", "lexical", "hybrid", "mine"}
    assert by_name["old"].means == by_name["hybrid"].means
    assert by_name["hybrid"].comparisons["nDCG@10"].p_value == 1.0
    assert by_name["mine"].unanswered == 12 and by_name["mine"].means["nDCG@10"] == 0

    alone = run_experiment(Plan(collection=str(small_collection), systems=[str(old)]))
    assert alone.systems[0].means == by_name["old"].means
    assert alone.documents(["only%20a%20title"])["only%20a%20title"].title  # of the corpus
    compared = compare_runs(str(small_collection / "qrels" / "test.tsv"), [str(old)])
    assert compared.systems[0].means == by_name["old"].means


def test_documents_that_are_their_query_are_left_out_on_request(
    small_collection: Path, small_index: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "own"
    (folder / "qrels").mkdir(parents=True)
    with Index.open(small_index) as index:
        best = index.rank("the quick fish", mode="lexical")[0][0]
    (folder / "queries.jsonl").write_text(json.dumps({"_id": best, "text": "the quick fish"}))
    (folder / "qrels" / "test.tsv").write_text(f"{best}\t{best}\t1\n")
    options = {"systems": ["lexical"], "measures": ["RR@10"]}
    kept = run_experiment(plan(folder, small_index, **options))
    dropped = run_experiment(plan(folder, small_index, drop_identical=True, **options))
    assert (kept.systems[0].means["RR@10"], dropped.systems[0].means["RR@10"]) == (1.0, 0.0)


def test_an_index_of_other_documents_is_refused(small_collection: Path, tmp_path: Path) -> None:
    with Index.open(tmp_path / "index", Settings(lexical_only=True)) as index:
        index.add([Document(id="other", text="the quick fish")])
    with pytest.raises(ClozeError, match="holds none of the"):
        run_experiment(plan(small_collection, tmp_path / "index"))
    with Index.open(tmp_path / "index") as index:
        index.add([Document(id="d0", text="the quick fish")])
    found = run_experiment(plan(small_collection, tmp_path / "index"))
    assert [system.name for system in found.systems] == ["rank-bm25", "lexical"]
    assert any("dense and hybrid are left out" in notice for notice in found.notices)
    assert any("14 of 15 relevant documents are not in" in notice for notice in found.notices)
    with pytest.raises(ClozeError, match="lexical-only"):
        run_experiment(plan(small_collection, tmp_path / "index", systems=["dense"]))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"baseline": "hybird"}, "none of the systems"),
        ({"model": "some-model"}, "exclude each other"),
        ({"measures": ["nDGC@10"]}, "nDCG@10"),
        ({"split": "dev"}, "no split 'dev'"),
        ({"systems": ["gone.trec"]}, "gone.trec"),
        ({"top": 5}, "nDCG@10 looks at 10 documents, --top asks for 5"),
    ],
)
def test_mistakes_are_told(
    small_collection: Path, small_index: Path, options: dict[str, object], said: str
) -> None:
    with pytest.raises(ClozeError, match=said):
        run_experiment(plan(small_collection, small_index, **options))


def test_runs_of_other_queries_are_refused(small_collection: Path, tmp_path: Path) -> None:
    qrels = small_collection / "qrels" / "test.tsv"
    run = tmp_path / "other.trec"
    run.write_text("x9 Q0 d1 1 0.5 tag\n")
    with pytest.raises(ClozeError, match="no query in common"):
        compare_runs(str(qrels), [str(run)])
    with pytest.raises(ClozeError, match="no query in common"):
        run_experiment(Plan(collection=str(small_collection), systems=[str(run)]))
    run.write_text("")
    with pytest.raises(ClozeError, match="is empty"):
        compare_runs(str(qrels), [str(run)])
    run.write_text("q1 Q0 d1 1 0.5 tag\nx9 Q0 d1 1 0.5 tag\n")
    (notice,) = compare_runs(str(qrels), [str(run)]).notices
    assert notice == "other also answers 1 queries without judgements, which are left out"
    with pytest.raises(ClozeError, match="no run file"):
        compare_runs(str(qrels), [str(tmp_path / "gone.trec")])
    assert set(read_qrels(qrels)) == {f"q{number}" for number in range(12)}


def test_ids_that_a_run_file_can_not_tell_apart_are_refused(
    small_collection: Path, tmp_path: Path
) -> None:
    with Index.open(tmp_path / "index", Settings(lexical_only=True)) as index:
        index.add(Document(id=each, text="the quick fish") for each in ("d0", "a b", "a%20b"))
    with pytest.raises(ClozeError, match="the ids 'a b' and 'a%20b' are one"):
        run_experiment(plan(small_collection, tmp_path / "index"))


def test_what_stored_defaults_decide_is_told(
    small_collection: Path, small_index: Path, tmp_path: Path
) -> None:
    shutil.copytree(small_index, tmp_path / "index")
    change_defaults(tmp_path / "index", lambda stored: Defaults(weight=0.25), title_weight=2)
    found = run_experiment(plan(small_collection, tmp_path / "index", systems=["hybrid"]))
    (notice,) = found.notices
    assert notice.endswith("is searched by its own defaults: weight 0.25, title weight 2")


def test_deleted_documents_that_bm25_still_counts_are_told(
    small_collection: Path, small_index: Path, tmp_path: Path
) -> None:
    shutil.copytree(small_index, tmp_path / "index")
    with Index.open(tmp_path / "index") as index:
        index.delete(["d100"])
        (notice,) = run_experiment(
            plan(small_collection, tmp_path / "index", systems=["lexical"])
        ).notices
        assert "still count 2 rows that were deleted or replaced" in notice
        index.compact()
    found = run_experiment(plan(small_collection, tmp_path / "index", systems=["lexical"]))
    assert found.notices == ()


def test_a_failing_timing_costs_no_figures(
    small_collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Answers in this process, and fails in the one that it is timed in.
    (tmp_path / "only_here_module.py").write_text(
        "import sys\n"
        "def find(query, top):\n"
        "    return [('d4', 1.0)] if 'pytest' in sys.modules else 1 / 0\n"
    )
    monkeypatch.chdir(tmp_path)
    found = run_experiment(
        Plan(collection=str(small_collection), systems=["only_here_module:find"])
    )
    assert found.systems[0].cost is None and found.systems[0].means["R@100"] > 0
    assert any("ZeroDivisionError" in notice for notice in found.notices)
