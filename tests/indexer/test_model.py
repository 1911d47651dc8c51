"""The forward pass, whatever runs it: the same row gives the same bits in any batch."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.encoder import Encoder
from indexer.errors import ClozeError
from indexer.models import find_model
from indexer.runtime import model as model_module
from indexer.runtime import precision as precisions
from indexer.runtime.eager import EagerForward
from indexer.runtime.forward import AnyCheckpoint, Forward
from indexer.runtime.model import Model
from indexer.runtime.precision import Precision, has, resolve
from indexer.runtime.rows import TokenRow, padded

BACKENDS: list[tuple[str, Precision]] = [
    ("openvino", "fp32"), ("openvino", "bf16"), ("openvino", "int8"), ("torch", "fp32"),
    ("torch", "bf16"),
]  # fmt: skip
ROWS = st.lists(st.lists(st.integers(5, 250), min_size=1, max_size=60), min_size=1, max_size=12)


@pytest.fixture(scope="module", params=BACKENDS, ids=lambda backend: "-".join(backend))
def model(
    request: pytest.FixtureRequest, tiny_model: Path
) -> Iterator[Callable[[int, bool], Model]]:
    """Make models of one backend and precision, by threads and with hidden states or without."""
    backend, precision = request.param
    if precision == "bf16" and not has("bf16", "cpu"):
        pytest.skip("this processor has no bf16")

    def load(
        checkpoint: AnyCheckpoint,
        device: str,
        precision: Precision,
        threads: int,
        *,
        tokens: bool = False,
        **_: object,
    ) -> Forward:
        return EagerForward(checkpoint, device, precision, threads, tokens=tokens)

    made: dict[tuple[int, bool], Model] = {}

    def kept(threads: int, tokens: bool) -> Model:
        if (threads, tokens) not in made:
            made[threads, tokens] = Model(
                find_model(str(tiny_model)), precision=precision, threads=threads, tokens=tokens
            )
        return made[threads, tokens]

    with pytest.MonkeyPatch.context() as patch:
        if backend == "torch":
            patch.setattr(model_module, "load_forward", load)
        yield kept


def outputs(model: Model, rows: list[TokenRow]) -> list[tuple[bytes, ...]]:
    """Return the bytes of each row's outputs, of hidden states those of its own tokens."""
    found: list[tuple[bytes, ...]] = [()] * len(rows)
    for places, arrays in model.run(rows):
        for row, place in enumerate(places):
            states = [array[row][: len(rows[place].ids)].tobytes() for array in arrays[1:]]
            found[place] = (arrays[0][row].tobytes(), *states)
    return found


@settings(max_examples=12)
@given(ids=ROWS, order=st.randoms(use_true_random=False))
def test_a_row_gives_the_same_bits_in_any_batch(
    model: Callable[[int, bool], Model], ids: list[list[int]], order: random.Random
) -> None:
    rows = [TokenRow(each) for each in ids]
    one = model(1, False)
    alone = [outputs(one, [row])[0] for row in rows]
    assert outputs(one, rows) == alone
    places = list(range(len(rows)))
    order.shuffle(places)
    assert outputs(one, [rows[place] for place in places]) == [alone[place] for place in places]


def test_neither_threads_nor_hidden_states_change_a_bit(
    model: Callable[[int, bool], Model],
) -> None:
    draw = random.Random(3)
    rows = [TokenRow(draw.choices(range(5, 250), k=draw.randint(1, 64))) for _ in range(90)]
    alone = outputs(model(1, False), rows)
    with_states = outputs(model(1, True), rows)
    assert [each[:1] for each in with_states] == alone
    assert outputs(model(2, True), rows[::-1]) == with_states[::-1]
    assert outputs(model(2, False), rows * 4) == alone * 4  # many batches, a thread each


def test_only_openvino_needs_a_second_one_for_many_threads(
    model: Callable[[int, bool], Model],
) -> None:
    two = model(2, False)
    assert (two._streams is two._forward) == isinstance(two._forward, EagerForward)


