"""The one door: what is encoded and what is not, sealed settings, locks, snapshots, damage."""

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from indexer import generations, lock
from indexer import index as index_module
from indexer.creation import Settings
from indexer.documents import Document
from indexer.errors import ClozeError, DamagedIndexError
from indexer.filters import parse
from indexer.index import Index
from indexer.lexical import Lexical
from indexer.manifest import read_manifest, write_manifest
from indexer.models import find_model
from indexer.records import PASSAGE_BITS
from indexer.runtime import compiled, conversion
from indexer.runtime.precision import resolve
from indexer.store import Store
from indexer.verification import damage

WORDS_ONLY = Settings(lexical_only=True)


def document(id: str, text: str = "the ship", title: str = "", **metadata: object) -> Document:
    return Document(id=id, text=text, title=title, metadata=metadata)


@pytest.fixture
def tiny(tiny_model: Path) -> Settings:
    return Settings(model=str(tiny_model), passage_tokens=32, passage_overlap=8)


@pytest.fixture
def dense_index(tmp_path: Path, tiny: Settings) -> Iterator[Index]:
    with Index.open(tmp_path / "index", tiny) as index:
        yield index


@pytest.fixture
def lexical_index(tmp_path: Path) -> Iterator[Index]:
    with Index.open(tmp_path / "index", WORDS_ONLY) as index:
        yield index


def live(index: Index) -> dict[str, str]:
    return {d.id: d.text for _, d in index.store.all_live()}


def searchable(index: Index) -> set[int]:
    return set(index.lexical.numbers().tolist())


def test_what_is_unchanged_is_not_encoded(dense_index: Index, documents: list[Document]) -> None:
    first = dense_index.add(documents)
    assert (first.documents, first.added, first.unchanged) == (len(documents), len(documents), 0)
    assert first.encoded_texts > len(documents)
    before = dense_index.store.sequence
    again = dense_index.add(documents)
    assert (again.encoded_texts, again.added, again.updated) == (0, 0, 0)
    assert (again.unchanged, dense_index.store.sequence) == (len(documents), before)
    assert damage(dense_index) == []


def test_changed_metadata_is_not_encoded(dense_index: Index) -> None:
    dense_index.add([document("a", year=1), document("b", year=1)])
    number = dense_index.store.live(["a"])["a"].number
    _, vectors = dense_index.dense.rows()
    changes = dense_index.add([document("a", year=2), document("b", year=1)])
    assert (changes.updated, changes.unchanged, changes.encoded_texts) == (1, 1, 0)
    assert dense_index.store.live(["a"])["a"].number > number
    assert dense_index.store.matching(parse("year = 2"), dense_index.sequence).tolist() == [3]
    assert dense_index.dense.rows()[1].tobytes() == vectors.tobytes()


def test_only_changed_passages_are_encoded(dense_index: Index) -> None:
    sentence = "The quick brown fox will jump over the lazy dog by the river and the sea of sand."
    text = " ".join([sentence.replace("fox", word) for word in ("ship", "sun", "moon", "boat")])
    first = dense_index.add([document("a", text)])
    assert first.encoded_texts == 4  # a sentence each: two would be 36 tokens, of 32
    changes = dense_index.add([document("a", text.replace("boat", "star"))])
    assert changes.encoded_texts == 1


def test_equal_texts_of_one_batch_are_encoded_once(dense_index: Index) -> None:
    changes = dense_index.add([document(f"{n}") for n in range(5)])
    assert (changes.added, changes.encoded_texts) == (5, 1)
    assert dense_index.dense.count == 5


def test_vectors_are_the_encoders_in_float16(dense_index: Index) -> None:
    texts = ["the ship", "a bear by the river", "用搜索引擎"]
    dense_index.add([document(f"{n}", text, title="a title") for n, text in enumerate(texts)])
    expected = dense_index.encoder.encode_documents([f"a title {text}" for text in texts])
    ids, vectors = dense_index.dense.rows()
    assert (ids >> PASSAGE_BITS).tolist() == [1, 2, 3]
    assert vectors.tobytes() == expected.astype("float16").tobytes()


