"""Published figures: their files, and running them again."""

import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner, Result

from eval.commands.reproduce import reproduce
from eval.expectations import EXPECTED, choose, read_expectation, read_expectations
from eval.experiment import Plan, run_experiment
from eval.reproduction import Figure, missing_files, other_files
from indexer.errors import ClozeError
from search.index import Index

CORPUS = {
    "often": "ship ship ship",
    "once": "a ship is one of many other words in this long document about the sea and rivers",
    "cat": "the cat sleeps",
}
QUERIES = {"1": "ship", "2": "cat"}
# The relevant document is second for the one query and first for the other.
QRELS = {"1": "once", "2": "cat"}
NDCG = (1 / math.log2(3) + 1) / 2

Content = dict[str, Any]
Change = Callable[[Content], object]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with one tiny collection, and nothing else."""
    tiny = tmp_path / "data" / "tiny"
    (tiny / "qrels").mkdir(parents=True)
    for name, records in (("corpus", CORPUS), ("queries", QUERIES)):
        lines = [json.dumps({"_id": id_, "text": text}) for id_, text in records.items()]
        (tiny / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    rows = [f"{query}\t{document}\t1" for query, document in QRELS.items()]
    (tiny / "qrels/test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *rows]) + "\n")
    return tiny.parent


@pytest.fixture
def expected(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Expectations of the tiny collection and of one that nobody has, in place of the shipped."""
    folder = tmp_path / "expected"
    folder.mkdir()
    write(folder / "tiny.yaml", content(data))
    away = content(data)
    away["command"] = away["command"].replace("tiny", "away")
    away |= {"title": "Far away", "source": "https://example.org/away"}
    write(folder / "away.yaml", away)
    monkeypatch.setattr("eval.expectations.EXPECTED", folder)
    return folder


def content(data: Path) -> Content:
    names = ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv")
    digests = {
        name: hashlib.sha256((data / "tiny" / name).read_bytes()).hexdigest() for name in names
    }
    return {
        "title": "Tiny, 3 documents",
        "source": "this test",
        "files": digests,
        "command": "cloze eval {data}/tiny --systems lexical --measures nDCG@10,P@1",
        "tolerance": 0.005,
        "expected": {"lexical": {"nDCG@10": round(NDCG, 4), "P@1": 0.5}},
    }


def write(path: Path, changed: Content) -> Path:
    path.write_text(yaml.safe_dump(changed, sort_keys=False))
    return path


