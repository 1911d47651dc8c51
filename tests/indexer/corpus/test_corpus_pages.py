"""HTML and PDF: what is text, which encoding, what is refused, and that nothing hangs."""

import resource
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.corpus import Corpus, isolation
from indexer.documents import Document
from indexer.errors import ClozeError

pytest.importorskip("selectolax")
pypdf = pytest.importorskip("pypdf")


def read(folder: Path, data: bytes, name: str = "p.html") -> Document:
    (folder / name).write_bytes(data)
    [document] = Corpus([str(folder / name)])
    return document


def refused(folder: Path, data: bytes, name: str, mib: float = 64) -> str:
    """Return what is wrong with a file, having seen that the next one is read all the same."""
    (folder / name).write_bytes(data)
    (folder / "next.html").write_bytes(b"<p>fine")
    paths = [str(folder / name), str(folder / "next.html")]
    corpus = Corpus(paths, skip_bad=True, max_document_mib=mib)
    assert [document.text for document in corpus] == ["fine"]
    [example] = corpus.counts.skipped_examples
    assert example.startswith(f"{paths[0]}:1: ")
    return example.partition(":1: ")[2]


def test_page_by_hand(tmp_path: Path) -> None:
    page = """<!doctype html><html lang=de><head><title> A &amp;
      b</title><meta name=Description content="What it  is"><style>p {}</style></head><body>
    <nav><a href=/>Home</a></nav><div role=navigation>More</div><h1>Head <i>of</i> it</h1>
    <p>one<br>two
       three</p>four<div hidden>never</div><!-- nor this -->
    <pre>def f():
        return 1</pre><script>alert(1)</script><svg><title>no</title></svg>
    <table><tr><td>1<td>2<tr><td>3</table><ul><li>x<li>y<b>z</b></ul>end<footer>(c)</footer>"""
    assert read(tmp_path, page.encode()) == Document(
        id="p.html",
        title="A & b",
        text="Head of it\none\ntwo three\nfour\ndef f():\n        return 1\n1 2\n3\nx\nyz\nend",
        metadata={"description": "What it is", "lang": "de"},
    )


@pytest.mark.parametrize(
    ("page", "title", "text"),
    [
        ("<h1>Only <b>this</b></h1>rest<h1>second</h1>", "Only this", "rest\nsecond"),
        ("<title></title><h1>Head</h1>", "Head", ""),
        ("just text", "", "just text"),
        ("", "", ""),
        ("<pre>a <b>b</b>\nc</pre>", "", "a b\nc"),
        ("a<wbr>b <a>c</a><p>d", "", "ab c\nd"),
        ("&lt;p&gt; &eacute;&nbsp;&#x1e;x", "", "<p> é x"),
    ],
)
def test_titles_and_texts(tmp_path: Path, page: str, title: str, text: str) -> None:
    document = read(tmp_path, page.encode())
    assert (document.title, document.text) == (title, text)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\xef\xbb\xbf<meta charset=latin-1><p>\xc3\xa9", "é"),
        ("\ufeff<p>é".encode("utf-16-le"), "é"),
        ("\ufeff<p>é".encode("utf-16-be"), "é"),
        (b"<meta charset='ISO-8859-1'><p>\xe9\x80", "é€"),
        (b'<meta http-equiv=content-type content="text/html; charset=windows-1251"><p>\xc6', "Ж"),
        ("<meta charset=shift_jis><p>日本".encode("cp932"), "日本"),
        ("<meta charset=utf-16><p>é".encode(), "é"),
        ("<meta charset=zlib><p>é".encode(), "é"),
        ("<p>é".encode(), "é"),
    ],
)
def test_encodings(tmp_path: Path, data: bytes, text: str) -> None:
    assert read(tmp_path, data).text == text


