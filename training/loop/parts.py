"""The processes of one training run: torchrun's, or this one alone.

torch is imported where it is used: which process this is decides how many threads torch gets, and
it reads that once, when it is loaded.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from indexer.errors import ClozeError

if TYPE_CHECKING:
    from torch import Tensor

# How long processes wait for each other: the first alone reads the text, and evaluates.
_PATIENCE = timedelta(days=1)


class FirstFailedError(ClozeError):
    """The first process of a run has failed; there is nothing that another need say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Which of `world` processes this is; `local` is its number on this machine."""

    rank: int = 0
    world: int = 1
    local: int = 0

    @property
    def is_first(self) -> bool:
        """Tell whether this process writes the files and speaks to the user."""
        return self.rank == 0


def part_of_environment() -> Part:
    """Read from torchrun's variables which process this is."""
    return Part(
        rank=int(os.environ.get("RANK", "0")),
        world=int(os.environ.get("WORLD_SIZE", "1")),
        local=int(os.environ.get("LOCAL_RANK", "0")),
    )


def threads_each(threads: int | None) -> int | None:
    """Share this machine's processors among its processes, where nobody said otherwise."""
    together = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if threads or together == 1 or os.environ.get("CLOZE_THREADS"):
        return threads
    return max(1, len(os.sched_getaffinity(0)) // together)


@contextmanager
def joined(part: Part, device: str) -> Iterator[None]:
    """Join the other processes for a while: by gloo on CPUs, by nccl on GPUs."""
    if part.world == 1:
        yield
        return
    import torch
    from torch import distributed

    if device != "cpu":
        torch.cuda.set_device(part.local)
    distributed.init_process_group("gloo" if device == "cpu" else "nccl", timeout=_PATIENCE)
    try:
        yield
    finally:
        distributed.destroy_process_group()


@contextmanager
def first_goes(part: Part, device: str) -> Iterator[None]:
    """Let the first process do some work before the others, which then find it done.

    Raises:
        FirstFailedError: this isn't the first, and the first has failed.
    """
    failed = 0.0
    if not part.is_first and any(first_says(part, [failed], device)):
        raise FirstFailedError("the first process has failed, and says why")
    try:
        yield
    except BaseException:
        failed = 1.0
        raise
    finally:
        if part.is_first:
            first_says(part, [failed], device)


def sum_over(part: Part, values: dict[str, float], device: str) -> dict[str, float]:
    """Add up some figures over all processes."""
    if part.world == 1:
        return values
    import torch
    from torch import distributed

    together = torch.tensor(list(values.values()), dtype=torch.float64, device=device)
    distributed.all_reduce(together)
    return dict(zip(values, together.tolist(), strict=True))


def first_says(part: Part, values: list[float], device: str) -> list[float]:
    """Return the first process's figures in all of them."""
    if part.world == 1:
        return values
    import torch
    from torch import distributed

    told = torch.tensor(values, dtype=torch.float64, device=device)
    distributed.broadcast(told, 0)
    return list(told.tolist())


def sum_gradients(part: Part, parameters: Iterable["Tensor"]) -> None:
    """Add up each parameter's gradient over all processes, in one message.

    What has a gradient in one process alone, whose texts ask for it, then has it in all.
    """
    if part.world == 1:
        return
    import torch
    from torch import distributed

    each_one = list(parameters)
    gradients = [torch.zeros_like(each) if each.grad is None else each.grad for each in each_one]
    has_gradient = each_one[0].new_tensor([float(each.grad is not None) for each in each_one])
    together = torch.cat([*(gradient.flatten() for gradient in gradients), has_gradient])
    distributed.all_reduce(together)
    *summed, counts = together.split([*(each.numel() for each in each_one), len(each_one)])
    for parameter, gradient, count in zip(each_one, summed, counts.tolist(), strict=True):
        parameter.grad = gradient.view_as(parameter) if count else None
