"""The processes of one training run: torchrun's, or this one alone.

torch is imported where it is used: which process this is decides how many threads torch gets, and it
reads that once, when it is loaded.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


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
    distributed.init_process_group("gloo" if device == "cpu" else "nccl")
    try:
        yield
    finally:
        distributed.destroy_process_group()


@contextmanager
def first_goes(part: Part, device: str) -> Iterator[None]:
    """Let the first process do some work before the others, which then find it done."""
    if not part.is_first:
        first_says(part, [0.0], device)
    yield
    if part.is_first:
        first_says(part, [0.0], device)


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
    """Return the first process's figures in all of them, so that clocks don't part them."""
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
    each_one = list(parameters)
    gradients = [torch.zeros_like(each) if each.grad is None else each.grad for each in each_one]
    has_gradient = each_one[0].new_tensor([float(each.grad is not None) for each in each_one])
    together = torch.cat([*(gradient.flatten() for gradient in gradients), has_gradient])
    distributed.all_reduce(together)
    *summed, counts = together.split([*(each.numel() for each in each_one), len(each_one)])
    for parameter, gradient, count in zip(each_one, summed, counts.tolist(), strict=True):
        parameter.grad = gradient.view_as(parameter) if count else None
