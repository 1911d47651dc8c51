"""Collections in folders: BEIR's and TREC's layouts, splits, what is counted and missing."""

import gzip
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import mean, median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.collections import open_collection
from eval.collections.description import as_lines, describe
from indexer.documents import Document
from indexer.errors import ClozeError

ROOT = Path(__file__).resolve().parents[2]
Cloze = Callable[..., "subprocess.CompletedProcess[str]"]


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content.encode("latin-1" if "latin" in name else "utf-8")
        path.write_bytes(gzip.compress(data, mtime=0) if name.endswith(".gz") else data)
    return folder


def jsonl(*rows: Sequence[str]) -> str:
    return "".join(json.dumps({"_id": row[0], "text": row[1]}) + "\n" for row in rows)


QUERIES = jsonl(("q 1", "first"), ("q2", "second"), ("q3", "third"), ("q4", "of no split"))
CORPUS = jsonl(("d 1", "one two three"), ("d2", "one"), ("d3", " "), ("d4", "one"))
TEST = "query-id\tcorpus-id\tscore\nq2\td2\t0\nq 1\td 1\t2\nq 1\td9\t1\nq9\td2\t1\n"


def beir(folder: Path) -> Path:
    files = {
        "queries.jsonl": QUERIES,
        "corpus.jsonl": CORPUS,
        "qrels/test.tsv": TEST,
        "qrels/train.tsv": "q3\td2\t1\n",
    }
    return write(folder / "small", files)


def texts(name: str | Path, split: str | None = None) -> list[tuple[str, str, str]]:
    corpus = open_collection(str(name), split).corpus
    assert corpus is not None
    return [(document.id, document.title, document.text) for document in corpus()]


def test_a_beir_folder_by_hand(tmp_path: Path) -> None:
    collection = open_collection(str(beir(tmp_path)))
    assert (collection.name, collection.split) == ("small", "test")
    assert list(collection.queries.items()) == [("q%201", "first"), ("q2", "second"), ("q9", "")]
    assert collection.qrels == {"q2": {"d2": 0}, "q%201": {"d%201": 2, "d9": 1}, "q9": {"d2": 1}}
    assert collection.unjudged == 2
    assert collection.notices == ("1 judged queries of small/test have no text: 'q9'",)
    assert texts(tmp_path / "small")[:2] == [("d 1", "", "one two three"), ("d2", "", "one")]
    assert collection.corpus is not None
    documents = collection.corpus()
    assert documents.position() == 0.0
    assert len(list(documents)) == 4
    assert documents.position() == 1.0
    assert len(list(collection.corpus())) == 4  # anew at each call


@pytest.mark.parametrize(
    "files",
    [
        {"queries.tsv": "a\tx\n", "qrels/test.txt": "a 0 d 1\n", "corpus.jsonl.gz": CORPUS},
        {"queries.jsonl.gz": jsonl(("a", "x")), "qrels/test.qrels.gz": "a 0 d 1\n"},
        {"queries.tsv.gz": "a\tx\n", "qrels/test.tsv.gz": "a\td\t1\n", "qrels/README.md": "?"},
        {"topics.txt": "a\tx\n", "qrels.txt": "a 0 d 1\n"},
        {"topics.gz": "<top><num>a<title>x</top>", "my.qrels.gz": "a 0 d 1\n"},
        {"topics.sgml": "<top>\n<num> a\n<title> x\n\n<desc>\n</top>", "qrels": "a 0 d 1\n"},
    ],
)
def test_the_same_collection_in_other_files(tmp_path: Path, files: dict[str, str]) -> None:
    collection = open_collection(str(write(tmp_path, files)))
    assert collection.queries == {"a": "x"}
    assert collection.qrels == {"a": {"d": 1}}
    assert (collection.corpus is not None) == any("corpus" in name for name in files)


def test_a_question_file_has_the_ids_that_its_texts_give(tmp_path: Path) -> None:
    files = {"queries.txt": "why\nhow\n", "qrels/test.txt": "2be23c585f15e5fd 0 d 1\n"}
    collection = open_collection(str(write(tmp_path, files)))
    # printf why | sha256sum
    assert collection.queries == {"2be23c585f15e5fd": "why"}


