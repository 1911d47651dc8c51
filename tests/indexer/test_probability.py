"""A model's calibration.json: what it says, and what is refused."""

import json
import math
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import ClozeError
from indexer.runtime.probability import (
    NAME,
    Calibration,
    Curve,
    Points,
    Sigmoid,
    read_calibration,
    write_calibration,
)

ROOT = Path(__file__).resolve().parents[2]
SCORES = st.floats(-1e6, 1e6)
GREATEST = float(np.finfo(np.float32).max)
SIGMOID = {"version": 1, "method": "sigmoid", "slope": 1.5, "intercept": -2, "prior": 0.1}
POINTS = {"version": 1, "method": "points", "points": [[-1, 0.1], [2.0, 0.5]], "prior": 0.2}
RISING = st.lists(SCORES, min_size=2, max_size=6, unique=True).map(sorted)
SHARES = st.lists(st.floats(0, 1), min_size=6, max_size=6).map(sorted)
CURVES = st.one_of(
    st.builds(Sigmoid, slope=st.floats(0, 100), intercept=st.floats(-100, 100)),
    st.tuples(RISING, SHARES).map(
        lambda both: Points(scores=tuple(both[0]), probabilities=tuple(both[1][: len(both[0])]))
    ),
)


def test_a_sigmoid_by_hand() -> None:
    curve = Sigmoid(slope=2.0, intercept=-1.0)
    assert curve(0.5) == 0.5
    assert curve(1.0) == pytest.approx(1 / (1 + math.exp(-1)))


def test_points_by_hand() -> None:
    curve = Points(scores=(0.0, 1.0, 3.0), probabilities=(0.2, 0.2, 0.8))
    found = [curve(score) for score in (-9.0, 0.0, 0.5, 1.0, 2.0, 3.0, 9.0)]
    assert found == pytest.approx([0.2, 0.2, 0.2, 0.2, 0.5, 0.8, 0.8])


@given(scores=RISING, shares=SHARES, asked=SCORES)
def test_points_are_numpys_interpolation(
    scores: list[float], shares: list[float], asked: float
) -> None:
    probabilities = tuple(shares[: len(scores)])
    curve = Points(scores=tuple(scores), probabilities=probabilities)
    expected = float(np.interp(asked, scores, probabilities))
    assert curve(asked) == pytest.approx(expected, abs=1e-9)


@given(curve=CURVES, scores=RISING)
def test_probabilities_rise_within_0_and_1(curve: Curve, scores: list[float]) -> None:
    found = [curve(score) for score in (-GREATEST, *scores, GREATEST)]
    assert all(0 <= each <= 1 for each in found)
    assert all(before <= after + 1e-12 for before, after in pairwise(found))


@given(curve=CURVES, prior=st.floats(0, 1))
def test_what_is_written_is_read(
    curve: Curve, prior: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("model")
    assert read_calibration(folder, "it") is None
    written = Calibration(curve=curve, prior=prior)
    write_calibration(folder, written)
    assert read_calibration(folder, "it") == written


def test_sound_files_are_read(tmp_path: Path) -> None:
    for content, score, expected in ((SIGMOID, 2.0, 1 / (1 + math.exp(-1))), (POINTS, 0.5, 0.3)):
        (tmp_path / NAME).write_text(json.dumps(content))
        found = read_calibration(tmp_path, "it")
        assert found is not None
        assert found.prior == content["prior"]
        assert found.curve(score) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (SIGMOID | {"slope": -1}, "its slope is -1, and probabilities rise with the score"),
        (SIGMOID | {"slope": math.inf}, "its slope has inf, and a finite number"),
        (SIGMOID | {"intercept": math.nan}, "its intercept has nan, and a finite number"),
        (SIGMOID | {"intercept": "0"}, "its intercept has '0', and a finite number"),
        (SIGMOID | {"slope": True}, "its slope has True, and a finite number"),
        (SIGMOID | {"slope": 10**400}, "too large"),
        (POINTS | {"points": [[-1e300, 0.1], [1e300, 0.2]]}, "its points has -1e+300, and a"),
        (SIGMOID | {"prior": 1.5}, "its prior is 1.5, and a share lies between 0 and 1"),
        (SIGMOID | {"version": 2}, "its version is 2, and this cloze reads 1"),
        (SIGMOID | {"method": "beta"}, "its method is 'beta', and known are sigmoid and points"),
        ({"version": 1, "prior": 0.5}, "lacks 'method'"),
        ({}, "lacks 'version'"),
        ([], "it holds no object"),
        (POINTS | {"points": [[0, 0.5]]}, "its points are no list of 2 to 10,000"),
        (POINTS | {"points": [[0, 0.5]] * 10_001}, "its points are no list of 2 to 10,000"),
        (POINTS | {"points": "all"}, "its points are no list of 2 to 10,000"),
        (POINTS | {"points": [[0, 0.5], [1]]}, "a point is a score and a probability"),
        (POINTS | {"points": [[0, 0.1], [0, 0.2]]}, "the scores of its points don't rise"),
        (POINTS | {"points": [[0, 0.3], [1, 0.2]]}, "the probabilities of its points fall"),
        (POINTS | {"points": [[0, -0.1], [1, 0.2]]}, "fall, or leave 0 to 1"),
        (POINTS | {"points": [[0, 0.1], [1, 1.2]]}, "fall, or leave 0 to 1"),
        (POINTS | {"points": [[0, math.nan], [1, 0.2]]}, "its points has nan"),
        ("[" * 100_000, "is damaged"),
        ("{", "is damaged"),
        (b"\xff\xfe\x00\xd8", "is damaged"),
        (" " * 1_000_001, "is damaged: it has more than 1,000,000 bytes"),
    ],
)  # fmt: skip
def test_damage_is_one_line(tmp_path: Path, changed: Any, told: str) -> None:  # noqa: ANN401
    if isinstance(changed, bytes):
        (tmp_path / NAME).write_bytes(changed)
    else:
        (tmp_path / NAME).write_text(changed if isinstance(changed, str) else json.dumps(changed))
    with pytest.raises(ClozeError) as refused:
        read_calibration(tmp_path, "it")
    message = str(refused.value)
    assert message.startswith(str(tmp_path / NAME))
    assert told in message
    assert "\n" not in message
    assert len(message) < 500


@pytest.mark.parametrize("content", [SIGMOID | {"version": "x" * 9000}, SIGMOID | {"method": [0]}])
def test_what_a_line_quotes_is_short(tmp_path: Path, content: dict[str, Any]) -> None:
    (tmp_path / NAME).write_text(json.dumps(content))
    with pytest.raises(ClozeError) as refused:
        read_calibration(tmp_path, "it")
    assert len(str(refused.value)) < 500


def test_what_is_no_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(ClozeError, match=r"calibration\.json is damaged: .* delete the file"):
        read_calibration(tmp_path, "it")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there is no endless file")
def test_a_file_without_end_is_not_read_to_it(tmp_path: Path) -> None:
    (tmp_path / NAME).symlink_to("/dev/zero")
    with pytest.raises(ClozeError, match="it has more than 1,000,000 bytes"):
        read_calibration(tmp_path, "it")


def test_a_probability_takes_no_numeric_library() -> None:
    """A query that is reranked loads no more for it."""
    code = (
        "import sys; from indexer.runtime.probability import Sigmoid; "
        "assert 0.5 < Sigmoid(slope=1.0, intercept=0.0)(1.0) < 1; "
        "print(*sorted({'numpy', 'scipy', 'torch', 'transformers'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
