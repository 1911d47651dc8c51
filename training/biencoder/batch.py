"""A batch of the bi-encoder: texts that are encoded once each, and what is asked of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from training.biencoder.drawing import Drawn
from training.pairs.identity import digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked of the vectors of a batch, of all its processes.

    `positives` are the places of each query's positive among the documents, [queries]; `excluded`
    tells which documents are no candidates of a query, [queries, documents]. `own` are the places
    of its positive and its negatives, [queries, 1 + negatives], and where `counted` is false they
    are padding; `teacher` are the scores of these, None where the examples have none.
    """

    positives: Tensor
    excluded: Tensor
    own: Tensor
    counted: Tensor
    teacher: Tensor | None

    def of(self, some: slice) -> "Asked":
        """Return what some of the queries ask, of all documents."""
        return Asked(
            positives=self.positives[some], excluded=self.excluded[some],
            own=self.own[some], counted=self.counted[some],
            teacher=None if self.teacher is None else self.teacher[some],
        )  # fmt: skip

    def to(self, device: str) -> "Asked":
        """Return the same on a device."""
        if device == "cpu":
            return self
        return Asked(
            positives=self.positives.to(device), excluded=self.excluded.to(device),
            own=self.own.to(device), counted=self.counted.to(device),
            teacher=None if self.teacher is None else self.teacher.to(device),
        )  # fmt: skip


def distinct(drawn: Sequence[Drawn]) -> tuple[list[str], list[list[int]]]:
    """Return the documents of a batch, equal ones once, and the places of each query's.

    What is equal is decided by `identity`, and the first spelling is kept.
    """
    places: dict[bytes, int] = {}
    documents: list[str] = []
    own = []
    for each in drawn:
        found = []
        for text in each.texts:
            place = places.setdefault(digest(text), len(documents))
            if place == len(documents):
                documents.append(text)
            found.append(place)
        own.append(found)
    return documents, own


def ask(drawn: Sequence[Drawn], documents: Sequence[str], own: Sequence[Sequence[int]]) -> Asked:
    """Return what is asked of a batch.

    Candidates of a query are the documents of all queries but its other positives, which it would
    be taught to reject: those of the example that were not drawn too, where another query brings
    them.
    """
    places = {digest(text): place for place, text in enumerate(documents)}
    positives = torch.tensor([each[0] for each in own])
    excluded = torch.zeros(len(drawn), len(documents), dtype=torch.bool)
    for query, each in enumerate(drawn):
        for text in each.example.positives:
            if (place := places.get(digest(text))) is not None:
                excluded[query, place] = True
    excluded[torch.arange(len(drawn)), positives] = False
    width = max(len(each) for each in own)
    scores = [each.scores for each in drawn]
    return Asked(
        positives=positives,
        excluded=excluded,
        own=torch.tensor([[*each, *[each[0]] * (width - len(each))] for each in own]),
        counted=torch.tensor([[place < len(each) for place in range(width)] for each in own]),
        teacher=_padded([each for each in scores if each is not None], width)
        if None not in scores else None,
    )  # fmt: skip


def _padded(scores: Sequence[Sequence[float]], width: int) -> Tensor:
    return torch.tensor([[*each, *[0.0] * (width - len(each))] for each in scores])