def test_splits(tmp_path: Path) -> None:
    folder = str(beir(tmp_path))
    assert open_collection(folder).split == "test"
    assert open_collection(folder, "train").queries == {"q3": "third"}
    with pytest.raises(ClozeError, match=r"no split 'trian', but test, train; did you mean train"):
        open_collection(folder, "trian")
    os.rename(f"{folder}/qrels/test.tsv", f"{folder}/qrels/dev.tsv")
    with pytest.raises(ClozeError, match="has the splits dev, train; choose one with --split"):
        open_collection(folder)
    os.remove(f"{folder}/qrels/dev.tsv")
    assert open_collection(folder).split == "train"
    Path(folder, "qrels", "train.txt").write_text("q3 0 d2 1\n")
    with pytest.raises(ClozeError, match="both hold the split 'train'"):
        open_collection(folder)


def test_splits_of_a_trec_folder(tmp_path: Path) -> None:
    files = {
        "topics.dev.tsv": "1\tone\n",
        "topics.51-100.txt": "<top>\n<num> Number: 51\n<title> Topic: fifty-one\n</top>\n",
        "qrels.dev.txt": "1 0 d 1\n",
        "qrels-web.gz": "51 0 d 1\n1 0 d 0\n",
    }
    folder = write(tmp_path, files)
    with pytest.raises(ClozeError, match="has the splits web, dev; choose one"):
        open_collection(str(folder))
    assert open_collection(str(folder), "dev").queries == {"1": "one"}
    assert open_collection(str(folder), "web").queries == {"51": "fifty-one", "1": "one"}


TOPICS = """<top>
<num> Number:  401
<title> foreign minorities,
 Germany &amp; more

<desc> Description:
What language?
<narr> Narrative: <title> never read
</top>

<TOP><NUM>Number: 402</NUM><TITLE>behavioral genetics</TITLE></TOP>
<top lang="en">
<num>403<title>osteoporosis
"""


def test_topics_with_tags_closed_or_not(tmp_path: Path) -> None:
    files = {"topics": TOPICS, "qrels": "403 0 d 1\n401 0 d 1\n402 0 d 1\n"}
    collection = open_collection(str(write(tmp_path, files)))
    assert list(collection.queries.items()) == [
        ("401", "foreign minorities, Germany & more"),
        ("402", "behavioral genetics"),
        ("403", "osteoporosis"),
    ]


@pytest.mark.parametrize(
    "topics",
    [
        '<topics task="x">\n<topic number="1">\n<query>a &amp; b</query>\n</topic>\n'
        "<topic type='y' number='2'><title>c</title><query>never</query></topic></topics>",
        '<?xml version="1.0"?>\n<topics><topic><number>1</number><title>a &amp; b</title></topic>\n'
        "<topic><number>2</number>\n<title>c</title></topic>\n</topics>",
    ],
)
def test_topics_in_xml(tmp_path: Path, topics: str) -> None:
    files = {"topics.xml": topics, "qrels": "1 0 d 1\n2 0 d 1\n"}
    assert open_collection(str(write(tmp_path, files))).queries == {"1": "a & b", "2": "c"}


def test_a_title_ends_at_a_tag_and_not_at_every_sign(tmp_path: Path) -> None:
    topics = (
        "<top><num>1<title> price < 5 dollars, 3<4 \n<desc> never</top>"
        "<top><num>2</num><title>a <- b</title></top><top><num>3<title>last <"
    )
    files = {"topics": topics, "qrels": "1 0 d 1\n2 0 d 1\n3 0 d 1\n"}
    queries = open_collection(str(write(tmp_path, files))).queries
    assert queries == {"1": "price < 5 dollars, 3<4", "2": "a <- b", "3": "last <"}


