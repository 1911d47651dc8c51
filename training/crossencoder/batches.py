"""Batches of lists, tokenised and packed ahead of the model in a thread of their own."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from training.ahead import ahead
from training.crossencoder.lists import Lists
from training.crossencoder.objective import targets_of
from training.crossencoder.scorer import PairTokens, Scorer
from training.finetuning.rows import TextRows, text_rows
from training.loop.parts import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenList:
    """A list's passages as tokens beside the query, and what is wanted of each."""

    pairs: list[PairTokens]
    targets: list[float]

    @property
    def tokens(self) -> int:
        """Return how many tokens it has."""
        return sum(map(len, self.pairs))


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Lists that go through the model and back at once, packed without regard to lists.

    `places` are those of each list's pairs among all of the group's, `targets` what is wanted of
    them, and where `mask` is false there is padding; [lists, items] each.
    """

    rows: list[TextRows]
    places: Tensor
    targets: Tensor
    mask: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One step's work of this process.

    `groups` are made of `lists`, which are this process's own; `tokens` are those of all processes,
    and `position` is where the next batch begins.
    """

    lists: list[TokenList]
    groups: list[Group]
    at_once: int
    tokens: int
    counts: dict[str, int]
    name: str
    position: int


class Batches:
    """The lists of a run as batches without end, from any position on."""

    def __init__(self, lists: Lists, scorer: Scorer, *, loss: str) -> None:
        """Take what is drawn, what tokenises it, and the loss by its name."""
        self._lists = lists
        self._scorer = scorer
        self._loss = loss

    def ahead(self, position: int, part: Part, at_once: int) -> Generator[Batch]:
        """Yield batches from a position on, a few made ahead; see `grouped` for `at_once`."""
        return ahead(self._made(position, part, at_once))

    def _made(self, position: int, part: Part, at_once: int) -> Generator[Batch]:
        while True:
            batch = self.make(position, part, at_once)
            yield batch
            position = batch.position

    def make(self, position: int, part: Part, at_once: int) -> Batch:
        """Make the batch at a position.

        All processes tokenise all lists, which is cheap, and so count the same tokens; each scores
        every so manieth list.
        """
        drawn = self._lists[position]
        tokens = iter(self._scorer.tokenised([pair for each in drawn for pair in each.pairs]))
        made = [
            TokenList(
                pairs=[next(tokens) for _ in each.texts], targets=[*targets_of(self._loss, each)]
            )
            for each in drawn
        ]
        own = made[part.rank :: part.world]
        return Batch(
            lists=own,
            groups=grouped(own, at_once),
            at_once=at_once,
            tokens=sum(each.tokens for each in made),
            counts={self._loss: len(own)},
            name=f"examples {position:,} to {position + len(made) - 1:,}",
            position=position + len(made),
        )


def grouped(lists: Sequence[TokenList], at_once: int) -> list[Group]:
    """Put lists into groups, each of at most `at_once` tokens or of one list.

    A list's loss depends on its own scores alone, so groups decide nothing but the memory.
    """
    groups: list[list[TokenList]] = []
    room = 0
    for each in lists:
        if each.tokens > room:
            groups.append([])
            room = at_once
        groups[-1].append(each)
        room -= each.tokens
    return [_group(each) for each in groups]


def _group(lists: Sequence[TokenList]) -> Group:
    pairs = [pair for each in lists for pair in each.pairs]
    sizes = torch.tensor([len(each.pairs) for each in lists])
    mask = torch.arange(int(sizes.max())) < sizes.unsqueeze(1)  # [lists, items]
    places, targets = torch.zeros(mask.shape, dtype=torch.int64), torch.zeros(mask.shape)
    places[mask] = torch.arange(len(pairs))
    targets[mask] = torch.tensor([target for each in lists for target in each.targets])
    # All go through at once, so that no part of the graph is made twice.
    rows = text_rows(pairs, sum(map(len, pairs)) * 2)
    return Group(rows=rows, places=places, targets=targets, mask=mask)
