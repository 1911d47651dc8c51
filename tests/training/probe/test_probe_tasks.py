"""Labelled sets as their files have them, and what is wrong with files that aren't."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from indexer.errors import ClozeError
from training.probe import tasks
from training.probe.tasks import read_tasks


def write(folder: Path, name: str, part: str, rows: Sequence[Sequence[object]]) -> None:
    (folder / name).mkdir(exist_ok=True)
    text = "".join("\t".join(map(str, row)) + "\n" for row in rows)
    (folder / name / f"{part}.tsv").write_text(text, encoding="utf-8")


def sentences(count: int, start: int = 0) -> list[list[object]]:
    return [["label", "text"], *([each % 2, f"film {start + each}"] for each in range(count))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "sst-binary", "train", sentences(20))
    write(tmp_path, "sst-binary", "dev", sentences(6, 100))
    write(tmp_path, "sst-binary", "test", sentences(8, 200))
    return tmp_path


def test_what_is_there_is_read_and_what_is_not_is_named(folder: Path) -> None:
    (task,), lacking = read_tasks(folder)
    assert lacking == ["trec-qc", "stsb", "sick"]
    assert (task.name, task.kind) == ("sst-binary", "class")
    assert [len(part) for part in (task.train, task.dev, task.test)] == [20, 6, 8]
    assert set(task.train) == {((f"film {each}",), str(each % 2)) for each in range(20)}
    assert len(task.texts) == 34 == len(set(task.texts))


def test_the_order_of_the_file_does_not_matter(folder: Path) -> None:
    before, _ = read_tasks(folder)
    header, *rows = sentences(20)
    write(folder, "sst-binary", "train", [header, *random.Random(1).sample(rows, 20)])
    assert read_tasks(folder)[0] == before


def test_rows_beyond_the_most_are_left_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read_tasks(folder)[0][0]
    for name, most in (("TRAIN", 9), ("DEV", 2), ("TEST", 3)):
        monkeypatch.setattr(tasks, f"MOST_{name}", most)
    fewer = read_tasks(folder)[0][0]
    assert (fewer.train, fewer.dev, fewer.test) == (whole.train[:9], whole.dev[:2], whole.test[:3])


def test_without_dev_a_tenth_of_train_is_set_aside(folder: Path) -> None:
    whole = read_tasks(folder)[0][0].train
    (folder / "sst-binary" / "dev.tsv").unlink()
    task = read_tasks(folder)[0][0]
    assert (task.dev, task.train) == (whole[:2], whole[2:])


def test_columns_are_found_by_name_and_a_quote_is_a_character(tmp_path: Path) -> None:
    header = ["genre", "sentence2", "score", "sentence1"]
    for part in ("train", "dev", "test"):
        rows = [["news", 'say "no', 4.5, "a"], ["news", "b", 1, 'a "b" c']]
        write(tmp_path, "stsb", part, [header, *rows])
    (task,), _ = read_tasks(tmp_path)
    assert task.kind == "similarity"
    assert set(task.test) == {(("a", 'say "no'), "4.5"), (('a "b" c', "b"), "1")}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["label", "words"], [1, "x"]], r"train\.tsv:1: .*no column 'text' among label, words"),
        ([["label", "text"], [1, "x"], [0]], r"train\.tsv:3: 1 cells, and the header has 2"),
        ([["label", "text"], [1, " "]], r"train\.tsv:2: a text is empty"),
        ([["label", "text"]], r"train\.tsv has a header and no rows"),
        ([["label", "text"], [1, "x"], [1, "y"]], r"fewer than two different values of label"),
    ],
)
def test_a_file_that_is_no_set_is_named(
    folder: Path, rows: list[list[object]], message: str
) -> None:
    write(folder, "sst-binary", "train", rows)
    with pytest.raises(ClozeError, match=message):
        read_tasks(folder)


def test_a_grade_that_is_no_number_is_named(tmp_path: Path) -> None:
    rows = [["relatedness", "sentence1", "sentence2"], ["high", "a", "b"]]
    write(tmp_path, "sick", "train", rows)
    with pytest.raises(ClozeError, match=r"train\.tsv:2: relatedness is 'high'; write a number"):
        read_tasks(tmp_path)


def test_a_missing_file_and_a_missing_folder_are_named(folder: Path) -> None:
    (folder / "sst-binary" / "test.tsv").unlink()
    with pytest.raises(ClozeError, match=r"test\.tsv: No such file"):
        read_tasks(folder)
    with pytest.raises(ClozeError, match=r"no folder .*nowhere; .*--tasks"):
        read_tasks(folder / "nowhere")


def test_the_published_sets_are_read(real_data: Path) -> None:
    found, lacking = read_tasks(real_data / "tasks")
    assert not lacking
    counts = {task.name: (len(task.train), len(task.dev), len(task.test)) for task in found}
    assert counts == {
        "sst-binary": (3000, 500, 1500),
        "trec-qc": (3000, 500, 500),
        "stsb": (3000, 500, 1379),
        "sick": (3000, 500, 1500),
    }
