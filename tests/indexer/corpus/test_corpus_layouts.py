"""Layouts of others: MS MARCO, Wikipedia, JSON arrays; patterns, files named twice, and filters."""

import gzip
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.corpus import Corpus
from indexer.documents import Document
from indexer.errors import ClozeError
from indexer.filters import FilterError, parse

MIB = 2**20


def write(folder: Path, name: str, data: str | bytes) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return str(path)


def ids(*inputs: object, **options: Any) -> list[str]:  # noqa: ANN401
    return [document.id for document in Corpus(list(map(str, inputs)), **options)]


def test_msmarco_passages_and_documents(tmp_path: Path) -> None:
    passages = write(tmp_path, "collection.tsv", '0\tThe "atomic\n1\t"quoted" and\'s\r\n')
    assert list(Corpus([f"msmarco:{passages}"])) == [
        Document(id="0", text='The "atomic'),
        Document(id="1", text='"quoted" and\'s'),
    ]
    line = 'D1\thttp://x\tA "title\t' + "body " * 9 + "\n"
    packed = write(tmp_path, "docs.tsv.gz", gzip.compress(line.encode()))
    [document] = Corpus([f"msmarco:{packed}"])
    assert document == Document(
        id="D1", title='A "title', text="body " * 9, metadata={"url": "http://x"}
    )


def test_msmarco_lines_with_other_fields_are_bad(tmp_path: Path) -> None:
    path = write(tmp_path, "c.tsv", "0\ta\n1\tb\tc\n2\n\xff\n\n3\td\n".encode("latin-1"))
    corpus = Corpus([f"msmarco:{path}"], skip_bad=True)
    assert [document.id for document in corpus] == ["0", "3"]
    assert corpus.counts.skipped_examples == [
        f"{path}:2: 3 fields where MS MARCO's files have 2 or 4",
        f"{path}:3: 1 fields where MS MARCO's files have 2 or 4",
        f"{path}:4: byte 0xff at offset 0 is not UTF-8",
    ]
    with pytest.raises(ClozeError, match=r"c\.tsv:1: in the header: .*as msmarco:FILE$"):
        ids(path)
    with pytest.raises(ClozeError, match="no such file; name collection"):
        ids(f"msmarco:{tmp_path}")


def test_passages_of_dpr(tmp_path: Path) -> None:
    data = 'id\ttext\ttitle\n1\t"Aaron ( or ; ""Ahärôn"") is"\tAaron\n2\tplain\t"A ""b"""\n'
    assert list(Corpus([write(tmp_path, "psgs_w100.tsv", data)])) == [
        Document(id="1", title="Aaron", text='Aaron ( or ; "Ahärôn") is'),
        Document(id="2", title='A "b"', text="plain"),
    ]


def test_a_folder_of_wikiextractor(tmp_path: Path) -> None:
    one = {"id": "12", "url": "u", "title": "A", "text": "x\ny"}
    write(tmp_path, "AA/wiki_00", json.dumps(one) + "\n" + json.dumps(one | {"id": "13"}) + "\n")
    write(tmp_path, "AB/wiki_00.gz", gzip.compress(json.dumps(one | {"id": "14"}).encode()))
    write(tmp_path, "AB/wiki_index", "?")
    assert ids(tmp_path) == ["12", "13", "14"]
    assert ids(tmp_path / "AA" / "wiki_00") == ["12", "13"]
    first = next(iter(Corpus([str(tmp_path)])))
    assert first == Document(id="12", title="A", text="x\ny", metadata={"url": "u"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (["One.", " Two.", "Three."], "One. Two. Three."),
        (["One.\n", "Two.", "", "Three."], "One.\nTwo.Three."),
        ([["A.", "B."], [], ["C."]], "A. B.\n\nC."),
    ],
)
def test_sentences_are_joined(tmp_path: Path, text: list[Any], expected: str) -> None:
    path = write(tmp_path, "h.jsonl", json.dumps({"id": 1, "title": "T", "text": text}))
    assert [document.text for document in Corpus([path])] == [expected]


def test_sentences_of_other_things_are_bad(tmp_path: Path) -> None:
    for text in ([1], ["a", ["b"]], [["a"], [1]], []):
        path = write(tmp_path, "h.jsonl", json.dumps({"id": 1, "text": text}))
        with pytest.raises(ClozeError, match="the text is a list"):
            ids(path)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@given(
    items=st.lists(st.tuples(st.text('ab"\\[]{},\n é', max_size=8), values), max_size=5),
    indent=st.sampled_from([None, 0, 3]),
    layout=st.sampled_from(["array", "objects", "lines"]),
)
def test_json_in_any_layout(
    tmp_path: Path, items: list[tuple[str, Any]], indent: int | None, layout: str
) -> None:
    objects = [{"id": n, "text": text, "value": v} for n, (text, v) in enumerate(items)]
    if layout == "array":
        data = json.dumps(objects, indent=indent)
    else:
        data = ("\n" if layout == "lines" else " ").join(
            json.dumps(one, indent=indent) for one in objects
        )
    corpus = Corpus([write(tmp_path, "a.json", data)])
    found = [(document.id, document.text, document.metadata["value"]) for document in corpus]
    assert found == [(str(n), text, value) for n, (text, value) in enumerate(items)]


