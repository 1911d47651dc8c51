"""How a query's vectors were searched."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["flat", "ivf", "hnsw", "survivors"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What ran for one query over the vectors.

    `kind` is flat (every passage), ivf or hnsw (some, by an index), or survivors (every passage
    that a filter left). `passages` could be found, `scored` of them got an exact score: those that
    a scan proposed, or all where one reading of the rows served several queries. `effort` is IVF's
    number of lists probed or HNSW's efSearch, None where all is looked at; `recall` is the share of
    the exact ten best that is expected, as measured when the index was made: 1 where the stored
    numbers were compared, else that of the codes.
    """

    kind: Kind
    passages: int
    scored: int
    effort: int | None = None
    recall: float | None = 1.0
