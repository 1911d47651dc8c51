"""A report's folder: whole or not at all, and what its files hold."""

import csv
import json
import math
import random
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import eval.report.page
from eval.folders import replace_folder
from eval.report import check_folder, write_report
from eval.report.filenames import run_files
from eval.results import Comparison, Experiment, Shown, SystemResult, TieRange
from eval.runs import Run
from indexer.errors import ClozeError


def experiment(*names: str, queries: int = 6) -> Experiment:
    """Systems whose values fall as their names come later."""
    ids = [f"q{number}" for number in range(queries)]
    systems = []
    for place, name in enumerate(names):
        values = {query: round(random.Random(f"{place} {query}").random(), 3) for query in ids}
        compared = Comparison(
            difference=-0.1, ci95=(-0.2, 0.0), p_value=0.01, p_holm=0.02, p_t=0.01,
            effect_size=-0.4, wins=1, ties=2, losses=3,
        )  # fmt: skip
        ranked = {query: [(f"d/{n}", 1.0 - n // 2) for n in range(4)] for query in ids[1:]}
        systems.append(
            SystemResult(
                name=name, run=Run(name=name, ranked=ranked), means={"AP": 0.5 - place / 10},
                per_query={"AP": values}, ci95={"AP": (0.1, 0.9)},
                comparisons={"AP": compared} if place else {}, unanswered=1,
                ties=TieRange(queries=0, low=0.5, high=0.5), cost=None,
            )
        )  # fmt: skip
    return Experiment(
        collection="tiny", split="test", measures=("AP",), baseline=names[0],
        queries={query: f"what is {query}" for query in ids},
        qrels={query: {"d/0": 1, "d/2": 0} for query in ids}, systems=tuple(systems), notices=(),
        provenance={"seed": 0},
        documents=lambda asked: {each: Shown(title=each, text="a text") for each in asked},
    )  # fmt: skip


def everything(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(autouse=True)
def recall(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Recall that is known, so that these tests are of reports alone."""
    import eval.measures

    monkeypatch.setattr(
        eval.measures, "recall_curve", lambda qrels, run: {1: 0.25, 2: 0.5, 5: 0.75, 10: 0.75}
    )
    yield


@pytest.fixture
def one_chart(monkeypatch: pytest.MonkeyPatch) -> None:
    """A drawing that takes no time, for tests of the folder alone."""
    import eval.report.charts

    drawn = eval.report.charts.Chart(name="gains", title="", caption="", svg="<svg></svg>")
    monkeypatch.setattr(eval.report.charts, "draw_charts", lambda _: (drawn,))


def test_all_files_are_there(tmp_path: Path) -> None:
    made = experiment("lexical", "runs/dense:v1 x", "runs_dense_v1_x")
    write_report(made, tmp_path / "some" / "report")
    assert set(everything(tmp_path)) == {
        f"some/report/{name}"
        for name in (
            "report.html", "table.md", "table.tex", "metrics.json", "per_query.parquet",
            "charts/intervals.svg", "charts/gains.svg", "charts/depth.svg", "runs/lexical.trec",
            "runs/runs_dense_v1_x.trec", "runs/runs_dense_v1_x-2.trec",
        )
    }  # fmt: skip
    assert (tmp_path / "some" / "report").stat().st_mode & 0o777 == 0o777 & ~_umask()


def _umask() -> int:
    import os

    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.usefixtures("one_chart")
def test_parquet_holds_every_value(tmp_path: Path) -> None:
    made = experiment("lexical", "dense")
    write_report(made, tmp_path / "report")
    table = pq.read_table(tmp_path / "report" / "per_query.parquet")
    assert table.column_names == ["query", "system", "measure", "value"]
    read = {
        (row["query"], row["system"], row["measure"]): row["value"] for row in table.to_pylist()
    }
    assert read == {
        (query, system.name, measure): value
        for system in made.systems
        for measure, values in system.per_query.items()
        for query, value in values.items()
    }


@pytest.mark.usefixtures("one_chart")
def test_runs_are_trec_files_with_the_same_order(tmp_path: Path) -> None:
    write_report(experiment("my system", "b"), tmp_path / "report")
    with open(tmp_path / "report" / "runs" / "my_system.trec", encoding="utf-8") as file:
        rows = list(csv.reader(file, delimiter=" "))
    assert {len(row) for row in rows} == {6}
    assert {row[5] for row in rows} == {"my%20system"}
    first = [row for row in rows if row[0] == "q1"]
    assert [(row[2], row[3]) for row in first] == [(f"d/{n}", str(n + 1)) for n in range(4)]
    scores = [float(row[4]) for row in first]
    assert all(high > low for high, low in pairwise(scores))


def test_the_same_experiment_gives_the_same_bytes(tmp_path: Path) -> None:
    made = experiment("lexical", "dense", "c")
    write_report(made, tmp_path / "one")
    write_report(made, tmp_path / "two")
    assert everything(tmp_path / "one") == everything(tmp_path / "two")


@pytest.mark.usefixtures("one_chart")
def test_a_report_is_replaced_whole(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    write_report(experiment("lexical", "dense"), folder)
    write_report(experiment("lexical"), folder)
    assert set(json.loads((folder / "metrics.json").read_text())["systems"]) == {"lexical"}
    assert sorted(path.name for path in (folder / "runs").iterdir()) == ["lexical.trec"]
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


@pytest.mark.usefixtures("one_chart")
def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    folder.mkdir()
    write_report(experiment("lexical"), folder)
    assert (folder / "report.html").is_file()


@pytest.mark.parametrize("name", ["notes.txt", "runs/mine.trec", "charts/deep/x.svg", "empty"])
@pytest.mark.usefixtures("one_chart")
def test_a_folder_with_something_else_is_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "report"
    write_report(experiment("lexical"), folder)
    stranger = folder / name
    stranger.parent.mkdir(exist_ok=True)
    stranger.mkdir() if name == "empty" else stranger.write_text("mine")
    before = everything(folder)
    with pytest.raises(ClozeError, match=name):
        write_report(experiment("lexical"), folder)
    assert everything(folder) == before


@pytest.mark.parametrize(
    "metrics",
    [
        '{"systems": 3}',
        '{"systems": {"a": 1}}',
        '{"collection": "x", "measures": ["AP"], "systems": {"a": 1}}',
        '{"collection": "x", "measures": ["AP"], "systems": ["a"], "provenance": {}}',
        "[]",
        "{",
        "[" * 100_000,
    ],
)
def test_the_metrics_of_another_program_are_refused(tmp_path: Path, metrics: str) -> None:
    (tmp_path / "metrics.json").write_text(metrics)
    (tmp_path / "table.md").write_text("my own notes")
    with pytest.raises(ClozeError, match=r"holds metrics\.json and 1 more"):
        check_folder(tmp_path)


@pytest.mark.usefixtures("one_chart")
def test_a_link_in_a_report_is_not_of_a_report(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    write_report(experiment("lexical"), folder)
    (tmp_path / "mine").write_text("mine")
    (folder / "table.md").unlink()
    (folder / "table.md").symlink_to(tmp_path / "mine")
    with pytest.raises(ClozeError, match=r"holds table\.md, not of a report"):
        check_folder(folder)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("file", "is a file and no folder"),
        ("file/x", "{0}/file is a file and no folder"),
        ("file/x/y", "{0}/file is a file and no folder"),
        ("to-file/x", "{0}/file is a file and no folder"),
        ("loop", "a loop of links"),
        ("loop/x", "a loop of links"),
    ],
)
def test_a_place_where_no_folder_can_be_is_told_before_the_work(
    tmp_path: Path, name: str, reason: str
) -> None:
    (tmp_path / "file").write_text("kept")
    (tmp_path / "to-file").symlink_to("file")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ClozeError) as error:
        check_folder(tmp_path / name)
    expected = f"{tmp_path / name}: {reason.format(tmp_path)}; name another place for the report"
    assert str(error.value) == expected
    assert everything(tmp_path)["file"] == b"kept"


@pytest.mark.parametrize("name", ["closed/x", "closed/there", "closed/some/x"])
def test_a_place_that_can_not_be_written_is_told_before_the_work(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    (closed / "there").mkdir(parents=True)
    # Of the superuser, who may write anywhere, a real mode would tell nothing.
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != closed)
    with pytest.raises(ClozeError, match="closed can't be written to; name another place"):
        check_folder(tmp_path / name)
    check_folder(tmp_path / "other")


def test_the_root_is_told_without_a_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "rglob", lambda *_: pytest.fail("walked"))
    with pytest.raises(ClozeError, match="/: is the root of all folders"):
        check_folder(Path("/"))


@pytest.mark.usefixtures("one_chart")
def test_a_stop_right_after_the_first_rename_keeps_the_older_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    folder = tmp_path / "report"
    write_report(experiment("lexical"), folder)
    before, real, calls = everything(tmp_path), os.rename, []

    def rename(source: Path, target: Path) -> None:
        real(source, target)
        calls.append(target)
        if len(calls) == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", rename)
        with pytest.raises(KeyboardInterrupt):
            write_report(experiment("lexical", "dense"), folder)
    assert everything(tmp_path) == before


@pytest.mark.usefixtures("one_chart")
def test_what_appears_in_an_older_report_while_writing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "report"
    write_report(experiment("lexical"), folder)
    before = everything(folder)
    monkeypatch.setattr(
        eval.report.page, "html", lambda *_: str((folder / "notes").write_text("mine"))
    )
    with pytest.raises(ClozeError) as error:
        write_report(experiment("lexical", "dense"), folder)
    assert str(error.value).startswith(f"{folder} holds notes, not of a report of ours")
    assert everything(folder) == before | {"notes": b"mine"}


@pytest.mark.usefixtures("one_chart")
def test_a_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_report(experiment("lexical"), tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "report.html").is_file()


@pytest.mark.usefixtures("one_chart")
def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(eval.report.page, "html", fail)
    with pytest.raises(KeyboardInterrupt):
        write_report(experiment("lexical"), tmp_path / "some" / "deep" / "report")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("one_chart")
def test_a_failure_keeps_the_older_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "report"
    write_report(experiment("lexical"), folder)
    before = everything(tmp_path)

    def fail(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pq, "write_table", fail)
        with pytest.raises(OSError, match="no space"):
            write_report(experiment("lexical", "dense"), folder)
    assert everything(tmp_path) == before


@pytest.mark.usefixtures("one_chart")
def test_a_failed_rename_brings_the_older_report_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    folder = tmp_path / "report"
    write_report(experiment("lexical"), folder)
    before, real, calls = everything(tmp_path), os.rename, []

    def rename(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) == 2:
            raise OSError("busy")
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", rename)
        with pytest.raises(OSError, match="busy"):
            write_report(experiment("lexical", "dense"), folder)
    assert len(calls) == 3
    assert everything(tmp_path) == before


def test_what_appears_while_writing_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "report"

    def write(new: Path) -> None:
        folder.mkdir()
        (folder / "theirs").write_text("kept")

    with pytest.raises(ClozeError, match="theirs"):
        replace_folder(folder, write, check_folder)
    assert everything(tmp_path) == {"report/theirs": b"kept"}


def test_run_files_are_safe_and_different() -> None:
    names = ["a/b", "a:b", "A b", "..", "../../etc/passwd", "x" * 300, "日本", "日", "a_b-2"]
    made = run_files(names)
    assert list(made) == names
    assert len({name.casefold() for name in made.values()}) == len(names)
    assert all("/" not in name and not name.startswith(".") for name in made.values())
    assert max(map(len, made.values())) < 100
    assert (made["a/b"], made["a:b"], made["A b"]) == ("a_b.trec", "a_b-2.trec", "A_b-3.trec")


@pytest.mark.usefixtures("one_chart")
def test_metrics_are_finite_json(tmp_path: Path) -> None:
    write_report(experiment("lexical", "dense"), tmp_path / "report")
    text = (tmp_path / "report" / "metrics.json").read_text()
    read = json.loads(text, parse_constant=lambda name: pytest.fail(name))
    assert math.isclose(read["systems"]["dense"]["p_value"], 0.02)