@pytest.mark.parametrize(
    ("data", "kept", "problems"),
    [
        ('[{"id":1,"text":"a"},\n{bad},\n{"id":2,"text":"b"}]', ["1", "2"], ["2: not JSON"]),
        ('[{"id":1,"text":"a"},\n{"id":2,"te', ["1"], ["2: the array has no end"]),
        ('[{"id":1,"text":"a"}]\n\n[2]', ["1"], ["3: something follows the end of the array"]),
        ("[1, 2]", [], ["1: not a JSON object", "1: not a JSON object"]),
        ('{"id":1,"text":"a"}\n}{"id":2,"text":"b"}', ["1", "2"], ["2: not JSON"]),
        ('{"id":1,"text":"a', [], ["1: not JSON"]),
        ("[" * 100_000, [], ["1: the array has no end"]),
        ('{"id":1,"text":' + "[" * 90_000 + "]" * 90_000 + "}", [], ["1: JSON nested too deep"]),
        ("[]", [], []),
        (" \n", [], []),
    ],
)
def test_bad_json_costs_its_object_alone(
    tmp_path: Path, data: str, kept: list[str], problems: list[str]
) -> None:
    path = write(tmp_path, "a.json", data)
    corpus = Corpus([path], skip_bad=True)
    assert [document.id for document in corpus] == kept
    examples = corpus.counts.skipped_examples
    assert len(examples) == len(problems)
    for example, problem in zip(examples, problems, strict=True):
        assert example.startswith(f"{path}:{problem}")


def test_a_giant_object_is_passed_over_in_little_memory(tmp_path: Path) -> None:
    data = b'[{"id":1,"text":"' + b"x" * 30 * MIB + b'"},\n{"id":2,"text":"b"}]'
    corpus = Corpus([write(tmp_path, "a.json", data)], max_document_mib=1, skip_bad=True)
    tracemalloc.start()
    try:
        assert [document.id for document in corpus] == ["2"]
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()
    assert corpus.counts.skipped_examples[0].endswith("a document of more than 1 MiB, the limit")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("a.txt", "b/a.txt", "b/c/d.txt", "b/c/e.md", "f.jsonl"):
        write(tmp_path, name, json.dumps({"id": "line", "text": "x"}))
    return tmp_path


def test_patterns(tree: Path) -> None:
    assert ids(tree / "*.txt") == ["a.txt"]
    assert ids(tree / "**" / "*.txt") == ["a.txt", "b/a.txt", "b/c/d.txt"]
    assert ids(tree / "b" / "?" / "*") == ["c/d.txt", "c/e.md"]
    assert ids(tree / "**" / "[de].*", tree / "*.jsonl") == ["b/c/d.txt", "b/c/e.md", "line"]
    corpus = Corpus([str(tree / "**" / "*.txt")])
    assert [corpus.position() for _ in corpus] == pytest.approx([1 / 3, 2 / 3, 1])


def test_a_pattern_without_files_and_a_name_that_looks_like_one(tree: Path) -> None:
    for pattern in ("*.csv", "b*", "**/*.parquet"):
        with pytest.raises(ClozeError, match="the pattern matches no file") as caught:
            Corpus([str(tree / pattern)])
        assert str(caught.value).startswith(str(tree / pattern))
    write(tree, "what[1]?.txt", "x")
    assert ids(tree / "what[1]?.txt") == ["what[1]?.txt"]
    write(tree, "b/c/g.doc", "x")
    with pytest.raises(ClozeError, match=r"g\.doc: suffix '\.doc' is not one of"):
        Corpus([str(tree / "**" / "*")])


def test_a_file_that_two_inputs_name_is_read_once(tree: Path) -> None:
    (tree / "link.jsonl").symlink_to(tree / "f.jsonl")
    inputs = [str(tree / "f.jsonl"), str(tree / "*.jsonl"), str(tree / "b"), str(tree / "b" / "c")]
    corpus = Corpus(inputs)
    assert [document.id for document in corpus] == ["line", "a.txt", "c/d.txt", "c/e.md"]
    assert corpus.counts.repeated == 4
    assert corpus.position() == 1.0


def test_where_leaves_out_documents(tmp_path: Path) -> None:
    lines = [{"id": n, "text": "x", "year": 1990 + n, "lang": "en"} for n in range(20)]
    path = write(tmp_path, "a.jsonl", "\n".join(map(json.dumps, lines)) + "\n?")
    corpus = Corpus([path], where=parse("year >= 2000 and year < 2003"), skip_bad=True)
    assert [document.id for document in corpus] == ["10", "11", "12"]
    assert (corpus.counts.read, corpus.counts.left_out, corpus.counts.skipped) == (3, 17, 1)
    with pytest.raises(FilterError, match=r"unknown field 'yaer': did you mean 'year'\?"):
        ids(path, where=parse("yaer = 2000"), skip_bad=True)


def test_where_on_the_command_line_and_with_sync(tmp_path: Path, cloze: Callable[..., Any]) -> None:
    lines = [{"id": n, "text": "x", "year": n} for n in range(9)]
    path = write(tmp_path, "a.jsonl", "\n".join(map(json.dumps, lines)))
    command = ("index", tmp_path / "index", path, "--lexical-only", "--json")
    first = json.loads(cloze(*command, "--where", "year < 6").stdout)
    assert (first["added"], first["left_out"], first["repeated_files"]) == (6, 3, 0)
    second = json.loads(cloze(*command, path, "--where", "year >= 4", "--sync").stdout)
    assert (second["added"], second["unchanged"], second["deleted"]) == (3, 2, 4)
    assert (second["left_out"], second["repeated_files"]) == (4, 1)
    wrong = cloze(*command, "--where", "yaer = 4", "--sync")
    assert wrong.returncode == 2 and "unknown field 'yaer'" in wrong.stderr
    assert json.loads(cloze(*command).stdout)["unchanged"] == 5
