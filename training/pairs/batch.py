"""A batch as a loss would see it: whose passages are, to another query, no negatives at all."""

from collections.abc import Iterator, Sequence
from typing import Any

from training.pairs.example import Example
from training.pairs.identity import digest
from training.pairs.report import shortened

_LINE = 96
_NEGATIVES = 3


def false_negatives(batch: Sequence[Example]) -> list[tuple[str, ...]]:
    """Return, by example, the texts of the others that are a positive of its query.

    Of each example the batch has the first positive and all negatives; texts go by `identity`, and
    each is named once.
    """
    there: dict[bytes, list[tuple[int, str]]] = {}
    for row, example in enumerate(batch):
        for text in (example.positives[0], *example.negatives):
            there.setdefault(digest(text), []).append((row, text))
    return [
        tuple(
            next(text for other, text in there[key] if other != row)
            for key in dict.fromkeys(map(digest, example.positives))
            if any(other != row for other, _ in there.get(key, ()))
        )
        for row, example in enumerate(batch)
    ]


def batch_lines(batch: Sequence[Example]) -> Iterator[str]:
    """Write a batch for a person: a text a line, cut to what fits."""
    yield f"a batch of {len(batch)}: ? query, + positive, - negative, ! would be a false negative"
    for example, false in zip(batch, false_negatives(batch), strict=True):
        yield f"  ? {shortened(example.query, _LINE)}"
        yield f"    + {shortened(example.positives[0], _LINE)}{_more(len(example.positives), 1)}"
        for text in example.negatives[:_NEGATIVES]:
            yield f"    - {shortened(text, _LINE)}"
        if len(example.negatives) > _NEGATIVES:
            yield f"    -{_more(len(example.negatives), _NEGATIVES)}"
        yield from (f"    ! {shortened(text, _LINE)}" for text in false)


def batch_json(batch: Sequence[Example]) -> list[dict[str, Any]]:
    """Return a batch as JSON has it, its texts whole."""
    return [
        {
            "query": example.query,
            "positives": example.positives,
            "negatives": example.negatives,
            "scores": example.scores,
            "false_negatives": false,
        }
        for example, false in zip(batch, false_negatives(batch), strict=True)
    ]


def _more(there: int, shown: int) -> str:
    return f" (and {there - shown:,} more)" if there > shown else ""
