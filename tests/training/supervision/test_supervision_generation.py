"""A text's pairs as a file: the same for any order of files, no pair twice; and the command."""

import json
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

import cloze
from indexer.errors import ClozeError
from training.pairs.identity import identity
from training.pairs.reading import read_pairs
from training.supervision.article import read_article
from training.supervision.generation import Made, Plan, chance_of, generate
from training.supervision.methods import METHODS
from training.text import Reading, Texts

ALL = tuple(METHODS)


def run(
    files: list[Path], out: Path, methods: tuple[str, ...] = ALL, **options: int
) -> tuple[Made, list[dict[str, str]]]:
    texts = Texts([str(file) for file in files], Reading())
    plan = Plan(methods=methods, length=30, **options)
    made = generate(texts, plan, out, lambda done, share: None)
    return made, [json.loads(line) for line in out.read_text().splitlines()]


@pytest.fixture(scope="module")
def halves(corpus_file: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The documents that every floor's tests share in two files, some in both."""
    folder = tmp_path_factory.mktemp("halves")
    lines = corpus_file.read_text().splitlines(keepends=True)
    files = [folder / "first.jsonl", folder / "second.jsonl"]
    files[0].write_text("".join(lines[:90]))
    files[1].write_text("".join(lines[70:]))
    return files


def test_what_is_written_is_what_the_methods_give(corpus_file: Path, tmp_path: Path) -> None:
    made, lines = run([corpus_file], tmp_path / "pairs.jsonl", seed=3)
    documents = list(Texts([str(corpus_file)], Reading()).documents())
    wanted = {
        (identity(pair.query), identity(pair.positive))
        for document in documents
        for name in ALL
        for pair in METHODS[name](
            read_article(document.title, document.text), 30, chance_of(document, name, 3)
        )
    }
    same = {(query, positive) for query, positive in wanted if query == positive}
    found = [(identity(line["query"]), identity(line["positive"])) for line in lines]
    assert set(found) == wanted - same
    assert len(found) == len(set(found)) == sum(made.written.values())
    assert made.documents == len(documents)
    assert all(made.written[name] for name in ALL)


def test_the_order_of_files_changes_no_pair(halves: list[Path], tmp_path: Path) -> None:
    made, lines = run(halves, tmp_path / "a.jsonl")
    other, turned = run(halves[::-1], tmp_path / "b.jsonl")
    assert made.duplicates == other.duplicates > 0
    assert sorted(map(str, lines)) == sorted(map(str, turned))


def test_a_limit_keeps_the_same_sample_of_each_method(halves: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "a.jsonl"
    made, lines = run(halves, out, limit=7)
    whole, _ = run(halves, tmp_path / "whole.jsonl")
    assert made.written == {name: min(7, whole.written[name]) for name in ALL}
    assert made.over_limit == sum(whole.written.values()) - len(lines)
    run(halves[::-1], tmp_path / "b.jsonl", limit=7)
    assert (tmp_path / "b.jsonl").read_bytes() == out.read_bytes()
    _, fewer = run(halves, tmp_path / "c.jsonl", limit=3)
    assert [line for line in lines if line in fewer] == fewer


def test_a_method_more_changes_nothing_of_another(corpus_file: Path, tmp_path: Path) -> None:
    _, alone = run([corpus_file], tmp_path / "a.jsonl", ("crops",))
    _, beside = run([corpus_file], tmp_path / "b.jsonl", ("title", "crops"))
    assert [line for line in beside if line in alone] == alone


def test_another_seed_gives_other_pairs(corpus_file: Path, tmp_path: Path) -> None:
    _, first = run([corpus_file], tmp_path / "a.jsonl", ("crops",), seed=1)
    _, second = run([corpus_file], tmp_path / "b.jsonl", ("crops",), seed=2)
    assert first != second


def test_equal_texts_are_no_pair(tmp_path: Path) -> None:
    file = tmp_path / "docs.jsonl"
    # Of five words both crops have at least four: many are equal.
    lines = [{"_id": str(n), "text": f"alpha beta gamma delta number{n}"} for n in range(40)]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    made, found = run([file], tmp_path / "out.jsonl", ("crops",))
    assert made.identical > 0
    assert all(identity(line["query"]) != identity(line["positive"]) for line in found)


def test_nothing_found_is_an_error_and_leaves_no_file(tmp_path: Path) -> None:
    file = tmp_path / "short.txt"
    file.write_text("Too short.")
    with pytest.raises(ClozeError, match=r"1 documents give no pair by title, crops"):
        run([file], tmp_path / "out.jsonl", ("title", "crops"))
    assert list(tmp_path.iterdir()) == [file]


def test_the_pairs_are_read_back(corpus_file: Path, tmp_path: Path) -> None:
    made, lines = run([corpus_file], tmp_path / "pairs.jsonl")
    read = read_pairs([str(tmp_path / "pairs.jsonl")])
    queries = Counter(identity(line["query"]) for line in lines)
    assert len(read.examples) == len(queries)
    assert sum(len(each.positives) for each in read.examples) == sum(made.written.values())


def test_the_command(corpus_file: Path, tmp_path: Path) -> None:
    arguments = ["train", "pairs", str(corpus_file), "--length", "30", "--out"]
    out = tmp_path / "pairs.jsonl"
    told = CliRunner().invoke(cloze.app, [*arguments, str(out), "--method", "crops,title"])
    assert told.exit_code == 0
    assert "crops" in told.stdout
    again = CliRunner().invoke(
        cloze.app, [*arguments, str(tmp_path / "b"), "--method", "crops,title", "--json"]
    )
    found = json.loads(again.stdout)
    assert sum(found["written"].values()) == len(out.read_text().splitlines())
    assert list(found["written"]) == ["crops", "title"]
    assert found["documents"] == 160
    assert (tmp_path / "b").read_bytes() == out.read_bytes()
    replaced = "is there; it is replaced when all is done"
    assert replaced not in told.stderr
    assert replaced in CliRunner().invoke(cloze.app, [*arguments, str(out)]).stderr
