"""Bad input is one line that names the place, what is wrong, and what to do."""

import gzip
import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.errors import ClozeError
from tests.training.pairs.written import ANCHOR, beir, id_triples, write_lines
from training.pairs.reading import read_pairs

GOOD = {"query": "q", "positive": "p"}
SLIP = "rename it, or pass --skip-bad"


def refusal(*paths: object, split: str | None = None, skip_bad: bool = False) -> str:
    with pytest.raises(ClozeError) as raised:
        read_pairs([str(path) for path in paths], split=split, skip_bad=skip_bad)
    message = str(raised.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"query": "q", "positive": "p"', "not JSON: Expecting ',' delimiter at column"),
        ("[1]", "not a JSON object; write {...}, or pass --skip-bad"),
        ("[" * 200_000, "JSON nested too deep; flatten it"),
        ({"query": "q", "positve": "p"}, f"the field 'positve' is not known, positive is; {SLIP}"),
        (GOOD | {"negativs": ["n"]}, f"the field 'negativs' is not known, negatives is; {SLIP}"),
        (GOOD | {"Score": [1]}, f"the field 'Score' is not known, scores is; {SLIP}"),
        ({"qeury": "q", "positive": "p"}, f"the field 'qeury' is not known, query is; {SLIP}"),
        ({"question": "q", "positive": "p"}, "no field query among 'question', 'positive'; name"),
        ({"query": "q", "answer": "p"}, "no positive among the fields 'query', 'answer'; name"),
        ({"query": "q", "passage": "p"}, "the field passage without label; give both"),
        (GOOD | {"label": 1}, "the field label without passage; give both"),
        (GOOD | {"positives": ["r"]}, "both of the fields positive and positives; keep one"),
        (GOOD | {"negative": "n", "negatives": []}, "both of the fields negative and negatives"),
        (GOOD | {"query": " \n"}, "the query is empty; fill it or leave the line out"),
        (GOOD | {"positive": ""}, "the positive is empty"),
        (GOOD | {"negatives": ["n", " "]}, "the negative of negatives is empty"),
        (GOOD | {"query": 7}, "the query is a number where a string is due"),
        (GOOD | {"positive": ["p"]}, "the positive is a list where a string is due"),
        (GOOD | {"negatives": "n"}, "the field negatives is a string where a list is due; write"),
        (GOOD | {"query": None}, "the query is null where"),
        (GOOD | {"title": {}}, "the title is an object where"),
        (GOOD | {"query": "\ud800"}, r"half of an escaped character (\ud800 to \udfff) in the"),
        (GOOD | {"positive": "a\0b"}, "a NUL character in the positive, so this is no text"),
        ({"query": "q", "passage": "p", "label": "yes"}, "the label is 'yes'; write a whole"),
        ({"query": "q", "passage": "p", "label": 0.5}, "the label is 0.5; write a whole number"),
        (GOOD | {"scores": [1, 2]}, "2 scores where there are 1 positives and 0 negatives; give"),
        (GOOD | {"scores": []}, "0 scores where there are 1 positives"),
        (GOOD | {"scores": 1}, "the scores are no list of finite numbers"),
        (GOOD | {"scores": [True]}, "the scores are no list of finite numbers"),
        (GOOD | {"scores": [float("nan")]}, "the scores are no list of finite numbers"),
        (GOOD | {"scores": [10**400]}, "the scores are no list of finite numbers"),
    ],
)
def test_a_bad_line_is_named_or_skipped(tmp_path: Path, line: object, message: str) -> None:
    path = tmp_path / "a.jsonl"
    bad = line if isinstance(line, str) else json.dumps(line)
    path.write_text(f"{json.dumps(GOOD)}\n\n{bad}\n")
    assert refusal(path).startswith(f"{path}:3: {message}")
    pairs = read_pairs([str(path)], skip_bad=True)
    assert len(pairs.examples) == 1
    assert pairs.report.files[0].left_out == {"bad": 1}
    assert pairs.report.files[0].bad[0].startswith(f"{path}:3: {message.partition(';')[0]}")


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(json.dumps(GOOD).encode() + b'\n{"query": "\xff", "positive": "p"}\n')
    assert refusal(path).startswith(f"{path}:2: byte 0xff at offset 11 is not UTF-8; save")
    path.write_bytes(b"\x00\x01\x02\n")
    assert refusal(path).startswith(f"{path}: a NUL byte in the first line, so this is no text")
    path.write_bytes(gzip.compress(b"{}"))
    assert refusal(path).startswith(f"{path}: byte 0x8b at offset 1 is not UTF-8")
    whole = gzip.compress(os.urandom(1 << 18).hex().encode() + b"\n")
    cut = tmp_path / "a.tsv.gz"
    cut.write_bytes(whole[: len(whole) // 2])
    assert refusal(cut).startswith(f"{cut}: the gzip data are damaged or end early")


@pytest.mark.parametrize("content", ["", "\n \n"])
@pytest.mark.parametrize("name", ["a.jsonl", "a.tsv", "a.json"])
def test_an_empty_file(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    good = write_lines(tmp_path / "good.jsonl", [GOOD])
    assert refusal(good, path, skip_bad=True).startswith(f"{path} is empty; leave it out, or give")


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.tsv", "query\tpositive\n"), ("a.json", '{"data": []}'), ("b.json", '{"data": [\n]}')],
)
def test_a_file_without_a_row(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    assert "holds no pair; leave it out or fill it" in refusal(path)


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("a.csv", "query,positive\n", "ends in '.csv'; give JSON lines"),
        ("a", "{}", "ends in 'no suffix'; give JSON lines"),
        ("a.jsonl", "query\tpositive\n", "begins with 'query\\tpositive', no object; give"),
        ("a.json", '[{"query": "q"}]', 'begins with \'[{"query": "q"}]\', no object; give'),
        ("a.tsv", "why is it so\tbecause\n", "begins with 2 columns ("),
        ("a.tsv", "a b\tc d\te f\tg h\n", "begins with 4 columns ("),
        ("a.tsv", "question\tgood\tbad\n", "begins with 'question', 'good', 'bad', which look"),
    ],
)
def test_what_fits_no_format(tmp_path: Path, name: str, content: str, found: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    message = refusal(path)
    assert message.startswith(f"{path} {found}")
    assert all(shape in message for shape in ("JSON lines", "triples", "SQuAD", "BEIR folder"))


def test_names_that_are_not_there(tmp_path: Path) -> None:
    assert refusal() == "no pairs are named; name files or BEIR folders"
    missing = tmp_path / "a.jsonl"
    assert refusal(missing) == f"{missing}: no such file or folder; check the path"
    assert "a folder without queries.jsonl and qrels/SPLIT.tsv" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("query\tpositve\na\tb\n", ":1: in the header: the field 'positve' is not known, positive"),
        ("query\tpositive\tquery\n", ":1: in the header: the column 'query' comes twice; rename"),
        ("query\tpositive\na\n", ":2: 1 cells where the header names 2; quote"),
        ('query\tpositive\na\t"b" c\n', ":2: not a row: "),
        ("query\tpositive\na\t\n", ":2: the query has no positive; name it"),
        ("query\tpositive\n\tb\n", ":2: the query is empty"),
        ("query\tpassage\tlabel\na\tb\t\n", ":2: the label is empty"),
        ("query\tpassage\tlabel\na\tb\tx\n", ":2: the label is 'x'"),
        ("query\tpositive\tscores\na\tb\t1 x\n", ":2: the scores are no list"),
        ("a b\tc\td\ne f\tg\n", ":2: 2 columns where a triple has 3"),
        ("a b\tc\td\ne f\t\th\n", ":2: the positive is empty"),
    ],
)
def test_bad_rows_of_tsv(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "a.tsv"
    path.write_text(content)
    assert refusal(path).startswith(f"{path}{message}")


def test_bad_triples_of_ids(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    id_triples(path, [ANCHOR])
    path.write_text(f"{path.read_text()}0\t9\t1\n0\tx\t1\n")
    collection = tmp_path / "collection.tsv"
    assert refusal(path).startswith(f"{path}:2: {collection} has no id 9; get both files again")
    skipped = read_pairs([str(path)], skip_bad=True)
    assert skipped.report.files[0].bad[1] == f"{path}:3: not three ids, as in the first line"
    collection.write_text("0 without a tab\n")
    assert refusal(path) == f"{collection}:1: not an id, a tab and a text; get the file again"
    collection.unlink()
    assert "there is no collection.tsv beside it" in refusal(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"data": {}}, "the file: no list data; lay it out as SQuAD"),
        ({"data": [{}]}, "data[0]: no list paragraphs in data[0]"),
        ({"data": [{"paragraphs": [{"context": "c"}]}]}, "data[0].paragraphs[0]: no list qas in"),
        (
            {"data": [{"paragraphs": [{"qas": [{"question": "q"}]}]}]},
            "data[0].paragraphs[0].qas[0]: the paragraph has no field context",
        ),
        (
            {"data": [{"paragraphs": [{"context": "c", "qas": [{}]}]}]},
            "data[0].paragraphs[0].qas[0]: no field question",
        ),
    ],
)
def test_bad_squad(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content, indent=1))
    assert refusal(path).startswith(f"{path}: {message}")


