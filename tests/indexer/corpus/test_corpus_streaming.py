"""What holds of the stream: where it is, what it skips, and that it never holds a whole file."""

import gzip
import io
import json
import sys
import tracemalloc
from pathlib import Path

import pytest

from indexer.corpus import Corpus, CorpusCounts
from indexer.errors import ClozeError

MIB = 2**20


def lines(*ids: str) -> bytes:
    return b"".join(b'{"id": "%s", "text": "x"}\n' % each.encode() for each in ids)


def ids(corpus: Corpus) -> list[str]:
    return [document.id for document in corpus]


def test_blank_lines_and_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "c.ndjson"
    path.write_bytes(b"\xef\xbb\xbf" + lines("a") + b"\n  \r\n\t\n" + lines("b").rstrip())
    corpus = Corpus([str(path)])
    seen = [(document.id, corpus.where()) for document in corpus]
    assert seen == [("a", f"{path}:1"), ("b", f"{path}:5")]
    assert corpus.counts == CorpusCounts(read=2)


def test_byte_order_mark_elsewhere_is_bad(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_bytes(lines("a") + b"\xef\xbb\xbf" + lines("b"))
    with pytest.raises(ClozeError, match=r"c\.jsonl:2: not JSON"):
        ids(Corpus([str(path)]))


def test_skip_bad_goes_on_and_keeps_five_examples(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_bytes(lines("a") + b"\xff\n" * 7 + lines("b"))
    corpus = Corpus([str(path)], skip_bad=True)
    assert ids(corpus) == ["a", "b"]
    assert (corpus.counts.read, corpus.counts.skipped) == (2, 7)
    problem = "byte 0xff at offset 0 is not UTF-8"
    assert corpus.counts.skipped_examples == [f"{path}:{line}: {problem}" for line in range(2, 7)]
    assert corpus.where() == f"{path}:9"


def test_counts_are_live_and_the_stream_is_one(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_bytes(lines("a", "b", "c"))
    corpus = Corpus([str(path)])
    assert corpus.where() == ""
    for document in corpus:
        assert (document.id, corpus.counts.read) == ("a", 1)
        break
    assert ids(corpus) == ["b", "c"]
    assert ids(corpus) == []
    assert corpus.counts.read == 3


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_limit_counts_the_bytes_of_a_line_without_its_end(
    tmp_path: Path, end: bytes, mark: bytes
) -> None:
    line = '{"id": "é", "text": "x"}'.encode()
    path = tmp_path / "c.jsonl"
    path.write_bytes(mark + line + end)
    assert ids(Corpus([str(path)], max_document_mib=len(line) / MIB)) == ["é"]
    with pytest.raises(ClozeError, match=r":1: a document of more than .* MiB"):
        ids(Corpus([str(path)], max_document_mib=(len(line) - 1) / MIB))


def test_carriage_returns_do_not_hide_a_long_line(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_bytes(b" " * 40 + b"\r\r" + lines("hidden") + lines("b"))
    corpus = Corpus([str(path)], max_document_mib=40 / MIB, skip_bad=True)
    assert ids(corpus) == ["b"]
    assert corpus.counts.skipped == 1


def giant(name: str, path: Path) -> None:
    body = b"x" * 30 * MIB
    if name == "multiline.csv":
        # A quote left open: every later line belongs to the same row.
        path.write_bytes(b'id,text\n1,"' + (b"y" * 999 + b"\n") * 30_000)
    elif name.endswith(".csv"):
        path.write_bytes(b'id,text\n1,"' + body + b'""\n,"\n2,kept\n')
    elif name.endswith(".jsonl.gz"):
        path.write_bytes(gzip.compress(b'{"text": "' + body + b'"}\n' + lines("2"), 1))
    elif name.endswith(".jsonl"):
        path.write_bytes(b'{"text": "' + body + b'"}\n' + lines("2"))
    else:
        path.write_bytes(body)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("one.jsonl", ["2"]),
        ("one.jsonl.gz", ["2"]),
        ("one.csv", ["2"]),
        ("multiline.csv", []),
        ("one.txt", []),
        ("one.md", []),
    ],
)
def test_giant_document_is_skipped_in_little_memory(
    tmp_path: Path, name: str, kept: list[str]
) -> None:
    path = tmp_path / name
    giant(name, path)
    corpus = Corpus([str(path)], max_document_mib=1, skip_bad=True)
    tracemalloc.start()
    try:
        assert ids(corpus) == kept
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * MIB
    assert corpus.counts.skipped == 1
    assert corpus.counts.skipped_examples[0].endswith("a document of more than 1 MiB, the limit")


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_bytes(lines(*map(str, range(200))) * 30)
    corpus = Corpus([str(path)])
    tracemalloc.start()
    try:
        count = sum(1 for _ in corpus)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 6_000
    assert peak < MIB / 2


def test_gzip_cut_anywhere_gives_whole_lines_and_one_bad_end(tmp_path: Path) -> None:
    data = gzip.compress(lines("a", "b", "c"))
    path = tmp_path / "c.jsonl.gz"
    for cut in range(1, len(data)):
        path.write_bytes(data[:cut])
        corpus = Corpus([str(path)], skip_bad=True)
        found = ids(corpus)
        assert found == ["a", "b", "c"][: len(found)]
        assert corpus.counts.skipped == 1
        with pytest.raises(ClozeError, match="the gzip data is damaged or ends early"):
            ids(Corpus([str(path)]))
    # All lines are there and only the checksum is cut: the bad line is the one after them.
    assert found == ["a", "b", "c"]
    assert corpus.counts.skipped_examples[0].startswith(f"{path}:4: ")


def test_gzip_that_is_none_or_damaged_is_bad_and_the_next_file_is_read(tmp_path: Path) -> None:
    names = ("f.jsonl.gz", "g.csv.gz", "garbled.txt.gz", "h.jsonl.gz")
    fake, flipped, garbled, good = (tmp_path / name for name in names)
    fake.write_bytes(lines("a"))
    data = bytearray(gzip.compress(b"id,text\na,x\n"))
    data[-6] ^= 0xFF
    flipped.write_bytes(data)
    # A header of ten bytes, and then a block of the type that deflate does not have.
    garbled.write_bytes(gzip.compress(b"")[:10] + b"\xff" * 20)
    good.write_bytes(gzip.compress(lines("b")) + gzip.compress(lines("c")))
    corpus = Corpus([str(tmp_path / name) for name in names], skip_bad=True)
    assert ids(corpus)[-2:] == ["b", "c"]
    assert corpus.counts.skipped == 3


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
def test_position_follows_the_bytes(tmp_path: Path, suffix: str) -> None:
    paths = [tmp_path / f"{name}{suffix}" for name in "ab"]
    for path in paths:
        # Text that gzip cannot shorten much, so that positions move.
        texts = [json.dumps({"id": n, "text": str(pow(7, n + 400))}) for n in range(400)]
        data = "\n".join(texts).encode()
        path.write_bytes(gzip.compress(data) if suffix.endswith(".gz") else data)
    corpus = Corpus([str(path) for path in paths])
    positions = [corpus.position()]
    positions += [corpus.position() for _ in corpus]
    positions += [corpus.position()]
    assert positions[0] == 0.0
    assert positions[-1] == 1.0
    known = [position for position in positions if position is not None]
    assert len(known) == 802
    assert known == sorted(known)
    assert known[400] == pytest.approx(0.5, abs=0.05)
    assert known[200] == pytest.approx(0.25, abs=0.15)


def test_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbf" + lines("a", "b") + b"?"))
    monkeypatch.setattr(sys, "stdin", stream)
    path = tmp_path / "c.jsonl"
    path.write_bytes(lines("c"))
    corpus = Corpus(["-", str(path)], skip_bad=True)
    seen = [(document.id, corpus.where(), corpus.position()) for document in corpus]
    assert seen == [
        ("a", "<stdin>:1", None),
        ("b", "<stdin>:2", None),
        ("c", f"{path}:1", None),
    ]
    assert corpus.counts.skipped_examples[0].startswith("<stdin>:3: not JSON")
    assert not stream.closed


def test_empty_files_hold_no_documents(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.jsonl", "b.csv", "c.tsv", "d.jsonl.gz")]
    for path in paths:
        path.write_bytes(b"")
    corpus = Corpus([str(path) for path in paths])
    assert ids(corpus) == []
    assert corpus.counts == CorpusCounts()
    assert corpus.position() is None