def test_token_vectors_are_the_hidden_states(tiny_model: Path) -> None:
    import torch
    from transformers import AutoModel

    encoder = Encoder(find_model(str(tiny_model)), precision="fp32")
    texts = ["the dog and the lazy fox", "", "用搜索引擎", "boundary layer " * 40]
    reference = AutoModel.from_pretrained(tiny_model).eval()
    for found in encoder.document_tokens(texts):
        with torch.no_grad():
            hidden = reference(input_ids=torch.tensor([found.ids])).last_hidden_state[0]
        assert np.allclose(found.vectors, hidden.numpy(), atol=2e-4)
        assert found.offsets[0] == found.offsets[-1] == (0, 0)  # [CLS] and [SEP]
        assert len(found.offsets) == len(found.ids) <= 64
    first = encoder.document_tokens(texts[:1])[0]
    words = [texts[0][start:end] for start, end in first.offsets[1:-1]]
    assert words == texts[0].split()


def test_a_prompt_is_no_place_in_the_text(other_model: Path) -> None:
    encoder = Encoder(find_model(str(other_model)))
    query = encoder.query_tokens(["the dog"])[0]  # read as "find the dog"
    assert query.offsets[-3:] == [(0, 3), (4, 7), (0, 0)]
    assert set(query.offsets[:-3]) == {(0, 0)}


def test_a_batch_at_once_agrees_with_row_by_row(tiny_model: Path) -> None:
    """What CUDA does with a batch, on the CPU."""
    draw = random.Random(5)
    rows = [TokenRow(draw.choices(range(5, 250), k=draw.randint(33, 48))) for _ in range(7)]
    forward = EagerForward(find_model(str(tiny_model)), "cpu", "fp32", 1, tokens=True)
    alone = forward(padded(rows, 48))
    forward.row_by_row = False
    for one, together in zip(alone, forward(padded(rows, 48)), strict=True):
        assert np.allclose(one, together, atol=1e-4)


@pytest.mark.parametrize(("device", "sizes"), [("cpu", {128, 16}), ("cuda", {256, 128, 16})])
def test_batches_are_as_large_as_the_device_takes(
    tiny_model: Path, device: str, sizes: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Model(find_model(str(tiny_model)), precision="fp32")
    monkeypatch.setattr(one, "device", device)
    assert {len(places) for places, _ in one.run([TokenRow([7])] * 400)} == sizes


@pytest.mark.gpu
def test_cuda_agrees_with_the_cpu(tiny_model: Path) -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("this machine has no CUDA device")
    checkpoint = find_model(str(tiny_model))
    texts = ["the dog", "a lazy fox and a bear", "", "boundary layer " * 40]
    exact = Encoder(checkpoint, precision="fp32").encode_documents(texts)
    for precision, least in (("fp32", 0.9999), ("bf16", 0.99), ("auto", 0.99)):
        encoder = Encoder(checkpoint, device="cuda", precision=precision)
        assert encoder.precision in (precision, "bf16", "fp16")
        found = encoder.encode_documents(texts)
        assert (found * exact).sum(1).min() > least


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"amx_int8", "avx512_bf16"}, "int8"),
        ({"avx_vnni"}, "int8"),
        ({"avx512_bf16"}, "bf16"),
        ({"avx2"}, "fp32"),
        (set(), "fp32"),
    ],
)
def test_auto_goes_by_the_processor(
    monkeypatch: pytest.MonkeyPatch, flags: set[str], expected: str
) -> None:
    monkeypatch.setattr(precisions, "processor_flags", lambda: frozenset(flags))
    monkeypatch.delenv("CLOZE_PRECISION")
    assert resolve(None, "cpu") == resolve("auto", "cpu") == expected
    monkeypatch.setenv("CLOZE_PRECISION", "fp32")
    assert resolve(None, "cpu") == "fp32"


@pytest.mark.parametrize(
    ("asked", "device", "line"),
    [
        ("int4", "cpu", "--precision is 'int4'; choose auto, fp32, bf16, int8"),
        ("fp16", "cpu", "only on CUDA"),
        ("int8", "cuda", "only on CPUs"),
    ],
)
def test_a_precision_that_is_not_there_is_an_error(asked: str, device: str, line: str) -> None:
    with pytest.raises(ClozeError, match=line):
        resolve(asked, device)


def test_bf16_must_be_in_hardware(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precisions, "processor_flags", lambda: frozenset({"avx2"}))
    with pytest.raises(ClozeError, match="use auto or fp32"):
        resolve("bf16", "cpu")