def test_a_character_number_of_no_character_stays_as_it_is(tmp_path: Path) -> None:
    huge = f"&#{'9' * 5000};"
    document = f"<DOC><DOCNO>d</DOCNO><TEXT>{huge}</TEXT></DOC>"
    topics = f"<top><num>1<title>x {huge}</top>"
    files = {"topics": topics, "qrels": "1 0 d 1\n", "corpus.sgml": document}
    folder = write(tmp_path, files)
    assert open_collection(str(folder)).queries == {"1": f"x {huge}"}
    assert texts(folder) == [("d", "", huge)]


@pytest.mark.parametrize(
    ("topics", "qrels", "queries"),
    [
        ("051 052", "51 52", {"51": "text of 051", "52": "text of 052"}),
        ("51 52", "051 052", {"051": "text of 51", "052": "text of 52"}),
        ("051 51", "51", {"51": "text of 51"}),
        ("051 51", "051 51", {"051": "text of 051", "51": "text of 51"}),
        ("0051 1", "51 051 1", {"1": "text of 1", "51": "", "051": ""}),
        ("0 1", "00 1", {"00": "text of 0", "1": "text of 1"}),
        ("q01 1", "q1 1", {"1": "text of 1", "q1": ""}),
    ],
)
def test_numbers_of_topics_match_by_their_value(
    tmp_path: Path, topics: str, qrels: str, queries: dict[str, str]
) -> None:
    files = {
        "topics": "".join(f"<top><num>{n}<title>text of {n}</top>" for n in topics.split()),
        "qrels": "".join(f"{n} 0 d 1\n" for n in qrels.split()),
    }
    assert open_collection(str(write(tmp_path, files))).queries == queries


def test_a_topic_in_two_files_names_both(tmp_path: Path) -> None:
    files = {"topics.a": "1\tx\n", "topics.b": "2\ty\n1 \tz\n", "qrels": "1 0 d 1\n"}
    with pytest.raises(ClozeError, match=r"topics\.b: the topic '1' is in .*topics\.a too"):
        open_collection(str(write(tmp_path, files)))


@pytest.mark.parametrize(
    ("topics", "message"),
    [
        ("<top>\n<num> 1\n<title> a\n</top>\n<top>\n<title> b\n</top>", ":5: .* no <num>"),
        ("\n<top>\n<num> 1\n<title>\n<desc> b\n</top>", ":2: .* no <title>"),
        ("<top>\n<num>Number: </num><title>a</top>", ":1: .* no <num>"),
        ("<topics>\n<topic number='1'><narrative>a", ":2: .* no <title> or <query>"),
        ("<topics>\n<topic>\n<query>a", ":2: .* no <num>"),
        ("<topics>\n", ":1: not a query; write an id, a tab and the text"),
        ("<top><num>1<title>a</top>\n<top><num>1<title>b</top>", ":2: .*'1' comes twice.* line 1"),
        ("1\tone\n2 two\n", ":2: not a query; write an id, a tab and the text"),
    ],
)
def test_a_bad_topic_is_named(tmp_path: Path, topics: str, message: str) -> None:
    folder = write(tmp_path, {"topics.txt": topics, "qrels": "1 0 d 1\n"})
    with pytest.raises(ClozeError, match=r"topics\.txt" + message):
        open_collection(str(folder))


FIRST = """<DOC>
<DOCNO> FT911-1 </DOCNO>
<DATE>910514</DATE>
<HEADLINE>
FT  14 MAY 91 / World
</HEADLINE>
<TEXT>
<P>The first
paragraph &lt; 5.</P>
</TEXT>
<TEXT>More.</TEXT>
</DOC>
"""
SECOND = "<DOC>\n<DOCNO>b c</DOCNO>\n<TITLE>café</TITLE>\nall of it\n<P>counts\n</DOC>"
EXPECTED = [
    ("FT911-1", "FT 14 MAY 91 / World", "The first\nparagraph < 5.\nMore."),
    ("b c", "café", "all of it\ncounts"),
]
TREC = {"topics.tsv": "1\tone\n", "qrels": "1 0 FT911-1 1\n1 0 b%20c 1\n"}


