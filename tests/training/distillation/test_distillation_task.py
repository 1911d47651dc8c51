"""What a student learns: its loss by hand, its texts, its steps in several processes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertModel

from tests.training.small import gradients, small_bert
from training.distillation.layers import make_student
from training.distillation.task import Distillation
from training.distillation.texts import SHORT, Texts
from training.loop.parts import Part
from training.masking import Vocabulary
from training.shards import Shards

LENGTH = 40


def task_of(shards: Shards, vocabulary: Vocabulary, pooling: str = "mean") -> Distillation:
    teacher: BertModel = small_bert(vocabulary.size).bert
    return Distillation(
        teacher, make_student(teacher, [1]), [1],
        texts=Texts(shards, vocabulary, LENGTH, 3),
        held_out=Texts(shards, vocabulary, LENGTH, 0, held_out=True),
        pooling=pooling, batch=6, dtype=torch.float32, device="cpu",
    )  # fmt: skip


def test_texts_are_stretches_of_documents_long_and_short(
    text_shards: Shards, base_vocabulary: Vocabulary
) -> None:
    texts = Texts(text_shards, base_vocabulary, LENGTH, 3)
    taken = texts.take(0, 20)
    documents = [run.ids.tolist() for run in text_shards.runs(10**6)]
    for place, text in enumerate(taken):
        assert text.ids[0] == base_vocabulary.cls
        assert text.ids[-1] == base_vocabulary.sep
        assert len(text) <= (SHORT if place % 2 else LENGTH)
        assert text.type_ids == [0] * len(text)
        inside = text.ids[1:-1]
        assert any(
            inside == document[start : start + len(inside)]
            for document in documents
            for start in range(len(document))
        )
    assert [text.ids for text in texts.take(7, 5)] == [text.ids for text in taken[7:12]]


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_the_loss_is_that_of_the_formula(
    text_shards: Shards, base_vocabulary: Vocabulary, pooling: str
) -> None:
    task = task_of(text_shards, base_vocabulary, pooling)
    step = next(task.steps(0, 0, Part()))
    sums = task.backward(step, {name: float(count) for name, count in step.counts.items()})
    distances, angles = [], []
    for text in step.texts:
        ids = torch.tensor([text.ids])
        with torch.no_grad():
            given = task.teacher.eval()(ids).last_hidden_state[0].numpy()
            own = task.model.eval()(ids).last_hidden_state[0].numpy()
        vectors = [each.mean(0) if pooling == "mean" else each[0] for each in (own, given)]
        unit = [each / np.linalg.norm(each) for each in vectors]
        distances.append(((unit[0] - unit[1]) ** 2).sum())
        norms = np.linalg.norm(own, axis=1) * np.linalg.norm(given, axis=1)
        angles.extend(1 - (own * given).sum(1) / norms)
    assert sums["vectors"] == pytest.approx(sum(distances), rel=1e-4)
    assert sums["hidden"] == pytest.approx(sum(angles), rel=1e-4)
    assert step.counts == {"vectors": 6, "hidden": len(angles)}


def test_the_teacher_stays_as_it_is(text_shards: Shards, base_vocabulary: Vocabulary) -> None:
    task = task_of(text_shards, base_vocabulary)
    step = next(task.steps(0, 0, Part()))
    task.backward(step, {name: float(count) for name, count in step.counts.items()})
    assert not gradients(task.teacher)
    assert gradients(task.model)


def test_two_processes_share_a_step(text_shards: Shards, base_vocabulary: Vocabulary) -> None:
    whole = task_of(text_shards, base_vocabulary)
    step = next(whole.steps(0, 4, Part()))
    counts = {name: float(count) for name, count in step.counts.items()}
    whole.backward(step, counts)
    expected = gradients(whole.model)
    shared = task_of(text_shards, base_vocabulary)
    for rank in range(2):
        part = next(shared.steps(0, 4, Part(rank=rank, world=2)))
        assert (part.tokens, part.position) == (step.tokens, step.position)
        shared.backward(part, counts)
    found = gradients(shared.model)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        assert torch.allclose(found[name], gradient, atol=1e-6), name


def test_a_student_that_is_its_teacher_agrees(
    text_shards: Shards, base_vocabulary: Vocabulary
) -> None:
    teacher: BertModel = small_bert(base_vocabulary.size).bert
    held_out = Texts(text_shards, base_vocabulary, LENGTH, 0, held_out=True)
    task = Distillation(
        teacher, make_student(teacher, [0, 1]), [0, 1], texts=held_out, held_out=held_out,
        pooling="mean", batch=4, dtype=torch.float32, device="cpu",
    )  # fmt: skip
    assert task.evaluate()["agreement"] == pytest.approx(1.0, abs=1e-6)


def test_what_is_saved_loads(
    text_shards: Shards, base_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    task = task_of(text_shards, base_vocabulary)
    task.save(tmp_path)
    loaded = BertModel.from_pretrained(tmp_path, add_pooling_layer=False)
    assert loaded.config.num_hidden_layers == 1
    for name, weight in loaded.state_dict().items():
        assert torch.equal(task.model.state_dict()[name], weight), name


def test_a_process_may_have_no_text(text_shards: Shards, base_vocabulary: Vocabulary) -> None:
    task = task_of(text_shards, base_vocabulary)
    step = next(task.steps(0, 0, Part(rank=6, world=7)))
    assert (step.texts, step.counts, step.position) == ([], {"vectors": 0, "hidden": 0}, 6)
    assert task.backward(step, {"vectors": 6.0, "hidden": 90.0}) == {"vectors": 0.0, "hidden": 0.0}
    assert not any(each.grad is not None for each in task.model.parameters())
