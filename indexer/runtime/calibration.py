"""The fixed texts that an int8 form's scales come from, and what names that form."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.runtime.checkpoint import Checkpoint
from indexer.runtime.model import read_tokenizer
from indexer.runtime.pairs import PairTokenizer
from indexer.runtime.rows import TokenRow

if TYPE_CHECKING:
    from indexer.runtime.forward import AnyCheckpoint

# How much of a layer's outliers move from its inputs into its weights (Xiao and others, ICML 2023,
# "SmoothQuant"). Of .5, .6, .7 and .8 this lost least on development texts: docs/performance.md.
SMOOTHING = 0.7
# Raised when `quantise` changes in anything else.
_RECIPE = 1
# A line is a query, a tab, and a text that answers it.
_TEXTS = Path(__file__).with_name("calibration.txt")


def _hash() -> str:
    recipe = f"{_RECIPE} {SMOOTHING}\n"
    return hashlib.sha256(recipe.encode() + _TEXTS.read_bytes()).hexdigest()


CALIBRATION_HASH = _hash()


def calibration_rows(checkpoint: "AnyCheckpoint") -> list[TokenRow]:
    """Return the rows that stand for all that a checkpoint may be given, of 1 to 270 word pieces.

    An encoder gets each text alone, a classifier each query beside its answer and beside the next
    query's; rows end where the checkpoint's limit is, as those of its users do.
    """
    queries, answers = _queries_and_answers()
    tokenizer = read_tokenizer(checkpoint)
    limit = checkpoint.max_tokens
    if isinstance(checkpoint, Checkpoint):
        rows = [encoding.ids for encoding in tokenizer.encode_batch([*queries, *answers])]
        return [TokenRow(ids if len(ids) <= limit else ids[: limit - 1] + ids[-1:]) for ids in rows]
    pairs = [*zip(queries, answers), *zip(queries, answers[1:] + answers[:1])]  # noqa: B905
    return PairTokenizer(tokenizer, limit, checkpoint.name).rows(pairs)


def calibration_texts() -> list[str]:
    """Return the queries, then the texts that answer them."""
    queries, answers = _queries_and_answers()
    return [*queries, *answers]


def _queries_and_answers() -> tuple[tuple[str, ...], tuple[str, ...]]:
    lines = [line.split("\t") for line in _TEXTS.read_text(encoding="utf-8").splitlines()]
    queries, answers = zip(*lines, strict=True)
    return queries, answers
