"""Pretraining's losses and gradients, against `BertForPreTraining` on the texts one by one."""

import math
from itertools import islice
from pathlib import Path

import pytest
import torch
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from transformers import BertForPreTraining

from tests.training.small import gradients, small_bert, small_task, texts_of
from training.batches import Batch
from training.loop.parts import Part
from training.masking import Rates, Vocabulary
from training.pretraining import Phase, Pretraining, Size
from training.sequences import Corruption
from training.shards import Shards
from training.shards.writing import write_shards

pairings = pytest.mark.parametrize("pairing", [None, "nsp", "sop"])


def reference(model: BertForPreTraining, batch: Batch) -> torch.Tensor:
    """Hugging Face's own loss of the batch's texts, padded and each in a row."""
    ids, segments, labels, pairs = [], [], [], []
    for rows in batch.rows:
        asked = torch.full((rows.inputs.ids.numel(),), -100)
        asked[rows.places] = rows.labels
        of_first = dict(zip(rows.firsts.tolist(), rows.pairs.tolist(), strict=True))
        for places, (text, own_segments) in texts_of(rows.inputs):
            ids.append(text)
            segments.append(own_segments)
            labels.append(asked[places])
            pairs.append(of_first.get(places.start, -100))
    with_pairs = any(pair != -100 for pair in pairs)
    mask = pad_sequence([torch.ones_like(text) for text in ids], batch_first=True)
    found = model(
        input_ids=pad_sequence(ids, batch_first=True),
        token_type_ids=pad_sequence(segments, batch_first=True),
        attention_mask=mask,
        labels=pad_sequence(labels, batch_first=True, padding_value=-100),
        next_sentence_label=torch.tensor(pairs) if with_pairs else None,
    )
    if with_pairs:
        loss: torch.Tensor = found.loss
        return loss
    flat = pad_sequence(labels, batch_first=True, padding_value=-100).flatten()
    return functional.cross_entropy(found.prediction_logits.flatten(0, 1), flat)


def trained(task: Pretraining, batch: Batch) -> tuple[float, dict[str, torch.Tensor]]:
    task.model.zero_grad()
    sums = task.backward(batch, {name: float(count) for name, count in batch.counts.items()})
    loss = sum(sums[name] / max(1, count) for name, count in batch.counts.items())
    return loss, gradients(task.model)


def first_batch(task: Pretraining) -> Batch:
    """The first batch with packed rows, padding, and enough that is asked."""

    def has_all(batch: Batch) -> bool:
        numbers = [rows.inputs.sequences for rows in batch.rows]
        packed, padded = (
            any((each > 1).any() for each in numbers),
            any((each == 0).any() for each in numbers),
        )
        return packed and padded and batch.counts["mlm"] > 10

    return next(filter(has_all, task.steps(0, 0, Part())))


@pairings
def test_losses_and_gradients_are_hugging_faces(
    text_shards: Shards, base_vocabulary: Vocabulary, pairing: str | None
) -> None:
    task = small_task(text_shards, base_vocabulary, pairing=pairing, tokens_at_once=96)
    batch = first_batch(task)
    assert len(batch.rows) == 3
    loss, found = trained(task, batch)

    task.model.zero_grad()
    expected = reference(task.model, batch)
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    wanted = gradients(task.model)
    assert set(found) == set(wanted)
    assert ("bert.pooler.dense.weight" in found) == (pairing is not None)
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, atol=2e-6, rtol=1e-4, msg=name)


@pairings
def test_rows_that_go_one_by_one_give_what_all_at_once_give(
    text_shards: Shards, base_vocabulary: Vocabulary, pairing: str | None
) -> None:
    results = []
    for at_once in (32, 96, 4096):
        task = small_task(text_shards, base_vocabulary, pairing=pairing, tokens_at_once=at_once)
        batch = first_batch(task)
        results.append((len(batch.rows), *trained(task, batch)))
    assert [number for number, _, _ in results] == [8, 3, 1]
    (_, loss, expected), *others = results
    for _, other, found in others:
        assert other == pytest.approx(loss, rel=1e-6)
        for name, gradient in expected.items():
            torch.testing.assert_close(found[name], gradient, atol=1e-6, rtol=1e-4)


def test_processes_add_up_to_one(text_shards: Shards, base_vocabulary: Vocabulary) -> None:
    task = small_task(text_shards, base_vocabulary, pairing="sop")
    batch = first_batch(task)
    loss, expected = trained(task, batch)
    counts = {name: float(count) for name, count in batch.counts.items()}
    task.model.zero_grad()
    sums = dict.fromkeys(counts, 0.0)
    for rank in range(3):
        shares = task.steps(0, 0, Part(rank=rank, world=3))
        share = next(each for each in shares if each.name == batch.name)
        for name, value in task.backward(share, counts).items():
            sums[name] += value
    assert sum(sums[name] / counts[name] for name in sums) == pytest.approx(loss, rel=1e-6)
    for name, gradient in gradients(task.model).items():
        torch.testing.assert_close(gradient, expected[name], atol=1e-6, rtol=1e-4)


