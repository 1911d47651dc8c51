"""A student made of some of its teacher's layers."""

import copy
from typing import Any, TypeVar

from torch import nn
from transformers import BertModel, PreTrainedModel

from indexer.errors import ClozeError

_Model = TypeVar("_Model", bound=PreTrainedModel)


def picked_layers(teacher: int, student: int) -> list[int]:
    """Return which of the teacher's layers, numbered from 0, the student begins with.

    They are spread evenly, the last one among them: of six three are the 2nd, 4th and 6th, one out
    of two as in DistilBERT (Sanh et al., 2019).

    Raises:
        ClozeError: the student would have none, or no fewer than the teacher.
    """
    if not 0 < student < teacher:
        raise ClozeError(
            f"--layers is {student} and the teacher has {teacher}; give 1 to {teacher - 1}"
        )
    return [(place + 1) * teacher // student - 1 for place in range(student)]


def make_student(teacher: _Model, layers: list[int]) -> _Model:
    """Copy a BERT with some of its layers alone; all else is the teacher's."""
    student: Any = copy.deepcopy(teacher)
    bert = student if isinstance(student, BertModel) else student.bert
    bert.encoder.layer = nn.ModuleList(bert.encoder.layer[place] for place in layers)
    student.config.num_hidden_layers = len(layers)
    made: _Model = student
    return made