@pytest.mark.parametrize(
    "files",
    [
        {"corpus.sgml": f"{FIRST}{SECOND}"},
        {"corpus.trec.gz": f"\n{FIRST}between\n{SECOND}"},
        {"documents.latin": f"{FIRST.strip()}{SECOND}"},
        {"documents/ft/a.gz": FIRST, "documents/ft/b.latin": SECOND, "documents/.hidden": "?"},
        {"documents/1": FIRST, "documents/2": f"{SECOND}\n", "documents/README": "(c)"},
        {"documents/0README": "These are\nthe <DOC>s.\n", "documents/1": f"{FIRST}{SECOND}"},
        {"corpus.sgml": f"<!-- from a disk -->\n\n <doc>{FIRST.removeprefix('<DOC>')}{SECOND}"},
        {"corpus.sgml": f"\ufeff{FIRST}{SECOND}"},
        {
            "corpus.jsonl": "".join(
                json.dumps({"_id": i, "title": title, "text": text}) + "\n"
                for i, title, text in EXPECTED
            )
        },
    ],
)
def test_documents_of_a_trec_folder(tmp_path: Path, files: dict[str, str]) -> None:
    folder = write(tmp_path, {**TREC, **files})
    assert texts(folder) == EXPECTED
    corpus = open_collection(str(folder)).corpus
    assert corpus is not None
    documents = corpus()
    assert documents.position() == 0.0
    assert [document.id for document in documents] == ["FT911-1", "b c"]
    assert documents.position() == 1.0


def test_text_files_are_documents_of_a_trec_folder(tmp_path: Path) -> None:
    folder = write(tmp_path, {**TREC, "documents/a/b c.txt": "hello", "documents/b.md": "# x\ny"})
    assert texts(folder) == [("a/b c.txt", "", "hello"), ("b.md", "x", "y")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"{FIRST}\n<DOC>\n<TEXT>x</TEXT>\n</DOC>\n", ":14: the document has no <DOCNO>"),
        (f"{FIRST}<DOC>\n<DOCNO>x</DOCNO>\n", ":13: the document has no </DOC>; get"),
        (
            f"{FIRST}<DOC>\n<DOCNO>x</DOCNO>\ny\n{FIRST}",
            ":13: the document has no </DOC> before the <DOC> in line 16",
        ),
        (
            "<DOC><DOCNO>x</DOCNO>y<DOC><DOCNO>z</DOCNO></DOC>",
            ":1: the document has no </DOC> before the <DOC> in line 1",
        ),
        (f"{FIRST}<DOCNO>x</DOCNO>\ny</DOC>\n", ":14: a </DOC> without its <DOC>"),
    ],
)
def test_a_bad_document_is_named(tmp_path: Path, content: str, message: str) -> None:
    folder = write(tmp_path, {**TREC, "corpus.sgml": content})
    with pytest.raises(ClozeError, match=r"corpus\.sgml" + message):
        texts(folder)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path, {**TREC, "corpus.gz": FIRST * 2000})
    path = folder / "corpus.gz"
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(ClozeError, match=r"corpus\.gz:\d+: the gzip data is damaged"):
        texts(folder)


def test_what_is_no_collection(tmp_path: Path) -> None:
    with pytest.raises(ClozeError, match=r"there is no folder /no/such"):
        open_collection("/no/such")
    bare = write(tmp_path / "bare", {"queries.jsonl": QUERIES, "qrels/README": "?"})
    with pytest.raises(ClozeError, match=r"bare/qrels holds no SPLIT\.tsv, such as test\.tsv"):
        open_collection(str(bare))
    for files in ({}, {"queries.jsonl": QUERIES}, {"topics": "1\tx"}, {"qrels/test.tsv": TEST}):
        folder = write(tmp_path / str(len(list(tmp_path.iterdir()))), files)
        folder.mkdir(exist_ok=True)
        with pytest.raises(ClozeError, match=r"queries\.jsonl .* BEIR .* topics\* .* TREC"):
            open_collection(str(folder))
    empty = write(tmp_path / "empty", {"queries.jsonl": QUERIES, "qrels/test.tsv": ""})
    with pytest.raises(ClozeError, match="the split test has no judgements"):
        open_collection(str(empty))
    same = jsonl(("a b", "x"), ("a%20b", "y"))
    twice = write(tmp_path / "twice", {"queries.jsonl": same, "qrels/test.tsv": "q\td\t1\n"})
    with pytest.raises(ClozeError, match="twice, queries: the ids 'a b' and 'a%20b' are one"):
        open_collection(str(twice))