def test_a_run_writes_in_batches(lexical_index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexer.batching._BATCH_DOCUMENTS", 10)
    monkeypatch.setattr(index_module, "_LEXICAL_BATCH_FACTOR", 1)
    monkeypatch.setattr(index_module, "_COMMIT_SECONDS", 0.0)
    seen: list[int] = []

    def stream() -> Iterator[Document]:
        for n in range(25):
            if n in (10, 20):
                seen.append(lexical_index.lexical.count)
            yield document(f"{n}")

    lexical_index.add(stream())
    assert seen == [10, 20]  # a long run is searchable while it goes on
    assert lexical_index.store.sequence == 3


def test_sync_deletes_what_did_not_come(lexical_index: Index) -> None:
    lexical_index.add([document("a"), document("b"), document("c")])
    assert lexical_index.add([document("c", "new")]).deleted == 0
    changes = lexical_index.add([document("b"), document("d")], sync=True)
    assert (changes.added, changes.unchanged, changes.deleted) == (1, 1, 2)
    assert live(lexical_index) == {"b": "the ship", "d": "the ship"}
    assert lexical_index.lexical.count == 2
    with pytest.raises(ClozeError, match=r"deleted nothing: no document came, .* holds 2"):
        lexical_index.add([], sync=True)
    assert lexical_index.lexical.count == 2


def test_everything_deleted_and_begun_again(dense_index: Index) -> None:
    dense_index.add([document("a"), document("b")])
    assert dense_index.dense.count == 2
    assert dense_index.delete(["a", "b"]) == 2
    assert (live(dense_index), searchable(dense_index), dense_index.dense.count) == ({}, set(), 0)
    dense_index.add([document("c")])
    assert searchable(dense_index) == {3}
    assert dense_index.dense.count == 1
    assert damage(dense_index) == []


def test_an_id_that_comes_twice(lexical_index: Index) -> None:
    with pytest.raises(ClozeError, match=r"the id 'a' comes twice"):
        lexical_index.add([document("a", "first"), document("b"), document("a", "second")])
    heard: list[Document] = []
    lexical_index.add(
        [document("a", "first"), document("a", "second"), document("b")], duplicate=heard.append
    )
    assert live(lexical_index) == {"a": "first", "b": "the ship"}
    assert [d.text for d in heard] == ["second"]


def test_what_was_acknowledged_before_an_error_stays(
    lexical_index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.batching._BATCH_DOCUMENTS", 2)
    monkeypatch.setattr(index_module, "_LEXICAL_BATCH_FACTOR", 1)

    def stream() -> Iterator[Document]:
        yield from (document(id) for id in "abc")
        raise ClozeError("the corpus ends here")

    with pytest.raises(ClozeError, match="the corpus ends here"):
        lexical_index.add(stream())
    assert set(live(lexical_index)) == {"a", "b"}
    assert lexical_index.lexical.count == 2


def test_delete(lexical_index: Index) -> None:
    lexical_index.add([document(f"{n}", year=n) for n in range(6)])
    assert lexical_index.delete(["1", "1", "nobody"]) == 1
    assert lexical_index.delete([]) == 0
    assert lexical_index.delete_matching(parse("year >= 4")) == 2
    assert lexical_index.delete_matching(parse("year >= 4")) == 0
    assert set(live(lexical_index)) == {"0", "2", "3"}


def test_what_another_replaces_meanwhile_is_not_deleted_by_a_filter(
    lexical_index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    lexical_index.add([document("a", year=1), document("b", year=1), document("c", year=2)])
    hold = lock.writer_lock
    turns: list[int] = []

    def after_another(folder: Path) -> contextlib.AbstractContextManager[None]:
        turns.append(1)
        if len(turns) == 1:  # on the way to the lock
            with Index.open(folder) as other:
                other.add([document("a", "new", year=2), document("c", year=1)])
        return hold(folder)

    monkeypatch.setattr(index_module, "writer_lock", after_another)
    assert lexical_index.delete_matching(parse("year = 1")) == 2
    assert live(lexical_index) == {"a": "new"}
    assert searchable(lexical_index) == {lexical_index.store.live(["a"])["a"].number}


def test_above_a_tenth_dead_compaction_starts_by_itself(dense_index: Index) -> None:
    dense_index.add([document(f"{n}", f"ship {n}", year=n) for n in range(30)])
    changes = dense_index.add([document("0", "another"), document("1", "another")])
    assert (dense_index.store.dead(), changes.notices) == (2, [])
    changes = dense_index.add([document("2", "another")])  # of 33 a tenth is not quite 3
    assert (dense_index.store.dead(), dense_index.lexical.dead) == (3, 3)
    changes = dense_index.add([document("3", "another")])
    assert (dense_index.store.dead(), dense_index.lexical.dead) == (0, 0)
    assert changes.notices == ["compacted by itself: 4 dead documents removed"]
    assert damage(dense_index) == []
    assert dense_index.dense.count == 30


def test_compaction_gives_what_a_fresh_build_gives(
    tmp_path: Path, tiny: Settings, documents: list[Document]
) -> None:
    with Index.open(tmp_path / "old", tiny) as old, Index.open(tmp_path / "new", tiny) as new:
        old.add(documents)
        old.delete([d.id for d in documents[::3]])
        changed = [replace(d, text=f"{d.text} A ship.") for d in documents[1::3]]
        old.add(changed)
        old.compact()
        new.add([*documents[2::3], *changed])
        rows = {}
        for index in (old, new):
            names = index.store.ids(list(searchable(index)))
            found = index.lexical.search("the ship under water", 1000)
            ids, vectors = index.dense.rows()
            rows[index] = (
                {names[n]: s for n, s in zip(found.numbers.tolist(), found.scores, strict=True)},
                sorted(
                    (names[int(i) >> PASSAGE_BITS], int(i) % 2**PASSAGE_BITS, v.tobytes())
                    for i, v in zip(ids, vectors, strict=True)
                ),
            )
        assert rows[old] == rows[new]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(passage_tokens=48), "built with passage tokens 32, asked for 48"),
        (Settings(passage_overlap=0), "built with passage overlap 8, asked for 0"),
        (Settings(language="german"), "built with language 'english', asked for 'german'"),
        (Settings(title_weight=3), "built with title weight 1, asked for 3"),
        (Settings(lexical_only=True), "asked for --lexical-only"),
    ],
)
def test_other_settings_are_errors(dense_index: Index, settings: Settings, message: str) -> None:
    with pytest.raises(ClozeError, match=message):
        Index.open(dense_index.folder, settings)
    assert Index.open(dense_index.folder, Settings()).manifest == dense_index.manifest


