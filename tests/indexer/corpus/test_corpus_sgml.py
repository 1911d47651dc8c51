"""TREC's SGML documents as a corpus: files, folders, TREC's layout, and what is wrong in them."""

from pathlib import Path

import pytest

from indexer.corpus import Corpus
from indexer.errors import ClozeError

ONE = "<DOC>\n<DOCNO> FT-1 </DOCNO>\n<HL>A <B>title</B></HL>\n<TEXT>one &amp; two</TEXT>\n</DOC>\n"
TWO = "<DOC><DOCNO>FT-2</DOCNO><TEXT>three</TEXT></DOC>"
EXPECTED = [("FT-1", "A title", "one & two"), ("FT-2", "", "three")]


def read(name: object, **options: bool) -> list[tuple[str, str, str]]:
    corpus = Corpus([str(name)], **options)  # type: ignore[arg-type]
    return [(each.id, each.title, each.text) for each in corpus]


@pytest.fixture
def trec(tmp_path: Path) -> Path:
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "ft911_1").write_text(ONE)
    (tmp_path / "documents" / "ft911_2").write_text(f"<!-- a disk -->\n{TWO}")
    (tmp_path / "documents" / ".hidden").write_text("?")
    (tmp_path / "topics.txt").write_text("1\tone\n")
    (tmp_path / "qrels.txt").write_text("1 0 FT-1 1\n")
    return tmp_path


def test_a_file_by_its_suffix_or_as_sgml(tmp_path: Path) -> None:
    (tmp_path / "corpus.sgml").write_text(ONE + TWO)
    (tmp_path / "corpus").write_text(ONE + TWO)
    assert read(tmp_path / "corpus.sgml") == EXPECTED
    assert read(f"sgml:{tmp_path / 'corpus'}") == EXPECTED
    with pytest.raises(ClozeError, match="or give TREC's documents as sgml:FILE"):
        read(tmp_path / "corpus")
    with pytest.raises(ClozeError, match="no such file or folder"):
        read("sgml:/no/such")


def test_a_folder_as_sgml_and_trecs_layout_without_its_topics(trec: Path) -> None:
    assert read(f"sgml:{trec / 'documents'}") == EXPECTED
    assert read(trec) == EXPECTED
    corpus = Corpus([str(trec)])
    assert corpus.position() == 0.0
    assert len(list(corpus)) == 2 and corpus.position() == 1.0


def test_trecs_layout_with_text_files(trec: Path) -> None:
    for file in (trec / "documents").iterdir():
        file.unlink()
    (trec / "documents" / "a.txt").write_text("hello")
    assert read(trec) == [("a.txt", "", "hello")]


def test_a_folder_of_texts_alone_is_no_trec_layout(trec: Path) -> None:
    for file in [*(trec / "documents").iterdir()]:
        file.unlink()
    (trec / "documents").rmdir()
    assert [each for each, _, _ in read(trec)] == ["qrels.txt", "topics.txt"]


def test_bad_documents_are_named_or_passed_over(tmp_path: Path) -> None:
    bad = "<DOC>\n<DOCNO>open</DOCNO>\n"
    path = tmp_path / "corpus.sgml"
    path.write_text(f"{ONE}{bad}{TWO}\n</DOC>\n<DOC>no number</DOC>\n{bad}")
    with pytest.raises(ClozeError, match=r"corpus\.sgml:6: the document has no </DOC> before"):
        read(path)
    corpus = Corpus([str(path)], skip_bad=True)
    assert [each.id for each in corpus] == ["FT-1", "FT-2"]
    assert [example.partition("corpus.sgml:")[2] for example in corpus.counts.skipped_examples] == [
        "6: the document has no </DOC> before the <DOC> in line 8",
        "9: a </DOC> without its <DOC>",
        "10: the document has no <DOCNO>",
        "11: the document has no </DOC>",
    ]


def test_a_document_above_the_limit_is_bad(tmp_path: Path) -> None:
    path = tmp_path / "corpus.sgml"
    path.write_text(f"{ONE}<DOC>\n<DOCNO>long</DOCNO>\n" + "word\n" * 1000 + f"</DOC>\n{TWO}")
    corpus = Corpus([str(path)], skip_bad=True, max_document_mib=0.001)
    assert [each.id for each in corpus] == ["FT-1", "FT-2"]
    (example,) = corpus.counts.skipped_examples
    assert "corpus.sgml:6: a document of more than 0.00" in example
