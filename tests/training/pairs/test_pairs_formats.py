"""What is written in any format is read back as the same examples."""

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.pairs import written
from tests.training.pairs.written import ANCHOR, Writer, Written, key, merged, write_lines
from training.pairs.example import Example
from training.pairs.reading import read_pairs

ONE_LINE = "\t\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029"
fewer = settings(max_examples=40)


def keys(examples: Sequence[Example]) -> list[tuple[str, list[str], list[str]]]:
    return [
        (key(each.query), [*map(key, each.positives)], [*map(key, each.negatives)])
        for each in examples
    ]


def check(write: Writer, name: str, listed: Sequence[Written], kind: str) -> None:
    with TemporaryDirectory() as folder:
        pairs = read_pairs([write(Path(folder) / name, listed)])
    assert keys(pairs.examples) == merged(listed)
    assert pairs.report.files[0].kind == kind
    assert all(each.scores is None for each in pairs.examples)


@fewer
@given(written.rows())
def test_json_lines(listed: list[Written]) -> None:
    check(written.lists, "a.jsonl", listed, "JSON lines")
    check(written.lists, "a.jsonl.gz", listed, "JSON lines")
    check(written.labels, "a.ndjson", listed, "JSON lines")
    check(written.lists, "a.json", listed, "JSON lines")


@fewer
@given(written.rows())
def test_tsv_with_a_header(listed: list[Written]) -> None:
    check(written.columns, "a.tsv", listed, "TSV")


@fewer
@given(written.rows(ONE_LINE))
def test_triples(listed: list[Written]) -> None:
    listed = written.triples_of(listed)
    check(written.triples, "a.tsv", listed, "MS MARCO triples")
    check(written.id_triples, "qidpidtriples.tsv", listed, "MS MARCO triples of ids")


# The corpus has a space for what controls the terminal, and a newline for the end of a line of DOS.
CONTROLS = "".join(map(chr, [*range(9), *range(11, 32), *range(127, 160)]))


@fewer
@given(written.rows(CONTROLS))
def test_beir_folder(listed: list[Written]) -> None:
    check(written.beir, "folder", listed, "BEIR folder")


@fewer
@given(written.rows())
def test_squad(listed: list[Written]) -> None:
    listed = [(query, positives, []) for query, positives, _ in listed]
    check(written.squad, "a.json", listed, "SQuAD-like JSON")


@given(st.lists(st.floats(allow_nan=False, min_value=-1e9, max_value=1e9), min_size=4, max_size=4))
def test_scores_come_back_with_their_passages(scores: list[float]) -> None:
    with TemporaryDirectory() as folder:
        lines = [
            {"query": "q", "positives": ["p", "P ", "r"], "negatives": ["n"], "scores": scores},
            {"query": "other", "positive": "s", "scores": [1]},
        ]
        path = write_lines(Path(folder) / "a.jsonl", lines)
        first, second = read_pairs([path]).examples
    assert first == Example(
        query="q",
        positives=("p", "r"),
        negatives=("n",),
        scores=(scores[0], scores[2], scores[3]),
    )
    assert second.scores == (1.0,)


def test_scores_in_tsv(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("scores\tnegative\tquery\tpositive\n0.5 -1e-1\tb\tq\ta\n\t\tr\tc\n")
    assert read_pairs([str(path)]).examples == (
        Example(query="q", positives=("a",), negatives=("b",), scores=(0.5, -0.1)),
        Example(query="r", positives=("c",)),
    )


def test_a_title_stands_in_front_of_positives_alone(tmp_path: Path) -> None:
    lines = [
        {"query": "q", "positive": " p ", "negative": "n", "title": " T "},
        {"query": "r", "passage": "m", "label": 0, "title": "T"},
        {"query": "r", "passage": "o", "label": 2, "title": ""},
        {"query": "s", "positives": ["a", "b"], "title": None},
    ]
    path = write_lines(tmp_path / "a.jsonl", lines)
    assert read_pairs([path]).examples == (
        Example(query="q", positives=("T p",), negatives=("n",)),
        Example(query="r", positives=("o",), negatives=("T m",)),
        Example(query="s", positives=("a", "b")),
    )


def test_titles_of_squad_and_beir(tmp_path: Path) -> None:
    squad = tmp_path / "a.json"
    asked = [{"question": "q"}, {"question": "unanswerable", "is_impossible": True}]
    article = {"title": "Fish", "paragraphs": [{"context": "They swim.", "qas": asked}]}
    squad.write_text(json.dumps({"data": [article]}))
    pairs = read_pairs([str(squad)])
    assert pairs.examples == (Example(query="q", positives=("Fish They swim.",)),)
    assert pairs.report.files[0].left_out == {"that no passage answers (is_impossible)": 1}
    folder = tmp_path / "beir"
    written.beir(folder, [ANCHOR])
    write_lines(
        folder / "corpus.jsonl",
        [{"_id": "d0", "title": "Sea", "text": ANCHOR[1][0]}, {"_id": "d1", "text": " "}],
    )
    pairs = read_pairs([str(folder)])
    assert pairs.examples == (Example(query=ANCHOR[0], positives=(f"Sea {ANCHOR[1][0]}",)),)
    assert pairs.report.files[0].left_out == {"judged documents that are missing or empty": 1}


def test_a_split_is_of_rows_and_of_folders(tmp_path: Path) -> None:
    lines = [
        {"query": f"q{number}", "positive": f"p{number}", **({"split": name} if name else {})}
        for number, name in enumerate(["train", "dev", None, "dev"])
    ]
    path = write_lines(tmp_path / "a.jsonl", lines)
    for split, kept, others in [(None, ["q0", "q2"], "dev"), ("dev", ["q1", "q2", "q3"], "train")]:
        pairs = read_pairs([path], split=split)
        assert [each.query for each in pairs.examples] == kept
        assert pairs.report.files[0].left_out == {f"of the split {others}": 4 - len(kept)}
    folder = written.beir(tmp_path / "beir", [ANCHOR], split="dev")
    assert len(read_pairs([folder], split="dev").examples) == 1


@pytest.mark.parametrize("name", ["queries.tsv", "queries.dev.tsv"])
def test_texts_of_ids_are_those_of_the_split_else_of_all(tmp_path: Path, name: str) -> None:
    path = tmp_path / "ids.tsv"
    written.id_triples(path, written.triples_of([ANCHOR]))
    (tmp_path / "queries.train.tsv").rename(tmp_path / name)
    assert read_pairs([str(path)], split="dev").examples[0].query == ANCHOR[0]