def run(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(reproduce)
    return CliRunner().invoke(app, [*map(str, arguments)], env={"CLOZE_DATA": None})


# --- the files


def test_what_is_shipped_can_be_read() -> None:
    shipped = read_expectations(EXPECTED)
    assert set(shipped) == {"cacm", "cranfield", "med", "scifact"}
    for name, each in shipped.items():
        assert (each.name, each.folder) == (name, name)
        assert set(each.files) == {"corpus.jsonl", "queries.jsonl", "qrels/test.tsv"}
        assert {"lexical", "dense", "hybrid"} <= set(each.systems)
        assert all(means.keys() == {"nDCG@10", "R@100"} for means in each.means.values())
        assert each.tolerance == 0.005


def test_what_is_shipped_is_of_the_real_files(real_data: Path) -> None:
    for each in read_expectations(EXPECTED).values():
        assert missing_files(each, real_data / "collections") == []
        assert other_files(each, real_data / "collections") == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("tolerance"), "tolerance is missing; it needs title, source"),
        (lambda c: c.update(note="x"), "'note' is not known; choose from title"),
        (lambda c: c.update(title=" "), "title is ' '; write a text"),
        (lambda c: c.update(tolerance="small"), "tolerance is 'small'; write a number"),
        (lambda c: c.update(tolerance=True), "tolerance is True; write a number"),
        (lambda c: c.update(files=["a"]), r"files is \['a'\]; write names and values"),
        (lambda c: c["files"].update({"corpus.jsonl": "12"}), "corpus.jsonl is '12'; write"),
        (lambda c: c.update(command="cloze tune {data}/tiny"), "write cloze eval {data}/FOLDER"),
        (lambda c: c.update(command=c["command"] + " --json"), "write cloze eval {data}/FOLDER"),
        (lambda c: c.update(command=c["command"] + " --top 5"), "command has '--top'; choose"),
        (lambda c: c.update(command="cloze eval {data}/tiny"), "command lacks --systems"),
        (lambda c: c.update(command=c["command"] + " --split 'x"), "No closing quotation"),
        (
            lambda c: c.update(command=c["command"].replace("tiny", "../x")),
            r"names '\.\./x'; write",
        ),
        (
            lambda c: c.update(command=c["command"].replace("tiny", "a/../x")),
            "below {data}, without",
        ),
        (lambda c: c.update(command=c["command"].replace("tiny", "/etc")), "command names '/etc'"),
        (lambda c: c.update(command=c["command"].replace("tiny", "")), "command names ''; write"),
        (lambda c: c.update(files={"/etc/passwd": "0" * 64}), "files names '/etc/passwd'; write"),
        (lambda c: c.update(files={"../corpus.jsonl": "0" * 64}), "files names '../corpus"),
        (lambda c: c.update(expected={}), "expected has the systems none, the command lexical"),
        (lambda c: c["expected"].update(dense={"P@1": 1}), "systems lexical, dense, the command"),
        (lambda c: c["expected"].update(lexical={}), "lexical has no figure"),
        (lambda c: c["expected"]["lexical"].update(AP=1), "has 'AP', the command measures nDCG@10"),
        (lambda c: c["expected"]["lexical"].update({"P@1": 2}), "lexical: P@1 is 2; write a num"),
        (lambda c: c["expected"].update(lexical=0.5), "expected: lexical is 0.5; write names"),
    ],
)
def test_a_wrong_file_is_told(data: Path, tmp_path: Path, change: Change, message: str) -> None:
    right = content(data)
    read_expectation(write(tmp_path / "right.yaml", right))
    change(right)
    with pytest.raises(ClozeError, match=message) as caught:
        read_expectation(write(tmp_path / "wrong.yaml", right))
    assert str(caught.value).startswith(f"{tmp_path / 'wrong.yaml'}: ")


@pytest.mark.parametrize(
    "text",
    [
        "a: [", "- 1\n", "", "a: !!python/object:os.system {}\n", "[" * 5000, "a: 2001-99-99\n",
        "[a]: 1\n", "\0",
    ],
)  # fmt: skip
def test_what_is_no_mapping_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "wrong.yaml").write_text(text)
    with pytest.raises(ClozeError, match=r"wrong\.yaml: (not YAML|the file is)") as caught:
        read_expectation(tmp_path / "wrong.yaml")
    assert "\n" not in str(caught.value)


def test_a_file_that_can_not_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(ClozeError, match=r"folder\.yaml: Is a directory"):
        read_expectations(tmp_path)


def test_no_expectations_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ClozeError, match=f"{tmp_path} holds no expected figures; install"):
        read_expectations(tmp_path)
    monkeypatch.setattr("eval.expectations.EXPECTED", tmp_path / "none")
    assert isinstance(run("--list").exception, ClozeError)


def test_names_are_chosen() -> None:
    shipped = read_expectations(EXPECTED)
    assert [each.name for each in choose(shipped, ["med", "cacm", "med"])] == ["med", "cacm"]
    assert [each.name for each in choose(shipped, [])] == list(shipped)
    with pytest.raises(ClozeError, match=r"of 'sifact'.* did you mean scifact"):
        choose(shipped, ["sifact"])


def test_a_tolerance_includes_its_end() -> None:
    def within(got: float) -> bool:
        figure = Figure(system="s", measure="m", expected=0.7, got=got)
        return figure.within(0.005)

    assert within(0.705) and within(0.695) and within(0.7)
    assert not within(0.7051) and not within(0.6949) and not within(math.nan)


# --- the command


def test_figures_are_reproduced(expected: Path, data: Path) -> None:
    ended = run("tiny", "--data", data)
    assert ended.exit_code == 0, ended.output
    title, command, _, *figures, verdict = ended.stdout.splitlines()
    assert title == "tiny: Tiny, 3 documents"
    assert command == f"  $ cloze eval {data}/tiny --systems lexical --measures nDCG@10,P@1"
    assert [line.split() for line in figures] == [
        ["lexical", "nDCG@10", "0.8155", "0.8155", "-0.0000"],
        ["lexical", "P@1", "0.5000", "0.5000", "+0.0000"],
    ]
    assert verdict == "  reproduced: 2 figures, none more than 0.005 off"


