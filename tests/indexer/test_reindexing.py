"""Reindexing: the old index answers until the swap, and an interrupted run goes on."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from indexer.creation import Settings
from indexer.documents import Document
from indexer.encoder import Encoder
from indexer.errors import ClozeError
from indexer.index import Index
from indexer.manifest import read_manifest, write_manifest
from indexer.models import find_model
from indexer.progress import Step
from indexer.reindexing import Reindexing
from indexer.vectors import vectors_report
from indexer.verification import verify


@pytest.fixture
def folder(tmp_path: Path, tiny_model: Path, documents: list[Document]) -> Path:
    place = tmp_path / "index"
    with Index.open(place, Settings(model=str(tiny_model), title_weight=2)) as index:
        index.add(documents[:60])
        index.delete(["d7"])
    return place


@pytest.fixture
def work(folder: Path, other_model: Path) -> Reindexing:
    return Reindexing(folder, Settings(model=str(other_model)))


def contents(folder: Path) -> dict[str, Document]:
    with Index.open(folder) as index:
        return {document.id: document for _, document in index.store.all_live()}


def model_of(folder: Path) -> str:
    encoder = read_manifest(folder).encoder
    assert encoder is not None
    return encoder.name


def test_the_same_documents_under_another_model(
    folder: Path, work: Reindexing, other_model: Path
) -> None:
    before = contents(folder)
    assert work.run() == 59
    assert contents(folder) == before
    assert model_of(folder) == str(other_model)
    assert read_manifest(folder).title_weight == 2
    assert verify(str(folder)) == []
    with Index.open(folder) as index:
        number = index.store.live(["d0"])["d0"].number
        document = before["d0"]
        (_, vector), *_ = index.store.vectors(number - 1)
        (start, end), *_ = index.store.windows([number << 20]).values()
        text = f"{document.title} {document.text[start:end]}".strip()
        expected = Encoder(find_model(str(other_model))).encode_documents([text])
        assert vector == expected.astype("float16").tobytes()
    assert {path.name for path in folder.iterdir()} == {
        "lock", "manifest.json", read_manifest(folder).data,
    }  # fmt: skip


def test_the_old_index_answers_until_the_swap(
    folder: Path, work: Reindexing, tiny_model: Path
) -> None:
    with Index.open(folder) as reader:
        expected = ships(reader)
        models = set()

        def watch(step: Step) -> None:
            models.add(model_of(folder))
            with reader.reading(), Index.open(folder) as fresh:
                assert ships(reader) == ships(fresh) == expected

        work.run(watch)
        assert models == {str(tiny_model)}
        with reader.reading():
            assert ships(reader) == expected
            assert reader.manifest == read_manifest(folder)  # between two queries it has moved


def ships(index: Index) -> list[str]:
    """Find documents by a word, and read them."""
    found = index.lexical.search("ship", 100).numbers.tolist()
    documents = index.store.documents(found)
    assert found
    return sorted(documents[number].id for number in found)


def test_an_interrupted_run_goes_on(
    folder: Path, work: Reindexing, other_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.batching._BATCH_DOCUMENTS", 10)
    encode = Encoder.encode_documents
    texts: list[int] = []

    def die_in_the_third(encoder: Encoder, passages: list[str], **options: object) -> object:
        texts.append(len(passages))
        if len(texts) == 3:
            raise KeyboardInterrupt
        return encode(encoder, passages, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Encoder, "encode_documents", die_in_the_third)
    before = contents(folder)
    with pytest.raises(KeyboardInterrupt):
        work.run()
    assert contents(folder) == before
    assert model_of(folder) != str(other_model)
    assert verify(str(folder)) == []
    assert work.run() == 59
    assert len(texts) == 3 + 4  # two of six batches were there already
    assert contents(folder) == before
    assert verify(str(folder)) == []


def test_a_killed_run_in_one_precision_is_no_bar_to_another(
    folder: Path, other_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.batching._BATCH_DOCUMENTS", 10)
    encode = Encoder.encode_documents
    calls = iter([False, True])

    def die_in_the_second(encoder: Encoder, texts: list[str], **options: object) -> object:
        if next(calls, False):
            raise KeyboardInterrupt
        return encode(encoder, texts, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Encoder, "encode_documents", die_in_the_second)
    settings = Settings(model=str(other_model))
    with pytest.raises(KeyboardInterrupt):
        Reindexing(folder, settings).run()
    before = contents(folder)
    Reindexing(folder, settings, precision="fp32").run()
    assert contents(folder) == before
    sealed = read_manifest(folder).encoder
    assert sealed is not None
    assert (sealed.name, sealed.precision) == (str(other_model), "fp32")
    assert len([path for path in folder.iterdir() if path.is_dir()]) == 1


def test_what_changes_meanwhile_is_taken_over(folder: Path, work: Reindexing) -> None:
    steps: list[Step] = []

    def change_once(step: Step) -> None:
        steps.append(step)
        if len(steps) == 6:
            with Index.open(folder) as writer:
                writer.add([Document(id="late", text="a ship"), Document(id="d1", text="a bear")])
                writer.delete(["d2"])

    assert work.run(change_once) == 59
    after = contents(folder)
    assert (after["late"].text, after["d1"].text) == ("a ship", "a bear")
    assert "d2" not in after
    assert verify(str(folder)) == []


def test_a_writer_at_work_on_the_old_data_is_told_and_then_follows(
    folder: Path, work: Reindexing
) -> None:
    late = Document(id="late", text="a ship")

    def reindexed_before_it_is_written() -> Iterator[Document]:
        work.run()
        yield late

    with Index.open(folder) as writer:
        with pytest.raises(ClozeError, match="was reindexed by another process"):
            writer.add(reindexed_before_it_is_written())
        assert contents(folder).keys().isdisjoint({"late"})  # nor is it in data that are gone
        assert writer.add([late]).added == 1
    assert "late" in contents(folder)
    assert verify(str(folder)) == []


def test_a_lexical_index_gets_vectors(tmp_path: Path, other_model: Path) -> None:
    folder = tmp_path / "index"
    with Index.open(folder, Settings(lexical_only=True, language="german")) as index:
        index.add([Document(id="a", text="Der Hund"), Document(id="b", text="")])
    assert Reindexing(folder, Settings(model=str(other_model))).run() == 2
    with Index.open(folder) as index:
        assert (index.dense.count, index.manifest.language) == (1, "german")


def test_the_same_model_again_with_other_passages(folder: Path, work: Reindexing) -> None:
    work.run()
    first = read_manifest(folder)
    again = Reindexing(folder, Settings(model=model_of(folder), passage_tokens=16))
    for turn in range(2):
        assert again.run() == 59
        manifest = read_manifest(folder)
        assert (manifest.passage_tokens, manifest.encoder) == (16, first.encoder), turn
        assert verify(str(folder)) == []


@pytest.fixture
def chosen(folder: Path) -> Path:
    """The index, its vectors of a kind and recall that are not the defaults."""
    with Index.open(folder) as index:
        index.compact(faiss="HNSW8,Flat", recall=0.9)
    return folder


def wish(folder: Path) -> tuple[str | None, float]:
    manifest = read_manifest(folder)
    return manifest.faiss, manifest.recall


def test_the_kind_and_recall_of_the_vectors_stay(chosen: Path, work: Reindexing) -> None:
    work.run()
    assert wish(chosen) == ("HNSW8,Flat", 0.9)
    with Index.open(chosen) as index:
        assert "HNSW8,Flat" in str(vectors_report(index))
    assert verify(str(chosen)) == []


def test_a_recall_that_changes_meanwhile_stays_changed(chosen: Path, work: Reindexing) -> None:
    def change(step: Step) -> None:
        write_manifest(chosen, replace(read_manifest(chosen), recall=0.8))

    work.run(change)
    assert wish(chosen) == ("HNSW8,Flat", 0.8)


def test_a_run_goes_on_under_a_kind_that_was_changed_after_it_was_killed(
    chosen: Path, work: Reindexing
) -> None:
    def die(step: Step) -> None:
        if step.phase == "store":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work.run(die)
    with Index.open(chosen) as index:
        index.compact(faiss="Flat", recall=1)
    assert work.run() == 59
    assert wish(chosen) == ("Flat", 1)


def test_a_kind_that_the_new_model_can_not_have_is_told_first(
    folder: Path, work: Reindexing, other_model: Path
) -> None:
    # Both models have 64 dimensions, so the kind is put in by hand.
    write_manifest(folder, replace(read_manifest(folder), faiss="IVF1,PQ7x4fsr"))
    with pytest.raises(ClozeError, match=r"PQ7x4fsr.* the 64 dimensions .*compact .* auto$"):
        work.run()
    assert not list(folder.glob("data-*"))