def test_a_page_that_is_not_in_its_encoding(tmp_path: Path) -> None:
    assert refused(tmp_path, b"<p>\xff", "b.html") == "byte 0xff at offset 3 is not utf-8"
    late = refused(tmp_path, b"<meta charset=cp1252>\x81", "b.htm")
    assert late == "byte 0x81 at offset 21 is not cp1252"


def test_pages_so_deep_that_they_take_minutes_are_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read(tmp_path, b"<div>" * 5_000 + b"x" + b"</div>" * 5_000).text == "x"
    monkeypatch.setattr(isolation, "_SECONDS", 2.0)
    monkeypatch.setattr(isolation, "_BYTES_A_SECOND", 10_000_000)
    problem = refused(tmp_path, b"<div>" * 400_000 + b"x", "deep.html")
    assert problem == "it took more than 2 s to read"


@settings(max_examples=60)
@given(st.lists(st.sampled_from(
    "<p> </p> <b> </b> <table> <td> </table> <pre> \n <!-- --> <svg> <title> </title> <a text"
    " <template> </template> <select> <h1> </h1> &amp; &# \0 <html lang='x <math> é".split(" ")
), max_size=30).map("".join))  # fmt: skip
def test_any_soup_is_a_document(tmp_path: Path, soup: str) -> None:
    document = read(tmp_path, soup.encode())
    assert "\x1e" not in document.text and "<p>" not in document.text


def pdf(contents: list[bytes], title: bytes = b"") -> bytes:
    """Write a PDF with a page for each content, "" for none, packed as such files are."""
    pages = b" ".join(b"%d 0 R" % (5 + 2 * number) for number in range(len(contents)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[%s]/Count %d>>" % (pages, len(contents)),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        b"<</Title(%s)>>" % title,
    ]
    for number, content in enumerate(contents):
        packed = zlib.compress(content)
        objects += [
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]/Contents %d 0 R"
            b"/Resources<</Font<</F1 3 0 R>>>>>>" % (6 + 2 * number),
            b"<</Filter/FlateDecode/Length %d>>stream\n%s\nendstream" % (len(packed), packed),
        ]
    made, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        offsets.append(b"%010d 00000 n \n" % len(made))
        made += b"%d 0 obj%sendobj\n" % (number, content)
    size = len(objects) + 1
    table = b"xref\n0 %d\n0000000000 65535 f \n%s" % (size, b"".join(offsets))
    trailer = b"trailer<</Size %d/Root 1 0 R/Info 4 0 R>>\nstartxref\n%d\n%%%%EOF"
    return made + table + trailer % (size, len(made))


def shows(text: bytes) -> bytes:
    return b"BT /F1 12 Tf 10 100 Td (%s) Tj ET" % text


def test_pages_of_a_pdf(tmp_path: Path) -> None:
    data = pdf([shows(b"one"), b"", shows(b"two")], title=b"A  title")
    expected = Document(id="a.pdf", title="A title", text="one\n\ntwo", metadata={"pages": 3})
    assert read(tmp_path, data, "a.pdf") == expected


def encrypted(data: bytes, password: str) -> bytes:
    import io

    writer = pypdf.PdfWriter(io.BytesIO(data))
    writer.encrypt(password, owner_password="owner", algorithm="RC4-128")
    made = io.BytesIO()
    writer.write(made)
    return made.getvalue()


def test_encrypted_pdfs(tmp_path: Path) -> None:
    data = pdf([shows(b"secret")])
    assert read(tmp_path, encrypted(data, ""), "open.pdf").text == "secret"
    assert refused(tmp_path, encrypted(data, "x"), "shut.pdf") == "the PDF asks for a password"


def test_pdfs_that_give_nothing(tmp_path: Path) -> None:
    scanned = refused(tmp_path, pdf([b"", b""]), "scan.pdf")
    assert scanned == "no text in its 2 pages: it may hold pictures of text"
    for data in (b"", b"%PDF-1.4 garbage", pdf([shows(b"x")])[:60]):
        assert refused(tmp_path, data, "bad.pdf").startswith("the PDF is damaged (")


