"""A system's answers to all queries of a collection."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

# (document id, score), best first.
Ranked: TypeAlias = Sequence[tuple[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Ranked documents by query; equal scores stand in the order that counts.

    Ids are as a run file has them: white space is percent-encoded. A query without results may be
    absent.
    """

    name: str
    ranked: Mapping[str, Ranked]
