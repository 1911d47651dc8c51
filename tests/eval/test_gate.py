"""The gate fails on a significant loss beyond what is borne, and on nothing else."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from eval.comparison import compare_runs
from eval.gate import borne, failures, parse_gate
from eval.results import Experiment
from indexer.errors import ClozeError

QUERIES = 40
Cloze = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def compared(tmp_path: Path) -> Experiment:
    """A baseline that is always right, a system that errs on the first eight, one on the first."""
    qrels = tmp_path / "qrels"
    qrels.write_text("".join(f"q{number:02} 0 d 1\n" for number in range(QUERIES)))
    for name, wrong in (("right", 0), ("worse", 8), ("slip", 1)):
        lines = [
            f"q{number:02} Q0 {'x' if number < wrong else 'd'} 1 1.0 {name}\n"
            for number in range(QUERIES)
        ]
        (tmp_path / f"{name}.trec").write_text("".join(lines))
    runs = [str(tmp_path / f"{name}.trec") for name in ("right", "worse", "slip")]
    return compare_runs(str(qrels), runs, measures=["nDCG@10", "P@1"])


def test_a_significant_loss_fails_and_names_the_queries(compared: Experiment) -> None:
    (line,) = failures(compared, parse_gate("nDCG@10=0.01"))
    assert line.startswith("worse is worse than right: nDCG@10 -0.2000 (p=")
    assert line.endswith("q00 (-1.000), q01 (-1.000), q02 (-1.000), q03 (-1.000), q04 (-1.000)")


def test_a_loss_that_is_borne_or_may_be_luck_passes(compared: Experiment) -> None:
    assert failures(compared, parse_gate("P@1=0.2")) == []
    assert len(failures(compared, parse_gate("P@1=0.19"))) == 1
    slip = next(system for system in compared.systems if system.name == "slip")
    assert slip.comparisons["nDCG@10"].difference == pytest.approx(-1 / QUERIES)


@pytest.mark.parametrize(
    "text",
    ["nDCG@10", "nDCG@10=", "nDCG@10=-1", "=0.1", "nDCG@10=nan", "nDCG@10=inf", "P@1,P@2=0.1"],
)
def test_what_is_no_gate(text: str) -> None:
    with pytest.raises(ClozeError):
        parse_gate(text)


def test_a_measure_that_was_not_computed_is_told(compared: Experiment) -> None:
    with pytest.raises(ClozeError, match="R@5"):
        failures(compared, parse_gate("R@5=0.1"))


def test_nothing_to_compare_is_an_error_not_a_pass(compared: Experiment) -> None:
    alone = replace(compared, systems=compared.systems[:1])
    with pytest.raises(ClozeError, match="needs a system besides the baseline right"):
        failures(alone, parse_gate("nDCG@10=0.01"))


def test_a_loss_that_may_be_luck_is_told(compared: Experiment) -> None:
    (line,) = borne(compared, parse_gate("nDCG@10=0.01"))
    assert line.startswith("slip lost 0.0250 nDCG@10") and "may be luck" in line


def test_the_command_exits_1(cloze: Cloze, tmp_path: Path, compared: Experiment) -> None:
    files = [tmp_path / name for name in ("qrels", "right.trec", "worse.trec")]
    failed = cloze("compare", *files, "--fail-if-worse", "nDCG@10=0.01", "--json")
    assert failed.returncode == 1
    assert failed.stderr.startswith("worse is worse than right: nDCG@10 -0.2000")
    assert json.loads(failed.stdout)["systems"]["worse"]["losses"] == 8
    passed = cloze("compare", *files, "--fail-if-worse", "nDCG@10=0.3")
    assert (passed.returncode, passed.stderr) == (0, "")
    assert cloze("compare", *files, "--fail-if-worse", "R@9=0.3").returncode == 2


def test_a_baseline_of_few_queries_is_refused(tmp_path: Path, compared: Experiment) -> None:
    part = tmp_path / "part.trec"
    part.write_text("".join((tmp_path / "right.trec").read_text().splitlines(True)[:5]))
    runs = [str(part), str(tmp_path / "worse.trec")]
    made = compare_runs(str(tmp_path / "qrels"), runs, measures=["nDCG@10"])
    with pytest.raises(ClozeError, match="the baseline part answers 5 of 40 queries"):
        failures(made, parse_gate("nDCG@10=0.01"))