def test_another_model_is_an_error(dense_index: Index, tiny_model: Path, other_model: Path) -> None:
    with pytest.raises(ClozeError) as error:
        Index.open(dense_index.folder, Settings(model=str(other_model)))
    line = str(error.value)
    for model in (tiny_model, other_model):
        assert str(model) in line
        assert find_model(str(model)).content_hash[:12] in line
    assert f"cloze reindex {dense_index.folder} --model {other_model}" in line


def test_a_model_that_changed_in_its_folder_is_an_error(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The change asks for a conversion, and which one it is does not matter here.
    made = conversion.compiled(find_model(str(tiny_model)), resolve(None, "cpu"), tokens=False)
    monkeypatch.setattr(compiled, "compiled", lambda *_, **__: made)
    model = tmp_path / "model"
    shutil.copytree(tiny_model, model)
    Index.open(tmp_path / "index", Settings(model=str(model))).close()
    (model / "sentence_bert_config.json").write_text('{"max_seq_length": 40}')
    with Index.open(tmp_path / "index") as index, pytest.raises(ClozeError, match="content hash"):
        index.add([document("a")])


def test_a_model_for_an_index_without_one_is_an_error(
    lexical_index: Index, tiny_model: Path
) -> None:
    with pytest.raises(ClozeError, match=r"--lexical-only.* cloze reindex"):
        Index.open(lexical_index.folder, Settings(model=str(tiny_model)))


@pytest.mark.parametrize(
    "settings", [{"passage_tokens": 15}, {"passage_tokens": 65}, {"passage_overlap": 33}]
)
def test_passages_that_do_not_fit_the_model_are_an_error(
    tmp_path: Path, tiny_model: Path, settings: dict[str, int]
) -> None:
    with pytest.raises(ClozeError, match=r"16 to 64 tokens"):
        Index.open(tmp_path / "index", Settings(model=str(tiny_model), **settings))  # type: ignore[arg-type]
    assert not (tmp_path / "index").exists()


def test_a_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(ClozeError, match=r"holds files but no manifest\.json"):
        Index.open(tmp_path, WORDS_ONLY)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_opening_without_settings_creates_nothing(tmp_path: Path) -> None:
    with pytest.raises(ClozeError, match="is not an index"):
        Index.open(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


def test_an_analyzer_of_another_version_is_an_error(lexical_index: Index) -> None:
    manifest = lexical_index.manifest
    other = {**manifest.analyzer, "version": 99}
    write_manifest(lexical_index.folder, replace(manifest, analyzer=other))
    with pytest.raises(ClozeError, match=r"built with analyzer .*99.*, this cloze has"):
        Index.open(lexical_index.folder)


HOLD = """
import fcntl, os, sys
descriptor = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(descriptor, fcntl.LOCK_EX)
os.ftruncate(descriptor, 0)
os.write(descriptor, f"process {os.getpid()} (cloze index)".encode())
print("held", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def held_lock(folder: Path) -> Iterator[int]:
    """Hold the writer's lock of a folder in another process; give its number."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder / "lock")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process.pid
        process.communicate()


def test_a_second_writer_is_told_who_holds_the_lock(
    lexical_index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    lexical_index.add([document("a")])
    monkeypatch.setattr(lock.writer_lock.__wrapped__, "__kwdefaults__", {"wait": 0.05})  # type: ignore[attr-defined]
    with held_lock(lexical_index.folder) as holder:
        for write in (
            lambda: lexical_index.add([document("b")]),
            lambda: lexical_index.delete(["a"]),
            lexical_index.compact,
        ):
            with pytest.raises(ClozeError, match=rf"written by process {holder} \(cloze index\)"):
                write()
        with Index.open(lexical_index.folder) as reader:  # reading needs no lock
            assert reader.lexical.count == 1
    assert lexical_index.add([document("b")]).added == 1


def test_a_crash_between_store_and_postings_is_mended_on_opening(dense_index: Index) -> None:
    dense_index.add([document("a"), document("b", "a bear")])

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dense_index, "_commit_lexical", crash)
        with pytest.raises(KeyboardInterrupt):
            dense_index.add([document("c", "a star")])
        with pytest.raises(KeyboardInterrupt):
            dense_index.delete(["a"])
    assert dense_index.lexical.covered < dense_index.store.sequence
    with held_lock(dense_index.folder), Index.open(dense_index.folder) as reader:
        assert searchable(reader) == {1, 2}  # a writer is at work: it will do it
        assert reader.sequence == 1
    with Index.open(dense_index.folder) as again:
        assert searchable(again) == {2, 3}
        assert damage(again) == []
        assert again.add([document("c", "a star")]).encoded_texts == 0


def test_a_reader_keeps_its_snapshot(dense_index: Index) -> None:
    dense_index.add([document("a"), document("b", "a bear")])
    with Index.open(dense_index.folder) as reader:
        with reader.reading():
            before = (reader.sequence, reader.dense.rows()[0].tolist())
            dense_index.add([document("c"), document("a", "changed")])
            dense_index.delete(["b"])
            assert (reader.sequence, reader.dense.rows()[0].tolist()) == before
            assert reader.store.numbers(reader.sequence).tolist() == [1, 2]
            assert searchable(reader) == {1, 2}
            documents = reader.store.documents([1, 2])
            assert [documents[n].text for n in (1, 2)] == ["the ship", "a bear"]
        with reader.reading():
            assert searchable(reader) == set(reader.store.numbers(reader.sequence).tolist())
            assert {d.id for _, d in reader.store.all_live()} == {"a", "c"}
            assert [n >> PASSAGE_BITS for n in reader.dense.rows()[0].tolist()] == sorted(
                searchable(reader)
            )


def test_a_reader_keeps_its_snapshot_through_compaction(dense_index: Index) -> None:
    dense_index.add([document(f"{n}", f"ship {n}") for n in range(30)])
    with Index.open(dense_index.folder) as reader:
        with reader.reading():
            dense_index.delete(["0", "1", "2", "3"])
            assert dense_index.store.dead() == 0
            assert len(reader.store.documents(sorted(searchable(reader)))) == 30
            assert len(reader.dense.rows()[0]) == 30
        with reader.reading():
            assert len(searchable(reader)) == len(reader.dense.rows()[0]) == 26


def test_two_writers_share_a_folder(tmp_path: Path) -> None:
    with (
        Index.open(tmp_path / "index", WORDS_ONLY) as first,
        Index.open(tmp_path / "index", WORDS_ONLY) as second,
    ):
        for turn in range(3):
            first.add([document(f"first {turn}"), document("both", f"first {turn}")])
            second.add([document(f"second {turn}"), document("both", f"second {turn}")])
        second.delete(["first 0"])
        with first.reading():
            assert first.lexical.count == len(live(first)) == 6
            assert live(first)["both"] == "second 2"
        assert damage(first) == []


def wreck_postings(folder: Path) -> None:
    (meta,) = folder.glob("lexical/*/meta.json")
    meta.write_text("{}")


def wreck_vectors(folder: Path) -> None:
    (file,) = folder.glob("dense/*.safetensors")
    content = bytearray(file.read_bytes())
    content[-1] ^= 255
    file.write_bytes(content)


@pytest.mark.parametrize("wreck", [wreck_postings, wreck_vectors])
def test_what_is_derived_is_rebuilt_with_a_notice(
    dense_index: Index, documents: list[Document], wreck: Callable[[Path], None]
) -> None:
    dense_index.add(documents)
    posted, rows = searchable(dense_index), dense_index.dense.rows()[1].tobytes()
    dense_index.close()
    wreck(dense_index.folder)
    with Index.open(dense_index.folder) as again:
        assert again.dense.rows()[1].tobytes() == rows
        assert searchable(again) == posted
        assert len(again.notices) == 1
        assert str(dense_index.folder) in again.notices[0]


def test_postings_that_are_made_anew_appear_whole(
    lexical_index: Index, documents: list[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who opens the index meanwhile must not take what is half made for all."""
    lexical_index.add(documents)
    posted = searchable(lexical_index)
    lexical_index.close()
    wreck_postings(lexical_index.folder)
    home = lexical_index.folder / "lexical"
    seen: list[str] = []
    catch_up = Lexical.catch_up

    def look(self: Lexical, store: Store, upto: int, *told: Callable[[], None]) -> None:
        seen.append(str(generations.current(home)))
        catch_up(self, store, upto, *told)

    monkeypatch.setattr(Lexical, "catch_up", look)
    with Index.open(lexical_index.folder) as again:
        assert searchable(again) == posted
    assert seen == [str(home / "000001")]  # the damaged one, which nobody answers from
    assert [entry.name for entry in home.iterdir()] == ["000002"]


def test_a_lost_store_is_not_an_empty_one(lexical_index: Index) -> None:
    lexical_index.add([document("a")])
    lexical_index.close()
    for file in lexical_index.folder.glob("store.sqlite*"):
        file.unlink()
    with pytest.raises(DamagedIndexError, match=r"ends at transaction 0, the postings at 1"):
        Index.open(lexical_index.folder)


def test_the_manifest_is_sealed_as_asked(dense_index: Index, tiny_model: Path) -> None:
    manifest = read_manifest(dense_index.folder)
    assert manifest.encoder is not None
    assert manifest.encoder.content_hash == find_model(str(tiny_model)).content_hash
    assert manifest.encoder.precision == dense_index.encoder.precision
    assert (manifest.encoder.dimension, manifest.encoder.max_tokens) == (64, 64)
    assert (manifest.passage_tokens, manifest.passage_overlap) == (32, 8)


def test_another_index_in_its_place_is_followed(tmp_path: Path) -> None:
    for name, text in (("one", "a red ship"), ("two", "a blue ship")):
        with Index.open(tmp_path / name, Settings(lexical_only=True)) as index:
            index.add([Document(id=name, text=text)])
    with Index.open(tmp_path / "one") as index:
        (tmp_path / "one").rename(tmp_path / "old")
        with index.reading():  # while there is none, what was read last stays
            assert list(index.store.live_ids()) == ["one"]
        (tmp_path / "two").rename(tmp_path / "one")
        with index.reading():
            assert list(index.store.live_ids()) == ["two"]
        index.add([Document(id="three", text="a boat")])
    with Index.open(tmp_path / "one") as index:
        assert sorted(index.store.live_ids()) == ["three", "two"]