def test_everything_is_searched_again(
    expected: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier run, kept by `cloze eval`, would hide a search that has broken since."""
    plan = Plan(
        collection=str(data / "tiny"), systems=["lexical"], measures=["nDCG@10,P@1"], timed=False
    )
    run_experiment(plan)
    assert any("reused" in line for line in run_experiment(plan).notices)
    assert run("tiny", "--data", data).exit_code == 0

    def broken(*_: object, **__: object) -> None:
        raise AssertionError("the engine was asked")

    monkeypatch.setattr(Index, "rank_each", broken)
    assert str(run("tiny", "--data", data).exception) == "the engine was asked"


def test_notices_are_shown(expected: Path, data: Path) -> None:
    with (data / "tiny/qrels/test.tsv").open("a") as file:
        file.write("1\taway\t1\n")
    ended = run("tiny", "--data", data)
    (shown,) = [line for line in ended.stderr.splitlines() if line.startswith("tiny: ")]
    assert shown.startswith("tiny: 1 of 3 relevant documents are not in ")
    report = json.loads(run("tiny", "--data", data, "--json").stdout)["reproductions"][0]
    assert [f"tiny: {line}" for line in report["notices"]] == [shown]


def test_a_figure_outside_is_exit_1(expected: Path, data: Path) -> None:
    wrong = content(data)
    wrong["expected"]["lexical"]["nDCG@10"] = 0.8
    write(expected / "tiny.yaml", wrong)
    ended = run("tiny", "--data", data)
    assert ended.exit_code == 1
    assert "0.8000   0.8155    +0.0155  outside" in ended.stdout
    assert ended.stdout.endswith("  1 of 2 figures are more than 0.005 off\n")
    report = json.loads(run("tiny", "--data", data, "--json").stdout)
    (reproduction,) = report["reproductions"]
    assert (reproduction["name"], reproduction["reproduced"]) == ("tiny", False)
    ndcg, precision = reproduction["figures"]
    assert ndcg["got"] == pytest.approx(NDCG)
    assert ndcg["difference"] == pytest.approx(NDCG - 0.8)
    assert (ndcg["within"], precision["within"]) == (False, True)


def test_all_that_are_present_run_and_the_absent_are_told(expected: Path, data: Path) -> None:
    ended = run("--data", data)
    assert ended.exit_code == 0
    assert "reproduced: 2 figures" in ended.stdout
    assert ended.stderr.splitlines()[0] == (
        f"away is absent: {data / 'away'} lacks corpus.jsonl, queries.jsonl, qrels/test.tsv; get "
        "Far away (https://example.org/away) and put it there in BEIR's layout"
    )
    assert json.loads(run("--data", data, "--json").stdout)["absent"] == ["away"]


def test_what_is_named_must_be_there(expected: Path, data: Path, tmp_path: Path) -> None:
    for arguments, message in (
        (["away", "--data", data], "away is absent: .* get Far away"),
        (["--data", tmp_path / "none"], "holds none of the collections"),
        (["tiny"], "name it with --data or CLOZE_DATA"),
    ):
        error = run(*arguments).exception
        assert isinstance(error, ClozeError)
        assert error.exit_code == 2
        with pytest.raises(ClozeError, match=message):
            raise error


def test_another_file_is_told_and_its_figures_still_count(expected: Path, data: Path) -> None:
    with (data / "tiny/queries.jsonl").open("a") as file:
        file.write('{"_id": "unjudged", "text": "sea"}\n')
    ended = run("tiny", "--data", data)
    assert ended.exit_code == 0
    assert f"{data / 'tiny/queries.jsonl'} is not the file that the figures" in ended.stderr
    report = json.loads(run("tiny", "--data", data, "--json").stdout)["reproductions"][0]
    assert report["files_differ"] == ["queries.jsonl"]


def test_the_list(expected: Path, data: Path) -> None:
    listed = run("--list", "--data", data).stdout.splitlines()
    assert [line.split() for line in listed if not line.startswith("  ")] == [
        ["away", "absent"],
        ["tiny", "present"],
    ]
    assert "  Far away; https://example.org/away" in listed
    (only,) = json.loads(run("tiny", "--list", "--json").stdout)
    assert (only["name"], only["present"]) == ("tiny", False)
