"""BM25 against Lucene's formula in numpy, and postings that catch up with the store."""

import contextlib
import json
import shutil
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer import generations, postings, ranking
from indexer.analysis import Analyzer
from indexer.corpus import Corpus as Reader
from indexer.documents import Document
from indexer.errors import DamagedIndexError
from indexer.lexical import Lexical, _writer
from indexer.records import Entry
from indexer.store import Store

PLAIN = Analyzer("none")


def quantised(length: int) -> int:
    """Round a length as Lucene's SmallFloat.intToByte4 does: exact to 40, then 4 bits of it."""
    if length < 40:
        return length
    rest = length - 24
    shift = max(0, rest.bit_length() - 4)
    return 24 + (rest >> shift << shift)


def bm25(query: str, texts: Sequence[str]) -> dict[int, float]:
    """Score texts by Lucene's BM25, of Robertson and others, at k1 1.2 and b 0.75."""
    counts = [Counter(text.split()) for text in texts]
    lengths = np.array([quantised(count.total()) for count in counts], dtype=float)
    average = sum(count.total() for count in counts) / len(texts)
    scores = np.zeros(len(texts))
    for term in query.split():
        frequency = np.array([count[term] for count in counts], dtype=float)
        holding = int((frequency > 0).sum())
        idf = np.log(1 + (len(texts) - holding + 0.5) / (holding + 0.5))
        norm = 1.2 * (1 - 0.75 + 0.75 * lengths / average)
        scores += idf * frequency * 2.2 / (frequency + norm)
    return {place: float(score) for place, score in enumerate(scores, 1) if score > 0}


class Corpus:
    """A store and its postings in one folder, written by hand."""

    def __init__(self, home: Path, analyzer: Analyzer = PLAIN, title_weight: int = 1) -> None:
        home.mkdir(exist_ok=True)
        self.home = home
        self.analyzer = analyzer
        self.title_weight = title_weight
        self.store = Store(home / "store.sqlite")
        self.lexical = self.opened()

    def opened(self) -> Lexical:
        return Lexical(self.home / "lexical", self.analyzer, self.title_weight)

    def write(self, texts: dict[str, str], title: str = "") -> None:
        """Write documents to the store alone, as a process that dies before the postings does."""
        entries = [
            Entry(
                document=Document(id=id, title=title, text=text), text_hash=b"", metadata_hash=b"",
                passages=(), tokens=0, dropped=0,
            )
            for id, text in texts.items()
        ]  # fmt: skip
        with self.store.transaction():
            self.store.write(entries)

    def delete(self, *ids: str) -> None:
        with self.store.transaction():
            self.store.delete(ids)

    def catch_up(self) -> None:
        self.lexical.catch_up(self.store, self.store.sequence)

    def found(self, query: str, allowed: Sequence[int] | None = None) -> dict[int, float]:
        numbers = None if allowed is None else np.array(allowed, dtype=np.int64)
        found = self.lexical.search(query, 1000, numbers)
        return dict(zip(found.numbers.tolist(), found.scores.tolist(), strict=True))


@pytest.fixture
def corpus(tmp_path: Path) -> Iterator[Corpus]:
    made = Corpus(tmp_path)
    yield made
    made.store.close()


TEXTS = {
    "a": "water flow over water", "b": "a fast wing in flow", "c": "wing wing wing",
    "d": "", "e": "heat in a boundary layer with flow",
}  # fmt: skip


def test_scores_by_hand(corpus: Corpus) -> None:
    corpus.write({"a": "water", "b": "water wing", "c": "heat heat heat"})
    corpus.catch_up()
    idf = np.log(1 + 1.5 / 2.5)  # 3 documents, 2 of them with water; the average length is 2
    expected = {
        1: idf * 2.2 / (1 + 1.2 * (0.25 + 0.75 / 2)),
        2: idf * 2.2 / (1 + 1.2),
    }
    assert corpus.found("water") == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    "query", ["flow", "wing flow", "a in a", "water wing heat heat", "nothing"]
)
def test_scores_are_lucenes(corpus: Corpus, query: str) -> None:
    corpus.write(TEXTS)
    corpus.catch_up()
    assert corpus.found(query) == pytest.approx(bm25(query, list(TEXTS.values())), rel=1e-5)


VOCABULARY = [f"w{n}" for n in range(12)]


