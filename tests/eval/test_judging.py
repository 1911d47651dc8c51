"""Judging: pools, the file of judgements, the way forward and back, and the keys at a terminal."""

import json
import os
import random
import select
import signal
import subprocess
import sys
import termios
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Timer
from time import monotonic, sleep

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from eval.commands.judge import judge
from eval.judgement_file import JudgementFile, judged_here
from eval.judgements import read_qrels
from eval.judging import Session
from eval.pooling import SYSTEMS, Extract, Pool, choose_systems, extract, pool_documents
from eval.terminal import marked, open_keys, visible
from indexer.creation import Settings
from indexer.documents import Document
from indexer.errors import ClozeError
from search.highlight import Span
from search.hits import Mode
from search.index import Index
from search.queries import read_queries

ROOT = Path(__file__).resolve().parents[2]
QUERY = ("q1", "the supersonic ship under water")
DANGEROUS = "a ship \x1b[2J\x1b]0;title\x07 \x9b31m \u202eevil\u202c and water"


@pytest.fixture(scope="module")
def library(
    documents: list[Document], tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Index]:
    folder = tmp_path_factory.mktemp("judged") / "index"
    with Index.open(folder, Settings(model=str(tiny_model))) as index:
        index.add(documents)
        yield index


@pytest.fixture(scope="module")
def ships(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small lexical index: three documents about ships, one about cats, one that is dangerous."""
    folder = tmp_path_factory.mktemp("ships") / "index"
    long = "A ship sails. " + "\n".join(f"line {number}" for number in range(160)) + "\nThe end."
    with Index.open(folder, Settings(lexical_only=True)) as index:
        index.add(
            [
                Document(id="big ship", title="The big ship", text=long),
                Document(id="small", title="", text="A small ship."),
                Document(id="danger", title="A \x1b[31mtitle", text=DANGEROUS),
                Document(id="cat", title="Cats", text="The cat sleeps."),
            ]
        )
    return folder


# --- pools


def test_a_pool_is_what_the_systems_find(library: Index) -> None:
    pool = pool_documents(library, QUERY, SYSTEMS, depth=5, seed=0)
    found = {id_ for mode in SYSTEMS for id_, _ in library.rank(QUERY[1], top=5, mode=mode)}
    assert (pool.query, pool.text) == QUERY
    assert set(pool.documents) == found
    assert len(pool.documents) == len(found) > 5


def test_the_order_tells_nothing_of_the_systems(library: Index) -> None:
    def order(seed: int, *systems: Mode, depth: int = 20) -> tuple[str, ...]:
        return pool_documents(library, QUERY, systems, depth=depth, seed=seed).documents

    assert order(0, *SYSTEMS) == order(0, *reversed(SYSTEMS))
    assert set(order(0, *SYSTEMS)) == set(order(1, *SYSTEMS))
    assert order(0, *SYSTEMS) != order(1, *SYSTEMS)
    # The best of a system stand anywhere: in ten orders, not always in the first half.
    best = library.rank(QUERY[1], top=1, mode="lexical")[0][0]
    places = [order(seed, *SYSTEMS).index(best) for seed in range(10)]
    assert len(set(places)) > 5
    assert max(places) > len(order(0, *SYSTEMS)) / 2 > min(places)


def test_a_deeper_pool_keeps_the_order_of_a_shallower(library: Index) -> None:
    shallow = pool_documents(library, QUERY, SYSTEMS, depth=5, seed=3).documents
    deep = pool_documents(library, QUERY, SYSTEMS, depth=30, seed=3).documents
    assert set(shallow) < set(deep)
    assert tuple(each for each in deep if each in set(shallow)) == shallow


def test_systems_are_those_that_the_index_has(library: Index, ships: Path) -> None:
    assert choose_systems(library, None) == SYSTEMS
    assert choose_systems(library, ["hybrid", "lexical", "hybrid"]) == ("hybrid", "lexical")
    with pytest.raises(ClozeError, match="'hybird', not 'hybrid'"):
        choose_systems(library, ["hybird"])
    with Index.open(ships) as words_only:
        assert choose_systems(words_only, None) == ("lexical",)
        with pytest.raises(ClozeError, match="--lexical-only, asked for --systems dense"):
            choose_systems(words_only, ["lexical", "dense"])


def test_an_extract_is_the_best_passage_with_the_words(library: Index) -> None:
    for document in pool_documents(library, QUERY, SYSTEMS, depth=10, seed=0).documents:
        found = extract(library, QUERY[1], document)
        assert found is not None
        hits = library.search(QUERY[1], top=160, mode="dense").hits
        passage = next((hit.passage for hit in hits if hit.id == document), None)
        if passage is not None:
            assert passage.start <= found.start <= found.end <= passage.end
        words = {found.text[span.start : span.end].lower() for span in found.highlights}
        assert words <= {"supersonic", "ship", "under", "water", "waters", "ships"}
    assert extract(library, "anything", "no such document") is None


# --- the file


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("my.qrels", ["q%201 0 a%20b 2", "q%201 0 c 0"]),
        ("my.tsv", ["query-id\tcorpus-id\tscore", "q%201\ta%20b\t2", "q%201\tc\t0"]),
    ],
)
def test_judgements_are_lines_of_a_known_format(
    tmp_path: Path, name: str, lines: list[str]
) -> None:
    path = tmp_path / "new" / name
    file = JudgementFile(path)
    file.add("q 1", "a b", 2)
    file.add("q 1", "c", 0)
    assert path.read_text() == "".join(f"{line}\n" for line in lines)
    assert file.grades("q 1") == {"a%20b": 2, "c": 0}
    assert read_qrels(path) == {"q%201": {"a%20b": 2, "c": 0}}
    file.remove("q 1", "a b")
    assert read_qrels(path) == {"q%201": {"c": 0}}
    file.remove("q 1", "c")
    assert not path.exists()


def test_a_judgement_is_on_disk_when_add_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "my.qrels"
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(path.read_text()))
    file = JudgementFile(path)
    file.add("q", "a", 1)
    file.add("q", "b", 0)
    assert synced == ["q 0 a 1\n", "q 0 a 1\nq 0 b 0\n"]


def test_lines_follow_a_file_without_a_last_line_end(tmp_path: Path) -> None:
    path = tmp_path / "my.qrels"
    path.write_text("q 0 a 1")
    JudgementFile(path).add("q", "b", 3)
    assert path.read_text() == "q 0 a 1\nq 0 b 3\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("my.tsv", "q 0 a 1\n", "TREC's four columns, and the name asks for BEIR's three"),
        ("my.qrels", "q\ta\t1\n", "BEIR's three columns, and the name asks for TREC's four"),
        ("my.qrels", "q 0 a\n", r"my.qrels:1"),
        ("my.qrels", "\n \nq\ta\t1\n", r"my.qrels:3: BEIR's"),
        ("my.qrels.gz", "", "compressed"),
    ],
)
def test_a_file_that_can_not_go_on(tmp_path: Path, name: str, content: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ClozeError, match=message):
        JudgementFile(path)
    assert path.read_text() == content


def test_undo_takes_its_own_line_and_no_other(tmp_path: Path) -> None:
    """What other programs write, during the session too, stays byte by byte."""
    path = tmp_path / "my.qrels"
    path.write_bytes(b"q 7 old 0 \r\n\nq Q0 a\t1\n")
    file = JudgementFile(path)
    file.add("q", "mine", 2)
    with path.open("ab") as other:
        other.write(b"q 0 theirs 3\nq 0 mine 2\np 5 theirs 1")
    file.remove("q", "mine")
    assert path.read_bytes() == (
        b"q 7 old 0 \r\n\nq Q0 a\t1\nq 0 mine 2\nq 0 theirs 3\np 5 theirs 1"
    )
    file.add("q", "last", 1)
    path.write_bytes(path.read_bytes().replace(b"q 0 last 1\n", b""))
    before = path.read_bytes()
    file.remove("q", "last")  # someone else has taken it back already
    assert path.read_bytes() == before
    file.add("q", "last", 1)
    path.unlink()
    file.remove("q", "last")
    assert not path.exists()


@pytest.mark.parametrize("name", ["my.qrels", "my.tsv"])
def test_a_file_is_removed_only_when_it_was_made_and_is_empty(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    file = JudgementFile(path)
    file.add("q", "a", 1)
    theirs = b"p\tb\t1\n" if name == "my.tsv" else b"p 0 b 1\n"
    with path.open("ab") as other:
        other.write(theirs)
    file.remove("q", "a")
    assert path.read_bytes().endswith(theirs) and path.read_bytes().count(b"1\n") == 1
    path.write_bytes(b"")
    file = JudgementFile(path)
    file.add("q", "a", 1)
    file.remove("q", "a")
    assert path.exists()  # it was there before


def test_a_link_and_a_mode_stay_when_a_judgement_is_taken_back(tmp_path: Path) -> None:
    real, link = tmp_path / "real.qrels", tmp_path / "link.qrels"
    real.write_text("q 7 a 1\n")
    real.chmod(0o660)
    link.symlink_to(real)
    file = JudgementFile(link)
    file.add("q", "b", 2)
    file.remove("q", "b")
    assert link.is_symlink()
    assert real.read_text() == "q 7 a 1\n"
    assert real.stat().st_mode & 0o777 == 0o660


def test_a_taken_back_judgement_is_off_the_disk_when_remove_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "my.qrels"
    file = JudgementFile(path)
    file.add("q", "a", 1)
    file.add("q", "b", 0)
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(path.read_text()))
    file.remove("q", "b")
    assert synced == ["q 0 a 1\n"]


HOLDER = """
import sys
from pathlib import Path
from eval.judgement_file import judged_here
with judged_here(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_one_process_judges_into_a_file(tmp_path: Path) -> None:
    path, link = tmp_path / "new" / "my.qrels", tmp_path / "link.qrels"
    link.symlink_to(path)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as holder:  # fmt: skip
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        for name in (path, link):
            with pytest.raises(ClozeError) as error, judged_here(name):
                pytest.fail("both judge")
            assert str(error.value).startswith(
                f"{name} is being judged by process {holder.pid} (-c {path}); quit it there"
            )
            assert "\n" not in str(error.value)
        with judged_here(tmp_path / "other.qrels"):
            pass
        holder.communicate("end\n")
    assert list(tmp_path.iterdir()) == [link]  # nothing was judged
    with judged_here(path):
        JudgementFile(path).add("q", "a", 1)
    assert [each.name for each in path.parent.iterdir()] == ["my.qrels"]


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "my.qrels"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as holder:  # fmt: skip
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        holder.kill()
    with judged_here(path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_place_where_no_file_can_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ClozeError, match=r"my\.qrels: can't be written: "):
        with judged_here(tmp_path / "file" / "my.qrels"):
            pytest.fail("held")


# --- forward and back


def small_pools() -> list[Pool]:
    return [
        Pool(query="q1", text="one", documents=("a", "b", "c")),
        Pool(query="q2", text="two", documents=()),
        Pool(query="q3", text="three", documents=("a", "d")),
    ]


STEPS = st.lists(st.sampled_from(["0", "1", "3", "s", "n", "u"]), max_size=25)


@given(before=st.sets(st.sampled_from([("q1", "b"), ("q3", "a")])), steps=STEPS)
def test_a_session_is_a_walk_that_can_be_taken_back(
    tmp_path: Path, before: set[tuple[str, str]], steps: list[str]
) -> None:
    """Against a plain model: states in a list, of which undo drops the last."""
    path = tmp_path / "walk.qrels"
    path.unlink(missing_ok=True)
    path.write_text("".join(f"{query} 0 {document} 1\n" for query, document in sorted(before)))
    session = Session(small_pools(), JudgementFile(path))
    todo = [
        (pool.query, document)
        for pool in small_pools()
        for document in pool.documents
        if (pool.query, document) not in before
    ]
    states: list[tuple[int, dict[tuple[str, str], int]]] = [(0, {each: 1 for each in before})]
    for step in steps:
        at, judged = states[-1]
        if step == "u":
            assert session.undo() is (len(states) > 1)
            states = states[:-1] or states
        elif at < len(todo) and step == "n":
            session.next_query()
            rest = [place for place in range(at, len(todo)) if todo[place][0] != todo[at][0]]
            states.append((rest[0] if rest else len(todo), judged))
        elif at < len(todo) and step == "s":
            session.skip()
            states.append((at + 1, judged))
        elif at < len(todo):
            session.judge(int(step))
            states.append((at + 1, judged | {todo[at]: int(step)}))
        at, judged = states[-1]
        item = session.current
        assert (item and (item.pool.query, item.document)) == (todo[at] if at < len(todo) else None)
        assert on_disk(path) == judged
        assert session.progress().judged == len(judged)


def on_disk(path: Path) -> dict[tuple[str, str], int]:
    qrels = read_qrels(path) if path.exists() else {}
    return {(query, each): grade for query in qrels for each, grade in qrels[query].items()}


def test_another_session_goes_on_where_the_last_ended(tmp_path: Path) -> None:
    path = tmp_path / "my.qrels"
    first = Session(small_pools(), JudgementFile(path))
    first.judge(2)
    first.skip()
    first.judge(0)
    second = Session(small_pools(), JudgementFile(path))
    assert second.current is not None
    assert (second.current.document, second.current.place, second.current.query_number) == (
        "b", 2, 1,
    )  # fmt: skip
    assert not second.undo()
    second.judge(1)
    assert second.current.pool.query == "q3"
    deeper = [Pool(query="q1", text="one", documents=("new", "a", "b", "c"))]
    third = Session(deeper, JudgementFile(path))
    assert third.current is not None and third.current.document == "new"
    (counts,) = third.counts()
    assert (counts.documents, counts.judged, counts.relevant) == (4, 3, 2)


def test_the_time_left_goes_by_the_own_pace(tmp_path: Path) -> None:
    now = iter([0.0, 2, 2, 5, 5, 1000, 1000, 1001, 1001]).__next__
    session = Session(small_pools(), JudgementFile(tmp_path / "my.qrels"), clock=now)
    left = []
    for _ in range(4):
        session.judge(1)
        left.append(session.progress().seconds_left)
    # 2, 3, 995 and 1 seconds: the long pause counts as one of them.
    assert left == [None, None, 3.0 * 2, 2.5 * 1]


# --- what reaches the terminal


@given(st.text())
def test_no_control_reaches_the_terminal(text: str) -> None:
    shown = visible(text)
    kinds = {unicodedata.category(each) for each in shown.replace("\n", "").replace("\t", "")}
    assert not kinds & {"Cc", "Cs", "Zl", "Zp"}
    assert not {"\u202e", "\u2066"} & set(shown)


def test_controls_are_written_out_and_words_left_alone() -> None:
    assert visible("a\x1b[2J\x07\x9b\u202e\ud800") == r"a\x1b[2J\x07\x9b\u202e\ud800"
    assert visible("a\r\n\tb 用搜 naïve") == "a\n\tb 用搜 naïve"


def test_marked_text_is_the_text_with_its_words_in_bold() -> None:
    text = "\x1b one two three"
    spans = [Span(2, 5), Span(6, 9), Span(10, 15)]  # the last lies outside of what is shown
    shown = marked(text, spans, 0, 9)
    assert shown.plain == r"\x1b one two"
    assert [shown.plain[span.start : span.end] for span in shown.spans] == ["one", "two"]


# --- the command


def on_a_pipe(index: Path, folder: Path, keys: str, *options: str) -> Result:
    app = typer.Typer()
    app.command()(judge)
    arguments = [index, "--queries", folder / "queries.txt", "--qrels", folder / "qrels/test.tsv"]
    return CliRunner().invoke(app, [*map(str, arguments), *options], input=keys)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A folder with two own questions."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "queries.txt").write_text("where is the ship\ndo cats sleep\n")
    return folder


def lines(*keys: str) -> str:
    return "".join(f"{key}\n" for key in keys)


def test_judging_on_a_pipe(ships: Path, mine: Path) -> None:
    ended = on_a_pipe(ships, mine, lines("1", "2", "u", "3", "0", "2", "end"))
    assert ended.exit_code == 0, ended.output
    qrels = read_qrels(mine / "qrels" / "test.tsv")
    assert sorted(sorted(judged.values()) for judged in qrels.values()) == [[0, 1, 3], [2]]
    assert {"big%20ship", "small", "danger", "cat"} == {d for each in qrels.values() for d in each}
    summary = ended.stdout.splitlines()
    assert summary[0].endswith("test.tsv: 4 of 4 pooled documents judged")
    assert summary[2].split() == "3 of 3 2 where is the ship".split()
    assert summary[3].split() == "1 of 1 1 do cats sleep".split()
    assert summary[4] == f"next: cloze eval {mine} --index {ships} --out report"
    assert "query 1 of 2, document 1 of 3, judged 0 of 4\n" in ended.stderr.replace(
        "─", ""
    ).replace(" \n", "\n")
    assert "query 2 of 2, document 1 of 1, judged 3 of 4, about 1 min left" in ended.stderr
    assert "\x1b" not in ended.output and r"\x1b[31mtitle" in ended.stderr


def test_trec_topics_are_questions_as_well(ships: Path, tmp_path: Path) -> None:
    folder = tmp_path / "trec"
    folder.mkdir()
    (folder / "queries.txt").write_text(
        "<top>\n<num> Number: 301\n<title> where is the ship\n<desc> Description:\n</top>\n"
    )
    ended = on_a_pipe(ships, folder, lines("1", "1", "1"))
    assert ended.exit_code == 0, ended.output
    assert read_qrels(folder / "qrels" / "test.tsv").keys() == {"301"}


def test_the_rest_is_for_the_next_run(ships: Path, mine: Path) -> None:
    first = on_a_pipe(ships, mine, lines("s", "1", "n", "q"))
    assert "1 of 4 pooled documents judged" in first.stdout
    assert "1 of 2 queries have no relevant document yet" in first.stdout
    assert "the same command goes on with the rest" in first.stderr
    second = on_a_pipe(ships, mine, lines("0", "0", "0"))  # and the input ends
    assert "4 of 4 pooled documents judged" in second.stdout
    third = on_a_pipe(ships, mine, "")
    assert "4 of 4 pooled documents judged" in third.stdout
    assert "document 1 of" not in third.stderr


def test_the_last_step_can_be_undone_at_the_end(ships: Path, mine: Path) -> None:
    ended = on_a_pipe(ships, mine, lines("n", "1", "u", "0", "q"))
    assert [list(each.values()) for each in read_qrels(mine / "qrels/test.tsv").values()] == [[0]]
    assert ended.stderr.count("That was the last one") == 2


def test_other_keys(ships: Path, mine: Path) -> None:
    ended = on_a_pipe(ships, mine, lines("?", "10", "", "\x1bz", "u", *"m" * 6, "q"))
    assert ended.exit_code == 0
    assert "0  not relevant: does not help" in ended.stderr
    assert "('10' is no key; ? lists them)" in ended.stderr
    assert "('\\\\x1bz' is no key" in ended.stderr
    assert "(nothing to undo in this session)" in ended.stderr
    assert "(the document ends here)" in ended.stderr
    assert not (mine / "qrels").exists()
    assert "next:" not in ended.stdout


def test_more_pages_through_the_whole_document(ships: Path, mine: Path) -> None:
    query = next(iter(read_queries(str(mine / "queries.txt"))))
    with Index.open(ships) as index:
        order = pool_documents(index, query, ("lexical",), depth=10, seed=0).documents
    ended = on_a_pipe(ships, mine, lines(*"s" * order.index("big ship"), *"m" * 12, "q"))
    shown = ended.stderr[ended.stderr.rindex("[big ship]") :]
    # The extract ends before line 159; the pages show it, and the end, before they say so.
    assert shown.count("line 159\n") == shown.count("The end.") == 1
    assert shown.index("The end.") < shown.index("(the document ends here)")


def test_a_second_command_on_the_same_file_is_refused(ships: Path, mine: Path) -> None:
    with judged_here(mine / "qrels" / "test.tsv"):
        ended = on_a_pipe(ships, mine, lines("1"))
    assert isinstance(ended.exception, ClozeError)
    assert f"test.tsv is being judged by process {os.getpid()} (" in str(ended.exception)
    assert not (mine / "qrels").exists()
    assert on_a_pipe(ships, mine, lines("1", "q")).exit_code == 0


def test_more_of_a_document_that_is_gone_is_nothing(
    ships: Path, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def once(index: Index, text: str, document: str) -> Extract | None:
        calls.append(document)
        return extract(index, text, document) if len(calls) == 1 else None

    monkeypatch.setattr("eval.pooling.extract", once)
    ended = on_a_pipe(ships, mine, lines("s", "m", "q"))
    gone = ended.stderr[ended.stderr.index("the index has this document no more") :]
    assert gone.splitlines()[1] == "(the document ends here)"


def test_other_files_lead_to_another_next_command(ships: Path, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(judge)
    queries, qrels = tmp_path / "my queries.jsonl", tmp_path / "my.qrels"
    queries.write_text(json.dumps({"_id": "1", "text": "ship"}) + "\n")
    arguments = [str(ships), "--queries", str(queries), "--qrels", str(qrels), "--depth", "1"]
    ended = CliRunner().invoke(app, arguments, input="3\n")
    assert ended.stdout.splitlines()[-1] == (
        f"next: cloze search {ships} --queries '{queries}' --run my.trec --top 1000"
        f" && cloze compare {qrels} my.trec"
    )


def test_no_query_and_no_index_are_told(ships: Path, tmp_path: Path) -> None:
    (tmp_path / "queries.txt").write_text("\n")
    assert "has no query" in str(on_a_pipe(ships, tmp_path, "").exception)
    assert isinstance(on_a_pipe(tmp_path / "none", tmp_path, "").exception, ClozeError)


# --- a terminal

DRIVER = """
import fcntl, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
import cloze
cloze.main()
"""


class Terminal:
    """A process at a pseudo-terminal of its own."""

    def __init__(self, *arguments: object) -> None:
        self.master, self.slave = os.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, *map(str, arguments)],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            cwd=ROOT,
            start_new_session=True,
            env=os.environ | {"TERM": "xterm", "COLUMNS": "100", "LINES": "30"},
        )
        self.seen = ""

    def until(self, text: str, seconds: float = 60) -> str:
        """Read until the text has come; return what came up to it."""
        end = monotonic() + seconds
        while text not in self.seen:
            ready, _, _ = select.select([self.master], [], [], max(end - monotonic(), 0))
            assert ready, f"{text!r} did not come: {self.seen!r}"
            self.seen += os.read(self.master, 65536).decode()
        before, _, self.seen = self.seen.partition(text)
        return before

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def at_terminal(ships: Path, mine: Path) -> Iterator[Callable[[], Terminal]]:
    opened: list[Terminal] = []

    def start() -> Terminal:
        queries, qrels = mine / "queries.txt", mine / "qrels/test.tsv"
        opened.append(Terminal("judge", ships, "--queries", queries, "--qrels", qrels))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()


def test_one_key_without_enter(at_terminal: Callable[[], Terminal], mine: Path) -> None:
    terminal = at_terminal()
    shown = terminal.until("q quit")
    assert "query 1 of 2, document 1 of 3" in shown
    assert "\x1b[1;33mship\x1b[0m" in shown
    qrels = mine / "qrels" / "test.tsv"
    terminal.press("2")
    shown = terminal.until("q quit")
    assert "document 2 of 3, judged 1 of 4" in shown
    assert qrels.read_text().count("\t2\n") == 1  # on disk before the next is shown
    # Keys of several bytes, with digits in them, judge nothing.
    terminal.press("\x1b[15~\x1b[1;2A\x1bOPé?")
    terminal.until("? lists them")
    terminal.until("what was judged is kept")
    assert len(qrels.read_text().splitlines()) == 2
    terminal.press("01u")  # typed ahead
    terminal.until("judged 2 of 4")
    terminal.until("judged 3 of 4")
    terminal.until("judged 2 of 4")
    terminal.press("\x04")
    terminal.until("the same command goes on")
    assert terminal.process.wait(30) == 0
    assert [*on_disk(qrels).values()] == [2, 0]
    assert termios.tcgetattr(terminal.slave) == terminal.before


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The other end of the terminal that is standard input now."""
    master, slave = os.openpty()
    with open(slave) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        yield master
    os.close(master)


@pytest.mark.parametrize(
    "key", ["\x1b1", "\x1b[3~", "\x1b[1;2A", "\x1bO2", "\x1b\x1b[2~", "\x1b\x1b1", "é"]
)
def test_what_one_key_sends_is_one_key(keyboard: int, key: str) -> None:
    with open_keys() as keys:
        os.write(keyboard, f"{key}0{key}1".encode())
        assert [keys.read() for _ in range(4)] == [key, "0", key, "1"]


@pytest.mark.parametrize("key", ["\x1b", "\x1b[", "\x1b[1", "\x1b[1;2", "\x1bO", "\x1b\x1b"])
def test_what_has_no_end_is_one_key_too(
    keyboard: int, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eval.terminal._REST_SECONDS", 0)
    with open_keys() as keys:
        os.write(keyboard, key.encode())
        assert keys.read() == key
        os.write(keyboard, b"2")
        assert keys.read() == "2"


@pytest.mark.parametrize(
    "parts", [("\x1b", "1"), ("\x1b", "[1~"), ("\x1b[", "2~"), ("\x1b[1;", "2A"), ("\x1bO", "3"),
              ("\x1b", "[", "1;", "2~")],
)  # fmt: skip
def test_a_key_that_comes_in_parts_is_one_key(
    keyboard: int, parts: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eval.terminal._REST_SECONDS", 30)
    with open_keys() as keys:
        for place, part in enumerate([*parts[:-1], parts[-1] + "0"]):
            Timer(place / 20, os.write, (keyboard, part.encode())).start()
        assert [keys.read(), keys.read()] == ["".join(parts), "0"]


def test_alt_and_a_digit_judge_nothing(at_terminal: Callable[[], Terminal], mine: Path) -> None:
    terminal = at_terminal()
    terminal.until("q quit")
    terminal.press("\x1b1")
    assert "judged" not in terminal.until("is no key; ? lists them")
    assert not (mine / "qrels" / "test.tsv").exists()


def test_keys_are_read_after_a_stop(at_terminal: Callable[[], Terminal], mine: Path) -> None:
    """As a shell does it: Ctrl-Z, its own mode of the terminal, `fg`."""
    terminal = at_terminal()
    terminal.until("q quit")
    by_keys = termios.tcgetattr(terminal.slave)
    terminal.process.send_signal(signal.SIGSTOP)
    os.waitpid(terminal.process.pid, os.WUNTRACED)
    termios.tcsetattr(terminal.slave, termios.TCSANOW, terminal.before)
    terminal.process.send_signal(signal.SIGCONT)
    end = monotonic() + 30
    while termios.tcgetattr(terminal.slave) != by_keys and monotonic() < end:
        sleep(0.01)
    terminal.press("2")
    assert "judged 1 of 4" in terminal.until("q quit")
    terminal.press("q")
    terminal.until("the same command goes on")
    assert terminal.process.wait(30) == 0
    assert termios.tcgetattr(terminal.slave) == terminal.before


@pytest.mark.usefixtures("keyboard")
def test_the_answers_to_signals_are_given_back() -> None:
    before = {each: signal.getsignal(each) for each in (signal.SIGCONT, signal.SIGTERM)}
    with open_keys():
        assert all(signal.getsignal(each) != handler for each, handler in before.items())
    assert {each: signal.getsignal(each) for each in before} == before


def test_nothing_of_a_document_moves_the_cursor(at_terminal: Callable[[], Terminal]) -> None:
    terminal = at_terminal()
    shown = ""
    for _ in range(4):
        shown += terminal.until("q quit")
        terminal.press("s")
    assert r"\x1b[2J" in shown and r"\u202eevil" in shown
    assert not any(each in shown for each in ("\x1b[2J", "\x1b]0;", "\x07", "\x9b", "\u202e"))


@pytest.mark.parametrize(
    ("how", "code"), [("\x03", 130), (signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_the_terminal_is_restored_on_any_end(
    at_terminal: Callable[[], Terminal], mine: Path, how: str | signal.Signals, code: int
) -> None:
    terminal = at_terminal()
    terminal.until("q quit")
    terminal.press("1")
    terminal.until("q quit")
    assert termios.tcgetattr(terminal.slave) != terminal.before
    if isinstance(how, signal.Signals):
        terminal.process.send_signal(how)
    else:
        terminal.press(how)
    if code == 128 + signal.SIGINT:
        terminal.until("stopped; what was acknowledged is kept, the same command continues")
    assert terminal.process.wait(30) == code
    assert termios.tcgetattr(terminal.slave) == terminal.before
    assert [*on_disk(mine / "qrels" / "test.tsv").values()] == [1]


def test_a_random_walk_over_the_keys_never_breaks_the_file(ships: Path, mine: Path) -> None:
    choose = random.Random(7)
    for _ in range(5):
        ended = on_a_pipe(ships, mine, lines(*choose.choices("0123snum?x", k=30)))
        assert ended.exit_code == 0, ended.output
        graded = on_disk(mine / "qrels" / "test.tsv")
        assert f"{len(graded)} of 4 pooled documents judged" in ended.stdout
