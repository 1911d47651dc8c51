"""Hits of a calibrated cross-encoder have a probability, everywhere that a hit is told."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from indexer.creation import Settings
from indexer.documents import Document
from indexer.errors import ClozeError
from indexer.models import find_classifier
from indexer.runtime.probability import Calibration, Points, write_calibration
from search.api.answer_schemas import HitAnswer
from search.api.answers import encoded, results_json
from search.hits import Results
from search.index import Index
from search.telling import tell_results
from tests.indexer.classifiers import write_classifier

QUERY = "supersonic ship"
CURVE = Points(scores=(-4.0, 0.0, 4.0), probabilities=(0.1, 0.3, 0.95))


@pytest.fixture(scope="module")
def plain(make_model: Callable[[int], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_classifier(make_model(31), tmp_path_factory.mktemp("plain"), seed=5)


@pytest.fixture(scope="module")
def calibrated(plain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calibrated") / "judge"
    shutil.copytree(plain, folder)
    write_calibration(folder, Calibration(curve=CURVE, prior=0.1))
    return folder


@pytest.fixture(scope="module")
def index(documents: list[Document], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("index") / "words"
    with Index.open(folder, Settings(lexical_only=True)) as made:
        made.add(documents)
    return folder


def test_each_reranked_hit_has_the_probability_of_its_score(index: Path, calibrated: Path) -> None:
    with Index.open(index, precision="fp32") as opened:
        found = opened.search(QUERY, rerank=str(calibrated), rerank_depth=4, top=8, explain=True)
        again = opened.search(QUERY, rerank=str(calibrated), rerank_depth=4, top=8)
    scored = [hit for hit in found.hits if hit.stages["rerank"] is not None]
    assert len(scored) == 4 < len(found.hits)
    for hit in found.hits:
        place = hit.stages["rerank"]
        assert hit.probability == (None if place is None else CURVE(place.score))
    by_probability = sorted(scored, key=lambda hit: -(hit.probability or 0.0))
    places = [place.rank for hit in by_probability if (place := hit.stages["rerank"])]
    assert places == sorted(places)
    assert [hit.probability for hit in again.hits] == [hit.probability for hit in found.hits]


def test_it_is_told_in_json_and_in_words(
    index: Path, calibrated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Index.open(index, precision="fp32") as opened:
        found = opened.search(QUERY, rerank=str(calibrated), rerank_depth=4, top=8, explain=True)
    for told in (found.as_json(), json.loads(encoded(results_json(found)))):
        hits = told["hits"]
        assert [hit.get("probability") for hit in hits] == [hit.probability for hit in found.hits]
        assert sum("probability" in hit for hit in hits) == 4
    tell_results(found)
    told = re.findall(r"rerank: score (-?[\d.]+), probability ([\d.]+);", capsys.readouterr().out)
    lines = [(float(score), float(each)) for score, each in told]
    scored = [hit for hit in found.hits if hit.probability is not None]
    for line, hit in zip(lines, scored, strict=True):
        assert (place := hit.stages["rerank"])
        assert line == pytest.approx((place.score, hit.probability), abs=1e-4)
    described = HitAnswer.model_json_schema()
    number = {"type": "number", "minimum": 0, "maximum": 1}
    assert number in described["properties"]["probability"]["anyOf"]
    assert "probability" not in described["required"]


def test_without_a_calibration_nothing_is_said(
    index: Path,
    calibrated: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def search(**options: Any) -> Results:  # noqa: ANN401
        with Index.open(index, precision="fp32") as opened:
            return opened.search(QUERY, explain=True, **options)

    known = search(rerank=str(calibrated), rerank_depth=4)
    # Of the same hash, so that it needn't be converted again.
    bare = replace(find_classifier(str(calibrated)), calibration=None)
    monkeypatch.setattr("indexer.models.find_classifier", lambda name: bare)
    found, first = search(rerank=str(calibrated), rerank_depth=4), search()
    assert [hit.probability for hit in found.hits] == [None] * len(found.hits)
    assert [hit.probability for hit in known.hits] != [None] * len(known.hits)
    without = tuple(replace(hit, probability=None) for hit in known.hits)
    assert without == found.hits
    for each in (found, first):
        assert "probability" not in json.dumps(each.as_json())
        assert b"probability" not in encoded(results_json(each))
        tell_results(each)
    assert "probability" not in capsys.readouterr().out


def test_the_calibration_is_part_of_the_checkpoint(
    plain: Path, calibrated: Path, tmp_path: Path
) -> None:
    bare, known = find_classifier(str(plain)), find_classifier(str(calibrated))
    assert bare.calibration is None
    assert known.calibration == Calibration(curve=CURVE, prior=0.1)
    assert known.content_hash != bare.content_hash
    shutil.copytree(calibrated, tmp_path / "other")
    write_calibration(tmp_path / "other", Calibration(curve=CURVE, prior=0.2))
    assert find_classifier(str(tmp_path / "other")).content_hash != known.content_hash
    (tmp_path / "other" / "calibration.json").write_text("{}")
    with pytest.raises(ClozeError, match=r"calibration.json lacks 'version'"):
        find_classifier(str(tmp_path / "other"))