@pytest.mark.parametrize(
    ("queries", "message"),
    [
        (jsonl(("q1", "x"), ("q2", "y")), "'a' is judged, and the query 'q1' has one"),
        (jsonl(("a", " "), ("b", "")), "'a' is judged, and no query has one"),
        ("", "'a' is judged, and no query has one"),
    ],
)
def test_judgements_of_other_queries_are_an_error(
    tmp_path: Path, queries: str, message: str
) -> None:
    files = {"queries.jsonl": queries, "qrels/test.tsv": "a\td\t1\nb\td\t1\n"}
    folder = write(tmp_path / "small", files)
    with pytest.raises(ClozeError, match=f"small/test: no judged query has a text; {message}"):
        open_collection(str(folder))


def test_an_id_brings_nothing_to_the_terminal_but_letters(tmp_path: Path) -> None:
    files = {"queries.jsonl": jsonl(("a", "x")), "qrels/test.tsv": "\x1b[2J\td\t1\na\td\t1\n"}
    [notice] = open_collection(str(write(tmp_path, files))).notices
    assert notice.endswith("have no text: '\\x1b[2J'")


def test_fingerprints_follow_the_contents(tmp_path: Path) -> None:
    folder = beir(tmp_path)

    def both() -> tuple[str, str | None]:
        collection = open_collection(str(folder))
        return collection.fingerprint, collection.corpus_fingerprint

    first = both()
    assert both() == first
    assert all(len(each or "") == 64 for each in first)
    assert open_collection(str(folder), "train").fingerprint != first[0]
    path = folder / "qrels" / "test.tsv"
    head, *rows = path.read_text().splitlines()
    path.write_text("\n".join([head, *reversed(rows)]))
    assert both() == first  # another order is the same collection
    path.write_text("\n".join([head, *rows]).replace("\t0", "\t1"))
    second = both()
    assert (second[0] != first[0], second[1] == first[1]) == (True, True)
    (folder / "queries.jsonl").write_text(QUERIES.replace("of no split", "changed"))
    assert both() == second
    (folder / "queries.jsonl").write_text(QUERIES.replace("second", "changed"))
    assert both()[0] != second[0]
    (folder / "corpus.jsonl").write_text(CORPUS.replace("two", "2"))
    assert both()[1] != first[1]


def test_a_description_by_hand(tmp_path: Path) -> None:
    collection = open_collection(str(beir(tmp_path)))
    assert collection.corpus is not None
    told: list[int] = []
    found = describe(collection, collection.corpus(), told.append)
    assert told == [1, 2, 3, 4]
    assert "corpus_fingerprint" not in vars(collection)
    spread = {"min": 1, "median": 1.0, "max": 2}
    assert found.as_json() == {
        "name": "small",
        "split": "test",
        "queries": 3,
        "judgements": 4,
        "grades": {0: 1, 1: 2, 2: 1},
        "query_words": {"min": 1, "median": 1.0, "mean": 1.0, "max": 1},
        "depth": {**spread, "mean": 4 / 3},
        "relevant": {**spread, "min": 0, "mean": 1.0},
        "unjudged": 2,
        "without_text": 1,
        "without_relevant": 1,
        "corpus": {
            "documents": 4,
            "words": {"min": 0, "median": 1.0, "mean": 1.25, "max": 3},
            "empty": 1,
            "equal": 1,
            "missing": 1,
        },
    }