def test_a_process_without_rows_adds_nothing(
    text_shards: Shards, base_vocabulary: Vocabulary
) -> None:
    task = small_task(text_shards, base_vocabulary)
    batch = next(task.steps(0, 0, Part(rank=9, world=10)))
    assert (batch.rows, batch.counts) == ([], {"mlm": 0})
    assert task.backward(batch, {"mlm": 10.0}) == {"mlm": 0.0}
    assert not gradients(task.model)


def test_a_batch_of_pairs_alone_has_gradients_that_an_optimiser_takes(
    text_shards: Shards, base_vocabulary: Vocabulary
) -> None:
    """So few tokens are chosen that often none is."""
    task = Pretraining(
        small_bert(base_vocabulary.size),
        text_shards,
        base_vocabulary,
        phases=(Phase(width=32, begins=0.0),),
        corruption=Corruption(pairing="sop", rates=Rates(chosen=1e-6)),
        size=Size(batch_tokens=64, tokens_at_once=64),
        seed=0,
        dtype=torch.float32,
        device="cpu",
    )
    batch = next(each for each in task.steps(0, 0, Part()) if each.counts["sop"])
    assert batch.counts["mlm"] == 0
    loss, found = trained(task, batch)
    assert loss > 0
    assert "bert.embeddings.word_embeddings.weight" in found
    parameters = [each for each in task.model.parameters() if each.grad is not None]
    assert math.isfinite(torch.nn.utils.clip_grad_norm_(parameters, 1.0).item())
    torch.optim.AdamW(parameters, fused=True).step()


@pairings
def test_an_evaluation_is_the_mean_over_the_texts_held_out(
    text_shards: Shards, base_vocabulary: Vocabulary, pairing: str | None
) -> None:
    small, large = (
        small_task(text_shards, base_vocabulary, pairing=pairing, tokens_at_once=at_once)
        for at_once in (32, 4096)
    )
    figures = small.evaluate()
    assert figures == pytest.approx(large.evaluate(), rel=1e-5)
    names = {"loss", "mlm_loss", "mlm_accuracy"}
    if pairing:
        names |= {f"{pairing}_loss", f"{pairing}_accuracy"}
        assert figures["loss"] == pytest.approx(figures["mlm_loss"] + figures[f"{pairing}_loss"])
        assert 0 <= figures[f"{pairing}_accuracy"] <= 1
    assert set(figures) == names
    # A model that knows nothing.
    assert figures["mlm_loss"] == pytest.approx(math.log(base_vocabulary.size), rel=0.1)
    with torch.no_grad():  # now it says the commonest of the labels, whatever it reads
        small.model.cls.predictions.bias[base_vocabulary.ordinary[7]] = 100.0
    assert small.evaluate()["mlm_loss"] > 50


def test_an_evaluation_of_one_document_asks_for_no_second_one(
    tmp_path: Path, base_folder: Path, base_vocabulary: Vocabulary
) -> None:
    for number in range(5):
        words = f"the quick fox jump over the lazy dog {number}. " * 6
        (tmp_path / f"{number}.txt").write_text(words)
    shards = write_shards([str(tmp_path)], base_folder, home=tmp_path / "home")
    assert shards.held_out == 1
    figures = small_task(shards, base_vocabulary, pairing="nsp").evaluate()
    assert set(figures) == {"loss", "mlm_loss", "mlm_accuracy"}
    figures = small_task(shards, base_vocabulary, pairing="sop").evaluate()
    assert set(figures) > {"sop_loss"}


def test_phases_begin_at_their_shares_with_rows_of_their_width(
    text_shards: Shards, base_vocabulary: Vocabulary
) -> None:
    task = small_task(text_shards, base_vocabulary, widths=(16, 64))
    shares = (0.0, 0.5, 0.8999, 0.9, 1.0, 1.3)
    assert [task.phase(share) for share in shares] == [0, 0, 0, 1, 1, 1]
    for phase, width in enumerate((16, 64)):
        for batch in islice(task.steps(phase, 0, Part()), 3):
            assert {rows.inputs.ids.shape[1] for rows in batch.rows} == {width}
            assert sum(len(rows.inputs.ids) for rows in batch.rows) == 256 // width
            assert f"width {width}," in batch.name
