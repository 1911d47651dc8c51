"""What the loop trains."""

from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, Protocol

from torch import nn

from training.loop.parts import Part


class Step(Protocol):
    """One step's work of one process.

    `tokens` are those of all processes; `counts` what each objective asks of this one; `name` tells
    a person which texts they are, `position` where the next step's begin.
    """

    @property
    def tokens(self) -> int: ...  # noqa: D102 - said above
    @property
    def counts(self) -> Mapping[str, int]: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def position(self) -> int: ...  # noqa: D102


class Task(Protocol):
    """A model, the steps that train it, and how well it does."""

    @property
    def model(self) -> nn.Module:
        """The parameters to train, float32."""

    def phase(self, share: float) -> int:
        """Return which phase it is when a share of the budget is used up; phases only grow."""

    def steps(self, phase: int, position: int, part: Part) -> Generator[Step]:
        """Yield the steps of a phase from a position on, without end."""

    def backward(self, step: Any, counts: Mapping[str, float]) -> dict[str, float]:  # noqa: ANN401 - each task has its own kind of Step
        """Add the gradients of the mean losses to the parameters', and return the summed losses.

        `counts` are those of all processes, and the means are over them.
        """

    def evaluate(self) -> dict[str, float]:
        """Measure the model on what training never sees."""

    def save(self, folder: Path) -> None:
        """Write the model as a checkpoint folder that others load."""
