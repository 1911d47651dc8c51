"""Whether examples differ at all: from texts that are all one nothing can be learned."""

from collections.abc import Sequence

from indexer.errors import ClozeError
from training.pairs.example import Example
from training.pairs.report import shortened

_SHOWN = 60


def check_learnable(examples: Sequence[Example]) -> None:
    """Refuse examples that have one passage for all, or each its own query as the positive.

    Texts that are one by `identity` are spelled alike, as `merging` leaves them.

    Raises:
        ClozeError: they are such.
    """
    if all(example.positives == (example.query,) for example in examples):
        raise ClozeError(
            f"the positive of every query is the query itself ({_count(examples)}), so nothing can "
            "be learned; give passages that answer the queries"
        )
    first = examples[0].positives[0]
    passages = (text for each in examples for text in (*each.positives, *each.negatives))
    if len(examples) > 1 and all(text == first for text in passages):
        raise ClozeError(
            f"all {len(examples):,} queries have one and the same passage "
            f"({shortened(first, _SHOWN)!r}), so nothing can be learned; give others beside it"
        )


def _count(examples: Sequence[Example]) -> str:
    return f"{len(examples):,} example{'s' if len(examples) > 1 else ''}"
