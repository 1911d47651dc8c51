import gzip
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from indexer.errors import ClozeError
from indexer.passages import sentence_ends
from training import text as text_module
from training.text import DOCUMENT_CHARACTERS, Reading, Texts, cut

LIMIT = 64


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents and blocks so small that short texts are cut."""
    monkeypatch.setattr(text_module, "DOCUMENT_CHARACTERS", LIMIT)
    monkeypatch.setattr(text_module, "_BLOCK", 7)


def read(*paths: Path, reading: Reading = Reading()) -> list[str]:  # noqa: B008 - frozen
    return list(Texts([str(path) for path in paths], reading))


# Pieces that fill a document of 64 characters in all the ways that matter.
PLAIN = st.lists(
    st.sampled_from(["\n", " ", "One. Two", "a" * 70, "ä水\U0001f41f", "word ", "line\n\n", "。"]),
    max_size=40,
).map("".join)


@pytest.mark.usefixtures("small")
@settings(max_examples=150)
@given(PLAIN)
@example("x" * LIMIT + "\n")
@example("word " * 40)
def test_nothing_is_lost_and_no_document_is_too_long(tmp_path: Path, text: str) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(text.encode())
    documents = read(path)
    assert "".join(documents) == text
    assert all(0 < len(document) <= LIMIT for document in documents)


@pytest.mark.usefixtures("small")
@given(PLAIN)
def test_documents_end_at_lines_else_sentences_else_words(tmp_path: Path, text: str) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(text.encode())
    documents = read(path)
    rest = text
    for document in documents[:-1]:
        window, rest = rest[:LIMIT], rest[len(document) :]
        if "\n" in window:
            assert document == window[: window.rindex("\n") + 1]
        elif ends := [end for end in sentence_ends(window) if end < LIMIT]:
            assert len(document) == ends[-1]
        elif " " in window.strip():
            assert document.endswith(" ")
            assert " " not in window[len(document) :]
        else:
            assert document == window


def test_as_much_as_fits_is_one_document(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_text("A line of text.\n" * 10_000)
    documents = read(path)
    assert [len(each) for each in documents[:-1]] == [DOCUMENT_CHARACTERS] * 4
    assert "".join(documents) == path.read_text()


def test_one_endless_line_is_cut_within_bounded_memory(tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "endless.txt.gz"
    with gzip.open(path, "wt") as file:
        for _ in range(200):
            file.write("one endless line " * 2000)
    size = 0
    tracemalloc.start()
    for document in Texts([str(path)], Reading()):
        size += len(document)
        assert document.endswith(" ")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size == 200 * 2000 * 17
    assert peak < 2 << 20


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0", r"bad\.txt:1: byte 0x89 is not UTF-8; save the file as UTF-8"),
        (b"good\nGIF89a\0\x01\n", r"bad\.txt:2: a NUL byte, so this is no text; leave the file"),
        (b"good\nends in \xe6\xb0", r"bad\.txt:\d: byte 0xe6 is not UTF-8"),
    ],
)
def test_binary_is_refused_in_one_line(tmp_path: Path, content: bytes, line: str) -> None:
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    with pytest.raises(ClozeError, match=line) as raised:
        read(path)
    assert "\n" not in str(raised.value)


def test_bad_files_are_skipped_and_counted_where_asked(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\0")
    (tmp_path / "b.txt").write_text("good")
    texts = Texts([str(tmp_path)], Reading(skip_bad=True))
    assert list(texts) == ["good"]
    assert texts.skipped() == 1


@given(st.text(st.sampled_from("ab. \n"), max_size=200))
def test_cut_loses_nothing(text: str) -> None:
    assert "".join(cut(text)) == text
    assert list(cut("")) == [""]