@settings(max_examples=25)
@given(
    texts=st.lists(
        st.lists(st.sampled_from(VOCABULARY), max_size=300).map(" ".join), min_size=1, max_size=12
    ),
    query=st.lists(st.sampled_from([*VOCABULARY, "unknown"]), max_size=6).map(" ".join),
)
def test_scores_are_lucenes_at_any_length(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], query: str
) -> None:
    corpus = Corpus(tmp_path_factory.mktemp("bm25"))
    corpus.write({f"{place}": text for place, text in enumerate(texts)})
    corpus.catch_up()
    expected = bm25(query, texts)
    assert corpus.found(query) == pytest.approx(expected, rel=1e-5)
    some = list(expected)[::2]
    assert corpus.found(query, some) == pytest.approx({n: expected[n] for n in some}, rel=1e-5)
    assert corpus.lexical.count_matches(query) == len(expected)
    corpus.store.close()


def test_the_length_of_long_documents_is_quantised() -> None:
    assert [quantised(n) for n in (0, 39, 40, 41, 56, 57, 100, 1000)] == [
        0,
        39,
        40,
        40,
        56,
        56,
        96,
        984,
    ]


def test_filters_act_inside(corpus: Corpus) -> None:
    corpus.write({f"{n}": f"water {'wing ' * n}" for n in range(1, 31)})
    corpus.catch_up()
    everything = corpus.found("water")
    assert len(everything) == 30
    last = sorted(everything, key=lambda number: everything[number])[:2]
    found = corpus.lexical.search("water", 1, np.array(sorted(last), dtype=np.int64))
    assert found.numbers.tolist() == [last[1]]
    assert found.scores[0] == everything[last[1]]
    assert corpus.found("water", []) == {}
    assert corpus.found("water", [999]) == {}
    assert corpus.lexical.count_matches("water", np.array([1, 2, 999])) == 2
    assert corpus.lexical.count_matches("water") == 30


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corpus]:
    """3,000 documents in three segments, some deleted, with many ties; 1,000 hold each word."""
    corpus = Corpus(tmp_path_factory.mktemp("many"))
    rng = np.random.default_rng(0)
    words = np.array([f"w{n}" for n in range(6)])
    for start in range(0, 3000, 1000):
        texts = [" ".join(words[rng.random(6) < 1 / 3]) for _ in range(1000)]
        corpus.write({f"{start + n}": text for n, text in enumerate(texts)})
        corpus.catch_up()
    corpus.delete(*map(str, range(0, 3000, 29)))
    corpus.catch_up()
    yield corpus
    corpus.store.close()


