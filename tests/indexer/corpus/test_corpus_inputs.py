"""What an input may be: files by suffix, BEIR folders, folders of texts, and what is refused."""

import gzip
import os
from pathlib import Path

import pytest

from indexer.corpus import Corpus
from indexer.documents import Document
from indexer.errors import ClozeError

LINE = b'{"id": "a", "text": "x"}\n'


def tree(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("c.jsonl", LINE),
        ("c.ndjson", LINE),
        ("c.json-lines", LINE),
        ("C.JSONL", LINE),
        ("c.csv", b"id,text\na,x\n"),
        ("c.tsv", b"id\ttext\na\tx\n"),
    ],
)
@pytest.mark.parametrize("packed", ["", ".gz"])
def test_suffixes(tmp_path: Path, name: str, data: bytes, packed: str) -> None:
    tree(tmp_path, {name + packed: data})
    assert list(Corpus([str(tmp_path / (name + packed))])) == [Document(id="a", text="x")]


@pytest.mark.parametrize("name", ["corpus.jsonl", "corpus.jsonl.gz"])
def test_beir_folder(tmp_path: Path, name: str) -> None:
    beir = b'{"_id": "a", "title": "T", "text": "x", "metadata": {"url": "u"}}\n'
    tree(
        tmp_path,
        {name: beir, "queries.jsonl": LINE, "qrels/test.tsv": b"q\td\ts\n", "a.txt": b"no"},
    )
    expected = Document(id="a", title="T", text="x", metadata={"url": "u"})
    assert list(Corpus([str(tmp_path)])) == [expected]


def test_folder_of_texts_in_order_of_relative_paths(tmp_path: Path) -> None:
    tree(
        tmp_path,
        {
            "b/z.txt": b"1",
            "b/a/deep.md": b"# Deep #\r\n\r\nbody\r\n",
            "b.txt": b"\xef\xbb\xbf2",
            "b-c.txt.gz": b"3",
            "B.MD": b"##  not a title\n# nor this",
            "skip.doc": b"%PDF",
            "data.jsonl": LINE,
        },
    )
    corpus = Corpus([str(tmp_path)])
    documents = list(corpus)
    assert documents == [
        Document(id="B.MD", text="##  not a title\n# nor this"),
        Document(id="b-c.txt.gz", text="3"),
        Document(id="b.txt", text="2"),
        Document(id="b/a/deep.md", title="Deep", text="body\n"),
        Document(id="b/z.txt", text="1"),
    ]
    assert [document.id for document in documents] == sorted(each.id for each in documents)
    assert corpus.where() == f"{tmp_path / 'b' / 'z.txt'}:1"
    assert corpus.position() == 1.0


def test_position_in_a_folder(tmp_path: Path) -> None:
    tree(tmp_path, {"a.txt": b"x" * 10, "b/c.md": b"x" * 20, "d.txt": b"x" * 10, "e.doc": b"x"})
    corpus = Corpus([str(tmp_path)])
    assert [corpus.position() for _ in corpus] == [0.25, 0.75, 1.0]


@pytest.mark.parametrize(
    ("markdown", "title", "text"),
    [
        ("# One\ntwo", "One", "two"),
        ("# One", "One", ""),
        ("#  C# and F#  \n\n\ntwo\n", "C# and F#", "two\n"),
        ("#\tTabbed ##\t\ntwo", "Tabbed", "two"),
        ("#Tag\ntwo", "", "#Tag\ntwo"),
        ("\n# Late\ntwo", "", "\n# Late\ntwo"),
        ("", "", ""),
    ],
)
def test_markdown_title(tmp_path: Path, markdown: str, title: str, text: str) -> None:
    tree(tmp_path, {"n.md": markdown.encode()})
    corpus = Corpus([str(tmp_path / "n.md")])
    assert list(corpus) == [Document(id="n.md", title=title, text=text)]
    assert corpus.counts.empty == (not text)


def test_single_text_file_is_named_by_its_file_name(tmp_path: Path) -> None:
    tree(tmp_path, {"d/# no title.txt": b"# x"})
    [document] = Corpus([str(tmp_path / "d" / "# no title.txt")])
    assert document == Document(id="# no title.txt", text="# x")


def test_bad_text_files_are_skipped_one_by_one(tmp_path: Path) -> None:
    names = {"a.txt": b"\xff", "b.txt": b"x" * 11, "c.txt": b"x" * 10, "d\ne.txt": b"x"}
    tree(tmp_path, names)
    corpus = Corpus([str(tmp_path)], skip_bad=True, max_document_mib=10 / 2**20)
    assert [document.id for document in corpus] == ["c.txt"]
    assert corpus.counts.skipped == 3
    assert all("\n" not in example for example in corpus.counts.skipped_examples)


def test_file_name_that_is_not_utf8_is_bad(tmp_path: Path) -> None:
    try:
        with open(os.fsencode(tmp_path) + b"/\xff.txt", "wb") as stream:
            stream.write(b"x")
    except OSError:
        pytest.skip("this file system keeps names in UTF-8")
    with pytest.raises(ClozeError, match="the id has half a surrogate pair") as caught:
        list(Corpus([str(tmp_path)]))
    assert str(caught.value).encode()


def test_loop_of_links_ends(tmp_path: Path) -> None:
    tree(tmp_path, {"a/b.txt": b"x"})
    (tmp_path / "a" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "gone.txt").symlink_to(tmp_path / "nowhere")
    assert [document.id for document in Corpus([str(tmp_path)])] == ["a/b.txt"]


def test_inputs_are_read_one_after_the_other(tmp_path: Path) -> None:
    tree(tmp_path, {"1.jsonl": LINE, "f/t.txt": b"x", "2.csv": b"id,text\nb,y\n"})
    corpus = Corpus([str(tmp_path / name) for name in ("2.csv", "f", "1.jsonl")])
    assert [document.id for document in corpus] == ["b", "t.txt", "a"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nowhere", ": no such file or folder; check the path"),
        ("report.doc", r": suffix '\.doc' is not one of \.jsonl, .*\.csv, .*\.md"),
        ("noend", ": suffix '' is not one of"),
        ("corpus.gz", ": suffix '' is not one of"),
        ("empty", r"neither corpus\.jsonl nor any \.txt, .* or wiki_NN file"),
        ("other", r"neither corpus\.jsonl nor any \.txt, .* or wiki_NN file"),
    ],
)
def test_refused_at_once(tmp_path: Path, name: str, expected: str) -> None:
    tree(tmp_path, {"report.doc": b"", "noend": b"", "corpus.gz": b"", "other/docs.jsonl": LINE})
    (tmp_path / "empty").mkdir()
    with pytest.raises(ClozeError, match=expected) as caught:
        Corpus([str(tmp_path / name)])
    assert str(caught.value).startswith(str(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_file_that_goes_away_is_an_error_for_the_user(tmp_path: Path) -> None:
    tree(tmp_path, {"a.jsonl": LINE})
    corpus = Corpus([str(tmp_path / "a.jsonl")], skip_bad=True)
    (tmp_path / "a.jsonl").unlink()
    with pytest.raises(ClozeError, match="cannot be read: No such file or directory"):
        list(corpus)