def test_queries_without_a_positive_are_counted(tmp_path: Path) -> None:
    lines = [
        GOOD,
        {"query": "one", "negatives": ["n"]},
        {"query": "two", "positives": []},
        {"query": "later", "negatives": ["n"]},
        {"query": "three", "positive": None},
        {"query": "ONE", "negatives": ["m"]},
        {"query": "Later", "positive": "p"},
    ]
    path = write_lines(tmp_path / "a.jsonl", lines)
    assert refusal(path) == (
        f"{path}:2: the query has no positive, and 2 more queries have none; name it positive, "
        "positives, or passage with label, or pass --skip-bad"
    )
    pairs = read_pairs([path], skip_bad=True)
    assert [each.query for each in pairs.examples] == ["q", "later"]
    assert pairs.report.left_out == {"without a positive": 3}


def test_labels_may_rightly_tell_of_no_positive(tmp_path: Path) -> None:
    lines = [{"query": q, "passage": "p", "label": label} for q, label in [("a", 0), ("b", 1)]]
    pairs = read_pairs([write_lines(tmp_path / "a.jsonl", lines)])
    assert [each.query for each in pairs.examples] == ["b"]
    assert pairs.report.left_out == {"whose labels or grades tell of no positive": 1}
    path = write_lines(tmp_path / "b.jsonl", lines[:1])
    assert refusal(path) == f"{path}: no query has a positive; give each one"