@pytest.fixture(params=["as measured", "clauses", "reading on"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Filter as measurement says, or always in one of the two ways."""
    costs = {"clauses": 0, "reading on": 10**9}
    if request.param in costs:
        monkeypatch.setattr(ranking, "_CLAUSE_IN_HITS", costs[request.param])


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("depth", [1, 10, 1000])
@pytest.mark.parametrize("share", [1, 0.5, 0.1, 0.01, 0.001, 0])
def test_a_filtered_ranking_is_the_allowed_part_of_all(
    many: Corpus, share: float, depth: int
) -> None:
    everything = many.lexical.search("w1 w4 w4", 3000)
    assert 1500 < len(everything.numbers) < 3000 - 3000 // 29
    numbers = np.array(range(1, 3001))
    allowed = np.sort(np.random.default_rng(1).choice(numbers, round(3000 * share), replace=False))
    inside = {
        number: score
        for number, score in zip(everything.numbers.tolist(), everything.scores, strict=True)
        if number in set(allowed.tolist())
    }
    expected = dict(inside)
    if len(inside) > depth:
        cut = sorted(inside.values(), reverse=True)[depth - 1]
        expected = {number: score for number, score in inside.items() if score >= cut * (1 - 1e-6)}
        assert len(expected) > depth or share < 0.5
    found = many.lexical.search("w1 w4 w4", depth, allowed)
    assert dict(zip(found.numbers.tolist(), found.scores, strict=True)) == pytest.approx(
        expected, rel=1e-6
    )
    assert np.all(np.diff(found.scores) <= 0)
    assert many.lexical.count_matches("w1 w4 w4", allowed) == len(inside)


@pytest.mark.usefixtures("way")
def test_a_filter_that_passes_the_worst_alone(many: Corpus) -> None:
    """So many documents before them that the ranking has to be read on to its end."""
    everything = many.lexical.search("w0 w1 w2", 3000)
    allowed = np.sort(everything.numbers[-300:])
    found = many.lexical.search("w0 w1 w2", 5, allowed)
    assert set(found.numbers.tolist()) <= set(allowed.tolist())
    assert found.scores[0] == pytest.approx(everything.scores[-300], rel=1e-6)
    assert len(found.numbers) >= 5


@pytest.mark.parametrize("query", ["", "  ", "…", "unknown", "\x00"])
def test_queries_that_find_nothing(corpus: Corpus, query: str) -> None:
    assert corpus.found(query) == {}
    corpus.write(TEXTS)
    corpus.catch_up()
    assert corpus.found(query) == {}
    assert corpus.lexical.count_matches(query) == 0


def test_ties_at_the_cut_are_all_there(corpus: Corpus) -> None:
    corpus.write(
        {"best": "water water"} | {f"{n}": "water wing" for n in range(150)} | {"z": "heat"}
    )
    corpus.catch_up()
    for depth in (2, 20, 150):
        found = corpus.lexical.search("water", depth)
        assert (len(found.numbers), found.numbers[0]) == (151, 1)
    assert corpus.lexical.search("water", 1).numbers.tolist() == [1]


@pytest.mark.parametrize("weight", [0, 1, 3])
def test_title_weight_is_repetition(tmp_path: Path, weight: int) -> None:
    weighted, repeated = Corpus(tmp_path / "a", title_weight=weight), Corpus(tmp_path / "b")
    for id, text in TEXTS.items():
        weighted.write({id: text}, title="fast water")
        repeated.write({id: "fast water " * weight + text})
    weighted.catch_up()
    repeated.catch_up()
    assert weighted.found("water flow") == repeated.found("water flow")
    assert weighted.found("fast") == repeated.found("fast")
    assert len(weighted.found("fast")) == (5 if weight else 1)


def test_what_is_committed_is_told_before_segments_are_merged(corpus: Corpus) -> None:
    seen: list[tuple[int, int, dict[int, float]]] = []

    def look() -> None:
        found = {number: round(score, 2) for number, score in corpus.found("wing").items()}
        seen.append((corpus.lexical.covered, corpus.lexical.count, found))

    corpus.write(TEXTS)
    corpus.lexical.catch_up(corpus.store, corpus.store.sequence, look)
    assert seen[0][:2] == (1, 5)
    assert sorted(seen[0][2]) == [2, 3]
    corpus.lexical.catch_up(corpus.store, corpus.store.sequence, look)  # nothing is left to do
    assert seen[1:] == seen[:1]


@pytest.mark.parametrize("raises", [False, True])
def test_segments_are_merged_after_the_commit_was_told_whatever_comes_of_it(raises: bool) -> None:
    calls: list[str] = []

    class Writer:
        def commit(self) -> None:
            calls.append("commit")

        def wait_merging_threads(self) -> None:
            calls.append("merge")

    class Index:
        def writer(self, **options: object) -> Writer:
            return Writer()

    def told() -> None:
        calls.append("told")
        if raises:
            raise OSError("no")

    expected = pytest.raises(OSError, match="no") if raises else contextlib.nullcontext()
    with expected, _writer(Index(), told):  # type: ignore[arg-type]
        calls.append("write")
    assert calls == ["write", "commit", "told", "merge"]


def test_after_an_error_that_somebody_keeps_the_next_write_finds_no_lock(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus.write(TEXTS)
    with monkeypatch.context() as patch:
        patch.setattr(Lexical, "_add", Mock(side_effect=OSError("full")))
        with pytest.raises(OSError, match="full") as kept:
            corpus.catch_up()
    assert kept.tb is not None  # and with it all that was local
    assert corpus.found("wing") == {}
    corpus.catch_up()
    assert sorted(corpus.found("wing")) == [2, 3]


def test_many_commits_leave_few_segments_and_the_files_of_these_alone(corpus: Corpus) -> None:
    """Readers move at each commit, while tantivy merges and removes files."""
    reader = corpus.opened()

    def follow() -> None:
        reader.reload()
        assert reader.count == reader.covered

    for number in range(20):
        corpus.write({f"{number}": f"wing {number}"})
        corpus.lexical.catch_up(corpus.store, corpus.store.sequence, follow)
    assert corpus.lexical.count == 20
    assert corpus.lexical.segments < 10
    assert corpus.lexical.damage() == []


def test_postings_catch_up_after_a_crash(corpus: Corpus) -> None:
    corpus.write(TEXTS)
    corpus.catch_up()
    corpus.write({"f": "water"})
    corpus.write({"a": "heat alone"})
    corpus.delete("b")
    again = corpus.opened()
    assert again.covered == 1
    again.catch_up(corpus.store, corpus.store.sequence)
    assert again.covered == corpus.store.sequence == 4
    assert again.numbers().tolist() == corpus.store.numbers(4).tolist()
    assert set(again.search("water", 10).numbers.tolist()) == {6}
    assert corpus.opened().covered == 4


def test_a_deletion_alone_is_covered(corpus: Corpus) -> None:
    corpus.write(TEXTS)
    corpus.catch_up()
    corpus.delete("a")
    again = corpus.opened()
    again.catch_up(corpus.store, 2)
    assert (again.covered, again.count) == (2, 4)
    assert again.numbers().tolist() == corpus.store.numbers(2).tolist()


def test_everything_deleted_and_written_again(corpus: Corpus) -> None:
    corpus.write(TEXTS)
    corpus.catch_up()
    corpus.delete(*TEXTS)
    corpus.catch_up()
    assert (corpus.lexical.count, corpus.found("flow")) == (0, {})
    corpus.write({"n": "flow"})
    corpus.catch_up()
    assert corpus.lexical.covered == corpus.store.sequence == 3
    assert corpus.lexical.numbers().tolist() == corpus.store.numbers(3).tolist() == [6]


def test_a_reader_keeps_its_commit_until_it_reloads(corpus: Corpus) -> None:
    corpus.write({"a": "water"})
    corpus.catch_up()
    reader = corpus.opened()
    corpus.write({"b": "water"})
    corpus.catch_up()
    assert (reader.covered, reader.search("water", 9).numbers.tolist()) == (1, [1])
    corpus.lexical.rebuild(corpus.store)
    assert reader.search("water", 9).numbers.tolist() == [1]
    reader.reload()
    assert (reader.covered, len(reader.search("water", 9).numbers)) == (2, 2)


def test_a_rebuild_forgets_the_dead_and_their_statistics(corpus: Corpus, tmp_path: Path) -> None:
    corpus.write(TEXTS | {"x": "flow " * 30})
    corpus.catch_up()
    corpus.delete("x")
    corpus.catch_up()
    corpus.lexical.rebuild(corpus.store)
    assert corpus.found("wing flow") == pytest.approx(
        bm25("wing flow", list(TEXTS.values())), rel=1e-5
    )
    fresh = Corpus(tmp_path / "a")
    fresh.write(TEXTS)
    fresh.catch_up()
    assert fresh.found("wing flow") == corpus.found("wing flow")
    assert len(list((tmp_path / "lexical").iterdir())) == 1
    assert corpus.lexical.covered == corpus.store.sequence


def test_scores_of_a_real_collection(real_data: Path, tmp_path: Path) -> None:
    home = real_data / "collections" / "cranfield"
    documents = list(Reader([str(home)]))
    queries = [json.loads(line)["text"] for line in (home / "queries.jsonl").open()]
    corpus = Corpus(tmp_path, Analyzer("english"))
    corpus.write({d.id: f"{d.title} {d.text}" for d in documents})
    corpus.catch_up()
    texts = [" ".join(corpus.analyzer.terms(f"{d.title} {d.text}")) for d in documents]
    for query in queries[:12]:
        expected = bm25(" ".join(corpus.analyzer.terms(query)), texts)
        found = corpus.lexical.search(query, len(documents))
        assert dict(zip(found.numbers.tolist(), found.scores, strict=True)) == pytest.approx(
            expected, rel=1e-5
        )
        assert len(found.numbers) > 100
    corpus.store.close()


def test_language_is_the_analyzers(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path / "a", Analyzer("english"))
    corpus.write({"a": "the runners ran", "b": "running", "c": "用搜索引擎"})
    corpus.catch_up()
    assert set(corpus.found("run")) == {2}
    assert set(corpus.found("Runner's")) == {1}
    assert corpus.found("the") == {}
    assert set(corpus.found("引擎")) == set(corpus.found("搜索")) == {3}
    assert corpus.found("引用") == {}


def swap(path: Path, content: bytes) -> None:
    """Give a file other content in one step: tantivy's threads may still read the old one."""
    other = path.with_name("other")
    other.write_bytes(content)
    other.rename(path)


def test_damage(corpus: Corpus) -> None:
    corpus.write(TEXTS)
    corpus.catch_up()
    assert corpus.lexical.damage() == []
    folder = generations.current(corpus.home / "lexical")
    assert folder is not None
    files = [path for path in folder.iterdir() if path.suffix not in (".json", ".lock")]
    assert len(files) >= 5
    for path in files:
        content = path.read_bytes()
        swap(path, bytes([content[0] ^ 1]) + content[1:])
        assert [str(path) in line for line in corpus.lexical.damage()] == [True]
        swap(path, content)


def test_a_changed_file_is_found_when_it_is_opened(corpus: Corpus) -> None:
    corpus.write({f"{n}": f"water{n} wing" for n in range(100)})
    corpus.catch_up()
    folder = generations.current(corpus.home / "lexical")
    assert folder is not None
    (path,) = folder.glob("*.idx")
    content = path.read_bytes()
    for wrecked in (content[:20] + bytes([content[20] ^ 64]) + content[21:], content[:-30], b""):
        swap(path, wrecked)
        with pytest.raises(DamagedIndexError, match=r"postings in .* can't be read"):
            corpus.opened()
    swap(path, content)
    assert len(corpus.opened().search("wing", 10).numbers) == 100


def test_checksums_of_many_files_are_computed_in_threads(tmp_path: Path) -> None:
    files = [tmp_path / f"{n}" for n in range(9)]
    for number, path in enumerate(files):
        content = bytes([number]) * 1_000_000
        footer = json.dumps({"crc": zlib.crc32(content)}).encode()
        path.write_bytes(content + footer + len(footer).to_bytes(4, "little") + bytes(4))
    assert postings.broken(files, 2) == []
    for path in (files[2], files[7]):
        path.write_bytes(path.read_bytes()[1:])
    assert postings.broken(files, 2) == postings.broken(files, 1) == [files[2], files[7]]


def test_a_rebuild_takes_up_what_was_written_meanwhile(corpus: Corpus, tmp_path: Path) -> None:
    corpus.write(TEXTS)
    corpus.catch_up()
    corpus.delete("c")
    corpus.catch_up()
    other = corpus.opened()
    with other.rebuilt(corpus.store) as fresh:
        assert other.dead > 0
        corpus.write({"f": "water again", "a": "heat alone"})
        corpus.delete("b")
        corpus.catch_up()  # as another process does, which has the lock
        assert set(corpus.found("water")) == {6}
        fresh.publish(corpus.store)
    assert (other.covered, other.dead) == (corpus.store.sequence, 2)
    corpus.lexical.reload()
    for lexical in (other, corpus.lexical, corpus.opened()):
        assert lexical.numbers().tolist() == corpus.store.numbers(corpus.store.sequence).tolist()
        assert lexical.search("water", 9).numbers.tolist() == [6]
    assert len(list((tmp_path / "lexical").iterdir())) == 1


def test_a_rebuild_begins_again_where_rows_were_purged_meanwhile(corpus: Corpus) -> None:
    corpus.write(TEXTS)
    corpus.catch_up()
    with corpus.lexical.rebuilt(corpus.store) as fresh:
        corpus.delete("a")
        corpus.store.purge(corpus.store.sequence)
        fresh.publish(corpus.store)
    assert corpus.lexical.numbers().tolist() == [2, 3, 4, 5]
    assert (corpus.lexical.covered, corpus.lexical.dead) == (2, 0)


def test_a_rebuild_leaves_that_of_another_process_alone(corpus: Corpus, tmp_path: Path) -> None:
    corpus.write(TEXTS)
    corpus.catch_up()
    (tmp_path / "lexical" / "new-of-the-dead").mkdir()
    with corpus.lexical.rebuilt(corpus.store) as fresh:
        corpus.opened().rebuild(corpus.store)
        assert len(list((tmp_path / "lexical").iterdir())) == 2
        fresh.publish(corpus.store)
    assert [path.name for path in (tmp_path / "lexical").iterdir()] == ["000003"]
    assert set(corpus.found("flow")) == {1, 2, 5}


def test_a_rebuild_that_is_not_published_leaves_nothing(corpus: Corpus, tmp_path: Path) -> None:
    corpus.write(TEXTS)
    corpus.catch_up()
    with corpus.lexical.rebuilt(corpus.store):
        pass
    assert [path.name for path in (tmp_path / "lexical").iterdir()] == ["000001"]


@pytest.mark.parametrize("wreck", ["meta", "files"])
def test_postings_that_do_not_open_are_named(corpus: Corpus, wreck: str) -> None:
    corpus.write(TEXTS)
    corpus.catch_up()
    folder = generations.current(corpus.home / "lexical")
    assert folder is not None
    if wreck == "meta":
        (folder / "meta.json").write_text("{")
    else:
        shutil.rmtree(folder)
        folder.mkdir()
    with pytest.raises(DamagedIndexError, match=r"postings in .* can't be read"):
        corpus.opened()
