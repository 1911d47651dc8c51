"""What long work tells while it runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Phase: TypeAlias = Literal[
    "create", "encode", "store", "lexical", "dense", "seal",
    "search", "read", "score", "compare", "time",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Where the work is: its phase, and how many documents have come through so far."""

    phase: Phase
    documents: int


Progress: TypeAlias = Callable[[Step], None]


def silent(step: Step) -> None:
    """Tell nobody."""