class Listed:
    """Documents in a list."""

    def __init__(self, documents: list[Document]) -> None:
        self.documents = documents

    def __iter__(self) -> Iterator[Document]:
        return iter(self.documents)

    def position(self) -> None:
        return None


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=12))
def test_lengths_are_those_of_statistics(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.getbasetemp() / "lengths"
    write(folder, {"queries.tsv": "q\tx\n", "qrels/test.tsv": "q\t0\t1\n"})
    documents = [
        Document(id=f"{n}", title="t " * title, text="x\n" * text)
        for n, (title, text) in enumerate(lengths)
    ]
    found = describe(open_collection(str(folder)), Listed(documents), lambda count: None).corpus
    assert found is not None
    words = [title + text for title, text in lengths]
    assert found.documents == len(words)
    assert found.missing == (not words)
    assert found.empty == words.count(0)
    assert found.equal == len(words) - words.count(0) - len(set(lengths) - {(0, 0)})
    if words:
        assert (found.words.min, found.words.max) == (min(words), max(words))
        assert found.words.median == median(words)
        assert math.isclose(found.words.mean, mean(words))


def test_the_command(tmp_path: Path, cloze: Cloze) -> None:
    folder = beir(tmp_path)
    result = cloze("collection", "info", folder)
    assert (result.returncode, result.stderr) == (
        0,
        "1 judged queries of small/test have no text: 'q9'\n",
    )
    assert result.stdout == (
        "small, split test\n"
        "  documents               4\n"
        "  queries                 3 judged, 2 more without judgement here\n"
        "  judgements              4: 1 of grade 0, 2 of grade 1, 1 of grade 2\n"
        "                              min   median     mean      max\n"
        "  words of a document           0      1.0      1.2        3\n"
        "  words of a query              1      1.0      1.0        1\n"
        "  judgements of a query         1      1.0      1.3        2\n"
        "  relevant of a query           0      1.0      1.0        2\n"
        "missing or odd\n"
        "        1 judged queries without a text\n"
        "        1 judged queries without a relevant document\n"
        "        1 judged documents that the corpus lacks\n"
        "        1 documents without title and text\n"
        "        1 documents equal to one before\n"
    )
    result = cloze("collection", "info", folder, "--split", "train", "--json")
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout)["grades"] == {"1": 1}


def test_a_collection_without_documents_is_described_too(tmp_path: Path) -> None:
    folder = beir(tmp_path)
    (folder / "corpus.jsonl").unlink()
    collection = open_collection(str(folder), "train")
    assert (collection.corpus, collection.corpus_fingerprint) == (None, None)
    lines = list(as_lines(describe(collection, None, lambda count: None)))
    assert lines[1] == "  documents               none here; name an index of them"
    assert not any("words of a document" in line for line in lines)
    assert lines[-1] == "nothing is missing or odd"


@pytest.mark.parametrize(
    ("name", "documents", "queries"),
    [("scifact", 5183, 300), ("cranfield", 1400, 225), ("cacm", 3204, 52), ("med", 1033, 30)],
)
def test_the_public_collections(real_data: Path, name: str, documents: int, queries: int) -> None:
    collection = open_collection(str(real_data / "collections" / name))
    assert collection.corpus is not None
    found = describe(collection, collection.corpus(), lambda count: None)
    assert found.corpus is not None
    assert (found.corpus.documents, found.queries, found.split) == (documents, queries, "test")
    assert (found.without_text, found.without_relevant, found.corpus.missing) == (0, 0, 0)
    assert collection.notices == ()
    assert all(len(line) <= 120 for line in as_lines(found))


def test_a_folder_needs_no_network(tmp_path: Path) -> None:
    code = f"""
import socket, sys
def refuse(*a, **k): raise AssertionError("network")
socket.socket.connect = socket.getaddrinfo = refuse
from eval.collections import open_collection
collection = open_collection({str(beir(tmp_path))!r})
assert len(list(collection.corpus())) == 4 and collection.corpus_fingerprint
try:
    open_collection("./nothing")
except Exception as error:
    print(error)
assert not {{"ir_datasets", "requests"}} & sys.modules.keys()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("there is no folder ./nothing; check the path\n", "")
