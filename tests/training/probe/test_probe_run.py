"""A probe from its files to its table, its folder and its picture, by a tiny random model."""

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cloze import app
from indexer.errors import ClozeError
from indexer.progress import Progress, Step
from training.probe.curve import Probe, of_correlation, of_mean
from training.probe.folder import check_folder, write_probe
from training.probe.picture import _apart
from training.probe.probing import Plan, run_probe
from training.probe.table import as_json, text_table

PNG = b"\x89PNG\r\n\x1a\n"
FILLING = "the old house by river near some stone wall and tree under moon".split()
COLORS = "black blue brown gold green red silver white yellow".split()


def write(folder: Path, part: str, lines: list[str]) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{part}.tsv").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def encoder_folder(make_model: Callable[[int], Path]) -> Path:
    return make_model(35)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Classes told by one word, pairs graded by the colors they share, and pairs to retrieve."""
    folder = tmp_path_factory.mktemp("tasks")
    choose = random.Random(5)
    for part, count in (("train", 60), ("dev", 20), ("test", 40)):
        lines, pairs = ["label\ttext"], ["score\tsentence1\tsentence2"]
        for number in range(count):
            words = [*choose.sample(FILLING, 5), ("good" if number % 2 else "lazy")]
            lines.append(f"{number % 2}\t{' '.join(choose.sample(words, 6))} {part}{number}")
            shared = number % 5
            colors = choose.sample(COLORS, 8)
            left, right = colors[:4], colors[:shared] + colors[4 : 8 - shared]
            pairs.append(f"{shared}\t{' '.join(left)}\t{' '.join(right)}")
        write(folder / "sst-binary", part, lines)
        write(folder / "stsb", part, pairs)
    texts = [" ".join(choose.choices(FILLING + COLORS, k=9)) for _ in range(25)]
    rows = [{"query": " ".join(text.split()[:5]), "positive": text} for text in texts]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def plan(model: Path, tasks: Path | None, pairs: Path | None = None) -> Plan:
    return Plan(
        model=str(model), tasks=tasks, pairs=pairs, device="cpu", precision="fp32", threads=1
    )


@contextmanager
def quiet(position: Callable[[], float | None]) -> Iterator[Progress]:
    def show(step: Step) -> None:
        assert 0 < (position() or 0) <= 1

    yield show
    assert position() == 1  # all that was to be encoded has been


@pytest.fixture(scope="module")
def found(encoder_folder: Path, data: Path) -> Probe:
    return run_probe(plan(encoder_folder, data, data / "pairs.jsonl"), quiet)


def test_every_task_has_a_figure_for_every_layer(found: Probe) -> None:
    tasks = [(curve.task, curve.measure, curve.split, curve.rows) for curve in found.curves]
    assert tasks == [
        ("sst-binary", "accuracy", "test", (60, 20, 40)),
        ("stsb", "Spearman", "test", (60, 20, 40)),
        ("pairs", "nDCG@10", "dev", (0, 0, 25)),
    ]
    assert found.layers == 2 and all(len(curve.figures) == 3 for curve in found.curves)
    assert found.left_out == ["trec-qc", "sick"]


def test_what_a_word_tells_is_found_in_the_embeddings(found: Probe) -> None:
    classes, similarities, retrieval = found.curves
    assert classes.figures[0].value > 0.9
    assert (classes.majority, classes.words) == (0.5, 1.0)
    assert similarities.figures[0].value > 0.6 and similarities.words > 0.9
    assert retrieval.figures[0].value > 0.5 and retrieval.words > 0.9
    assert similarities.majority is None is retrieval.majority


def test_a_probe_made_again_is_the_same(found: Probe, encoder_folder: Path, data: Path) -> None:
    again = run_probe(plan(encoder_folder, data, data / "pairs.jsonl"), quiet)
    first, second = as_json(found), as_json(again)
    assert first.pop("seconds") > 0 < second.pop("seconds")
    assert first == second


def test_the_table_has_every_figure_and_marks_the_best(found: Probe) -> None:
    lines = text_table(found).splitlines()
    for layer in range(3):
        (line,) = (
            each for each in lines if each.startswith(f"{layer} ") or each[:2] == f"{layer} "
        )
        values = [cell.rstrip("*") for cell in line.replace("embeddings", "").split()[1:]]
        expected = [f"{curve.figures[layer].value:.3f}" for curve in found.curves]
        assert [float(value) for value in values] == [float(value) for value in expected]
        marks = [curve.best == layer for curve in found.curves]
        assert line.count("*") == sum(marks)
    assert any(line.startswith("majority") and ".500" in line for line in lines)
    assert any(line.startswith("words alone") for line in lines)


def test_the_folder_has_figures_and_picture_and_is_replaced(found: Probe, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "probe"
    for _ in range(2):
        write_probe(found, folder)
        assert sorted(each.name for each in folder.iterdir()) == ["probe.json", "probe.png"]
    assert json.loads((folder / "probe.json").read_text()) == json.loads(json.dumps(as_json(found)))
    assert (folder / "probe.png").read_bytes().startswith(PNG)


def test_a_folder_of_others_and_a_file_are_refused(found: Probe, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ClozeError, match=r"holds config\.json, not of a probe"):
        write_probe(found, tmp_path)
    with pytest.raises(ClozeError, match=r"config\.json is a file"):
        check_folder(tmp_path / "config.json")
    assert [each.name for each in tmp_path.iterdir()] == ["config.json"]


def test_nothing_to_probe_on_is_told(encoder_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ClozeError, match=r"no --tasks is given, and no --pairs; .* sst-binary, "):
        run_probe(plan(encoder_folder, None), quiet)
    with pytest.raises(ClozeError, match=r"has none of the sets, and no --pairs"):
        run_probe(plan(encoder_folder, tmp_path), quiet)


def test_intervals_by_hand() -> None:
    # Of 100 answers 80 are right: 1.96 * sqrt(.8 * .2 / 100).
    right = np.arange(100) < 80
    found = of_mean(right, 0.1)
    assert (found.value, found.strength) == (0.8, 0.1)
    assert found.half_width == pytest.approx(0.0784, abs=1e-4)
    # r = .6 of 103 pairs: 1.96 * sqrt(1.18 / 100) * .64.
    assert of_correlation(0.6, 103, None).half_width == pytest.approx(0.13626, abs=1e-4)


def test_names_in_the_picture_keep_apart() -> None:
    places = _apart([0.2, 0.7, 0.71, 0.99])
    assert all(high - low > 0.0999 for low, high in pairwise(places))
    assert max(places) <= 1
    assert _apart([0.1, 0.5]) == [0.1, 0.5]


def test_the_command_prints_json_writes_a_folder_and_tells_what_it_left_out(
    encoder_folder: Path, data: Path, tmp_path: Path
) -> None:
    asked = ("probe", encoder_folder, "--tasks", data, "--out", tmp_path / "out", "--json")
    ended = CliRunner().invoke(app, list(map(str, asked)), catch_exceptions=False)
    printed = json.loads(ended.stdout)
    assert list(printed["tasks"]) == ["sst-binary", "stsb"]
    assert printed == json.loads((tmp_path / "out" / "probe.json").read_text())
    assert f"{data} has no trec-qc, sick: left out" in ended.stderr


def test_a_folder_that_is_not_the_probes_is_refused_before_the_work(
    encoder_folder: Path, data: Path
) -> None:
    asked = ("probe", encoder_folder, "--tasks", data, "--out", data)
    with pytest.raises(ClozeError, match=r"--out .* holds pairs\.jsonl, not of a probe"):
        CliRunner().invoke(app, list(map(str, asked)), catch_exceptions=False)
