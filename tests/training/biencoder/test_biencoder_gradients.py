"""The gradient of a step: through the kept graph, computed again, and where memory runs out."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from indexer.errors import ClozeError
from tests.training.biencoder.conftest import MakeTask
from tests.training.small import gradients
from training.biencoder.batch import Asked, ask, distinct
from training.biencoder.batches import Draws, Packing, Size
from training.biencoder.objective import Temperatures, objective_of
from training.biencoder.task import BiEncoding
from training.finetuning.rows import TextRows
from training.loop.parts import Part
from training.memory import is_memory
from training.pairs.example import Example

LOSSES = [("infonce", ()), ("infonce", (32, 8)), ("marginmse", ()), ("kl", (32, 16))]


def step(task: BiEncoding, at_once: int = 96) -> tuple[dict[str, float], dict[str, Tensor]]:
    """The sums of the first step and its gradients, in several lots of rows."""
    task._passing.at_once = at_once
    batch = task._batches.make(0, Part(), at_once)
    assert len(batch.packing.rows) > 1
    sums = task.backward(batch, {name: float(count) for name, count in batch.counts.items()})
    return sums, gradients(task.model)


@pytest.mark.parametrize(("loss", "dims"), LOSSES)
def test_kept_or_computed_again_it_is_one_gradient(
    make_task: MakeTask, examples: tuple[Example, ...], loss: str, dims: tuple[int, ...]
) -> None:
    sums, kept = step(make_task(loss, dims=dims))
    again_sums, again = step(make_task(loss, dims=dims, keeps_graph=False))
    # By autograd alone, each text in a row of its own, through the whole graph.
    task = make_task(loss, dims=dims)
    drawn = Draws(examples[8:], Size(batch=8, negatives=2), seed=3)[0]
    documents, own = distinct(drawn)
    encoder = task._encoder
    texts = encoder.queries([each.example.query for each in drawn]) + encoder.documents(documents)
    vectors = torch.cat([encoder.vectors(Packing.of([each], 1).rows[0]) for each in texts])
    objective = objective_of(loss, Temperatures(), dims)
    losses = objective(vectors[:8], vectors[8:], ask(drawn, documents, own))
    losses.mean().backward()
    plain = gradients(task.model)
    assert sums[loss] == pytest.approx(losses.sum().item(), rel=1e-5)
    assert again_sums == pytest.approx(sums, rel=1e-6)
    assert kept.keys() == again.keys() == plain.keys()
    scale = max(float(each.abs().max()) for each in plain.values())
    for name, expected in plain.items():
        torch.testing.assert_close(again[name] / scale, kept[name] / scale, atol=1e-6, rtol=0)
        # Rows of other widths add up in another order.
        torch.testing.assert_close(again[name] / scale, expected / scale, atol=1e-5, rtol=0)


def fails(work: Callable[..., Tensor], error: Exception, above: int) -> Callable[..., Tensor]:
    """An encoder that has memory for so many rows."""

    def limited(rows: TextRows) -> Tensor:
        if rows.inputs.ids.shape[0] > above:
            raise error
        return work(rows)

    return limited


@pytest.mark.parametrize("keeps_graph", [True, False])
@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_where_memory_runs_out_fewer_rows_give_the_same_gradient(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch, error: Exception, keeps_graph: bool
) -> None:
    sums, expected = step(make_task(keeps_graph=keeps_graph))
    told: list[str] = []
    task = make_task(keeps_graph=keeps_graph, told=told)
    encoder = task._encoder
    monkeypatch.setattr(encoder, "vectors", fails(encoder.vectors, error, 1))
    found, actual = step(task)
    assert found == pytest.approx(sums, rel=1e-5)
    for name, each in expected.items():
        torch.testing.assert_close(actual[name], each, atol=1e-5, rtol=1e-5)
    assert told == [
        f"memory ran out at {before} rows of 16 tokens: from now on {now} go through the model at "
        "once; the batch and its gradient stay what they are"
        for before, now in ((6, 3), (3, 1))
    ]
    assert task._passing.at_once == 16
    # The steps that were made ahead are packed anew, without a word.
    batch = task._batches.make(8, Part(), 96)
    task.backward(batch, {"infonce": 8.0})
    assert len(told) == 2


def test_memory_that_runs_out_going_backward_leaves_no_half_gradient(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, expected = step(make_task(keeps_graph=False))
    told: list[str] = []
    task = make_task(keeps_graph=False, told=told)
    calls = 0
    vectors = task._encoder.vectors

    def once(rows: TextRows) -> Tensor:
        nonlocal calls
        calls += torch.is_grad_enabled()
        if calls == 2:
            calls += 1
            raise MemoryError
        return vectors(rows)

    monkeypatch.setattr(task._encoder, "vectors", once)
    _, found = step(task)
    assert len(told) == 1
    for name, each in expected.items():
        torch.testing.assert_close(found[name], each, atol=1e-5, rtol=1e-5)


def test_other_errors_are_not_taken_for_it(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make_task()
    wrong = RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    assert not is_memory(wrong)
    monkeypatch.setattr(task._encoder, "vectors", fails(task._encoder.vectors, wrong, 0))
    with pytest.raises(RuntimeError, match="mat1"):
        step(task)


def test_one_row_that_does_not_fit_ends_in_one_line(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make_task()
    monkeypatch.setattr(task._encoder, "vectors", fails(task._encoder.vectors, MemoryError(), 0))
    with pytest.raises(ClozeError, match="one row of 16 tokens in training; give a shorter"):
        step(task)


def test_memory_that_is_nearly_taken_is_known_before_the_next_lot(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, expected = step(make_task())
    told: list[str] = []
    task = make_task(told=told)
    # Each lot takes 100 of 350: behind the second are left 150, and one more needs 200.
    left = iter([350, 250, 150])
    monkeypatch.setattr("training.biencoder.passing.free_bytes", lambda: next(left))
    _, found = step(task, at_once=32)
    assert len(told) == 1 and "memory ran out at 2 rows of 16 tokens" in told[0]
    assert not task._passing.keeps_graph
    for name, each in expected.items():
        torch.testing.assert_close(found[name], each, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("left", [[1000, 900, 800, 700], [50, 60, 60, 60], [None] * 4])
def test_memory_that_is_there_or_not_told_keeps_the_graph(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch, left: list[int | None]
) -> None:
    told: list[str] = []
    task = make_task(told=told)
    rest = [*left, *[left[-1]] * 99]
    monkeypatch.setattr("training.biencoder.passing.free_bytes", lambda: rest.pop(0))
    step(task, at_once=64)
    assert task._passing.keeps_graph and not told


@pytest.mark.parametrize(("loss", "dims"), LOSSES)
def test_scores_of_a_large_batch_are_made_lot_by_lot(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch, loss: str, dims: tuple[int, ...]
) -> None:
    sums, expected = step(make_task(loss, dims=dims))
    task = make_task(loss, dims=dims)
    shapes: list[tuple[int, ...]] = []
    objective = task._objective

    def watched(queries: Tensor, documents: Tensor, asked: Asked) -> Tensor:
        shapes.append((len(queries), *asked.excluded.shape, len(asked.own), len(asked.counted)))
        return objective(queries, documents, asked)

    monkeypatch.setattr(task, "_objective", watched)
    monkeypatch.setattr("training.biencoder.task._SCORES", 80)
    found, actual = step(task)
    documents = shapes[0][2]
    at_once = 80 // documents
    assert 1 < at_once < 8
    assert [each[0] for each in shapes[:-1]] == [at_once] * (len(shapes) - 1)
    assert sum(each[0] for each in shapes) == 8
    assert all(each == (each[0], each[0], documents, each[0], each[0]) for each in shapes)
    assert found == pytest.approx(sums, rel=1e-5)
    for name, each in expected.items():
        torch.testing.assert_close(actual[name], each, atol=1e-5, rtol=1e-4)


class Held:
    """A tensor that autograd holds on to between the passes."""

    live = peak = 0

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor
        self.bytes = tensor.numel() * tensor.element_size()
        Held.live += self.bytes
        Held.peak = max(Held.peak, Held.live)

    def __del__(self) -> None:
        Held.live -= self.bytes


def peak_bytes(task: BiEncoding) -> int:
    """The most that is held for the backward pass at any time of a step."""
    Held.live = Held.peak = 0
    with torch.autograd.graph.saved_tensors_hooks(Held, lambda held: held.tensor):
        step(task, at_once=64)
    assert Held.live == 0
    return Held.peak


def test_computed_again_memory_does_not_grow_with_the_batch(make_task: MakeTask) -> None:
    kept, again = (
        [peak_bytes(make_task(keeps_graph=keeps, batch=batch)) for batch in (4, 16)]
        for keeps in (True, False)
    )
    assert kept[1] > 3 * kept[0]
    assert again[1] < 1.25 * again[0]
    assert again[1] < kept[1] / 4