def test_nothing_is_left_of_a_split(tmp_path: Path) -> None:
    lines = [GOOD | {"split": name} for name in ("validation", "test")]
    path = write_lines(tmp_path / "a.jsonl", lines)
    assert refusal(path) == (
        f"{path}: no pair is of the split 'train', but of test, validation; choose one with --split"
    )
    assert refusal(path, split="validaton").endswith("did you mean validation?")
    folder = beir(tmp_path / "beir", [ANCHOR], split="dev")
    assert "has no split 'train', but dev" in refusal(folder)


def test_nothing_is_left_when_all_is_bad(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [{"query": 1, "positive": "p"}] * 2)
    assert refusal(path, skip_bad=True).startswith(f"{path}: no pair is left (2 bad)")


def test_identical_texts_teach_nothing(tmp_path: Path) -> None:
    same = [{"query": f"q{number}", "positive": text} for number, text in enumerate(["p", "P "])]
    path = write_lines(tmp_path / "a.jsonl", same)
    assert refusal(path).startswith("all 2 queries have one and the same passage ('p'), so nothing")
    other = write_lines(tmp_path / "b.jsonl", [{"query": "r", "positive": "s"}])
    assert len(read_pairs([path, other]).examples) == 3
    negative = write_lines(tmp_path / "n.jsonl", [{"query": "q1", "negatives": ["n"]}])
    assert len(read_pairs([path], negatives=negative).examples) == 2
    own = [{"query": text, "positive": text.upper()} for text in ("a", "b")]
    path = write_lines(tmp_path / "c.jsonl", own)
    assert refusal(path).startswith("the positive of every query is the query itself (2 examples)")
    assert len(read_pairs([path, other]).examples) == 3


def test_fields_of_others_are_passed_over(tmp_path: Path) -> None:
    names = [
        "query_id",
        "passage_id",
        "positive_id",
        "positive_title",
        "domain",
        "answers",
        "position",
        "url",
        "message",
    ]
    path = write_lines(tmp_path / "a.jsonl", [GOOD | dict.fromkeys(names, 1), GOOD | {"url": ""}])
    assert read_pairs([path]).report.files[0].unread == dict.fromkeys(names, 1) | {"url": 2}


PIECES = [
    b'{"query": "a b", "positive": "c d"}', b'{"query": ', b"\n", b"\t", b'"', b"[", b"]}", b"0",
    b"query", b"positive\tnegative", b"\xff", b"\0", b"\r", b"\xef\xbb\xbf", b'{"data": [', b"a b",
    b"\\ud800", b"\x1f\x8b", b"\xe2\x80\xa8", b"1e999",
]  # fmt: skip


@settings(max_examples=300)
@given(
    st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=4)), max_size=12),
    st.sampled_from(["a.jsonl", "a.json", "a.tsv", "a.jsonl.gz"]),
    st.booleans(),
)
def test_any_bytes_give_pairs_or_one_line(pieces: list[bytes], name: str, skip_bad: bool) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(b"".join(pieces))
        try:
            pairs = read_pairs([str(path)], skip_bad=skip_bad)
        except ClozeError as error:
            assert "\n" not in str(error)
            assert str(path) in str(error) or "nothing can be learned" in str(error)
        else:
            assert all(each.query and each.positives for each in pairs.examples)
