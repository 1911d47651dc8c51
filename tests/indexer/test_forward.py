"""What runs a checkpoint where OpenVINO does not."""

from pathlib import Path

import pytest

from indexer.errors import ClozeError
from indexer.models import find_model
from indexer.runtime import forward
from indexer.runtime import precision as precisions
from indexer.runtime.eager import EagerForward
from indexer.runtime.forward import load_forward
from indexer.runtime.model import Model


def test_where_int8_fails_a_choice_left_to_us_is_finer(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no kernel")

    monkeypatch.setattr("indexer.runtime.conversion.compiled", fail)
    monkeypatch.setattr("indexer.runtime.compiled.compiled", fail)
    monkeypatch.setattr(precisions, "processor_flags", lambda: frozenset({"avx_vnni"}))
    checkpoint = find_model(str(tiny_model))
    monkeypatch.delenv("CLOZE_PRECISION")
    assert Model(checkpoint).precision == "fp32"
    with pytest.raises(ClozeError, match=r"can't run in int8 \(RuntimeError: no kernel\)"):
        Model(checkpoint, precision="int8")


def test_without_openvino_torch_runs_it_with_a_notice(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(forward._LOG, "warning", lambda line, *values: told.append(line % values))
    monkeypatch.setitem(__import__("sys").modules, "indexer.runtime.compiled", None)
    checkpoint = find_model(str(tiny_model))
    assert isinstance(load_forward(checkpoint, "cpu", "fp32", 1), EagerForward)
    (line,) = told
    assert line.endswith("torch does")
    with pytest.raises(ClozeError, match=r"can't run in int8 .*; use --precision bf16"):
        load_forward(checkpoint, "cpu", "int8", 1)