def test_bombs_in_a_pdf_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "_SECONDS", 2.0)
    long = refused(tmp_path, pdf([shows(b"x" * 1_200_000)]), "long.pdf", mib=1)
    assert long in ("a document of more than 1 MiB, the limit", "it took more than 3 s to read")
    blank = refused(tmp_path, pdf([b" " * 100_000_000]), "blank.pdf", mib=1)
    assert blank.startswith(("the PDF is damaged (", "it took more than", "its parser crashed"))


def test_any_cut_of_a_pdf_is_a_document_or_a_line(tmp_path: Path) -> None:
    data = pdf([shows(b"one"), shows(b"two")])
    for end in range(0, len(data), 37):
        (tmp_path / "cut.pdf").write_bytes(data[:end])
        corpus = Corpus([str(tmp_path / "cut.pdf")], skip_bad=True)
        assert len(list(corpus)) + corpus.counts.skipped == 1


def test_a_parser_that_dies_costs_one_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = isolation.Worker()
    monkeypatch.setattr("indexer.corpus.isolated.shared_worker", lambda: worker)
    monkeypatch.setattr(isolation, "_MEMORY", 300 << 20)
    monkeypatch.setattr(isolation, "_MEMORY_FACTOR", 0)
    # A node takes about 100 bytes, so these take more than there are.
    problem = refused(tmp_path, b"<br>" * 5_000_000, "many.html")
    assert problem.startswith("its parser crashed or ran out of memory")


def test_a_parser_that_does_not_start_is_no_fault_of_the_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So little memory that the library itself can't be loaded.
    worker = isolation.Worker()
    monkeypatch.setattr("indexer.corpus.isolated.shared_worker", lambda: worker)
    monkeypatch.setattr(isolation, "_MEMORY", 1 << 20)
    monkeypatch.setattr(isolation, "_MEMORY_FACTOR", 0)
    for name, data in (("a.pdf", pdf([shows(b"one")])), ("b.pdf", bytes(1_000_000))):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ClozeError, match="reads pdf could not load its library"):
            list(Corpus([str(tmp_path / name)], skip_bad=True))
    monkeypatch.undo()
    assert [each.text for each in Corpus([str(tmp_path / "a.pdf")])] == ["one"]


def test_a_parser_that_died_after_its_last_answer_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = isolation.Worker()
    monkeypatch.setattr("indexer.corpus.isolated.shared_worker", lambda: worker)
    for text in ("one", "two"):
        assert read(tmp_path, text.encode()).text == text
        process = worker._process
        assert process is not None
        process.kill()
        process.wait()
    worker.stop()


@pytest.mark.parametrize("kind", [resource.RLIMIT_AS, resource.RLIMIT_DATA])
def test_a_shell_with_less_memory_than_a_parser_may_have(tmp_path: Path, kind: int) -> None:
    (tmp_path / "a.html").write_bytes(b"<p>one")
    code = "import sys; from indexer.corpus import Corpus; print(*Corpus(sys.argv[1:]))"
    limit = 1_400_000 << 10
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.html")],
        capture_output=True, text=True, check=False, cwd=Path(__file__).resolve().parents[3],
        preexec_fn=lambda: resource.setrlimit(kind, (limit, limit)),
    )  # fmt: skip
    assert "text='one'" in done.stdout, done.stderr


def test_in_a_folder_and_without_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "a.pdf").write_bytes(pdf([shows(b"one")]))
    (tmp_path / "d" / "b.HTM").write_bytes(b"<p>two")
    (tmp_path / "c.txt").write_bytes(b"three")
    found = [(document.id, document.text) for document in Corpus([str(tmp_path)])]
    assert found == [("a.pdf", "one"), ("c.txt", "three"), ("d/b.HTM", "two")]
    monkeypatch.setitem(sys.modules, "selectolax", None)
    with pytest.raises(ClozeError, match=r'needs selectolax; run: pip install "cloze-search\[re'):
        Corpus([str(tmp_path)])
