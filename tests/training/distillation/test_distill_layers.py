"""Which layers a student begins with."""

import pytest
import torch
from transformers import BertModel

from indexer.errors import ClozeError
from tests.training.small import small_bert
from training.distillation.layers import make_student, picked_layers


def test_one_out_of_two_as_in_distilbert() -> None:
    assert picked_layers(6, 3) == [1, 3, 5]
    assert picked_layers(12, 6) == [1, 3, 5, 7, 9, 11]


@pytest.mark.parametrize("teacher", range(2, 13))
def test_layers_are_different_rise_and_end_with_the_last(teacher: int) -> None:
    for student in range(1, teacher):
        layers = picked_layers(teacher, student)
        assert len(layers) == student
        assert sorted(set(layers)) == layers
        assert layers[-1] == teacher - 1
        assert layers[0] >= 0


@pytest.mark.parametrize("student", [0, 2, 3])
def test_a_student_has_fewer_layers(student: int) -> None:
    with pytest.raises(ClozeError, match=f"--layers is {student} and the teacher has 2; give 1 to"):
        picked_layers(2, student)


def test_a_student_is_its_teacher_without_the_other_layers() -> None:
    teacher: BertModel = small_bert(50).bert
    student = make_student(teacher, [1])
    assert student.config.num_hidden_layers == len(student.encoder.layer) == 1
    assert teacher.config.num_hidden_layers == len(teacher.encoder.layer) == 2
    ids = torch.tensor([[2, 7, 9, 3]])
    with torch.no_grad():
        embedded = teacher.embeddings(ids)
        expected = teacher.encoder.layer[1](embedded)
        found = student.eval()(ids).last_hidden_state
    assert torch.allclose(found, expected[0] if isinstance(expected, tuple) else expected)
    with torch.no_grad():
        next(student.parameters()).add_(1.0)
    assert not torch.equal(next(student.parameters()), next(teacher.parameters()))
