"""What corruption has to know of a tokenizer."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer
from tokenizers.models import WordPiece

from indexer.errors import ClozeError

NEEDED = ("[MASK]", "[CLS]", "[SEP]", "[PAD]")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Vocabulary:
    """The ids of a WordPiece tokenizer, and which of them are special or go on with a word.

    `special` is True for ids that text never asks a model for: special tokens, [UNK] among them,
    and ids below `size` that no token has. `starts_word` is False for pieces such as "##ing".
    `marks` is True for what has neither a letter nor a digit, as a full stop.
    `ordinary` holds the ids that aren't special, ascending.
    """

    size: int
    mask: int
    cls: int
    sep: int
    pad: int
    special: NDArray[np.bool_]  # [size]
    starts_word: NDArray[np.bool_]  # [size]
    marks: NDArray[np.bool_]  # [size]
    ordinary: NDArray[np.int64] = field(init=False)  # [size - special ones]

    def __post_init__(self) -> None:
        """List the ids that may stand for another."""
        object.__setattr__(self, "ordinary", np.flatnonzero(~self.special))

    @classmethod
    def of(cls, tokenizer_folder: Path) -> "Vocabulary":
        """Read the tokenizer.json of a folder.

        Raises:
            ClozeError: it can't be read, isn't WordPiece, lacks one of [MASK] [CLS] [SEP] [PAD],
                or has special tokens alone.
        """
        path = tokenizer_folder / "tokenizer.json"
        tokenizer = _read(path)
        model = tokenizer.model
        if not isinstance(model, WordPiece):
            raise ClozeError(
                f"{path} is a {type(model).__name__} tokenizer, and pretraining reads WordPiece; "
                "make one with cloze train tokenizer"
            )
        ids = tokenizer.get_vocab(with_added_tokens=True)
        if missing := [name for name in NEEDED if name not in ids]:
            raise ClozeError(
                f"{path} has {len(ids)} tokens and no {' '.join(missing)}, which pretraining "
                "needs; make one with cloze train tokenizer"
            )
        special = _special(tokenizer, ids)
        if special.all():
            raise ClozeError(
                f"{path} has special tokens alone ({len(ids)} of {len(ids)}), none for text; "
                "make one with cloze train tokenizer"
            )
        starts = np.ones(len(special), dtype=np.bool_)
        prefix = model.continuing_subword_prefix
        starts[[number for token, number in ids.items() if token.startswith(prefix)]] = False
        marks = np.zeros(len(special), dtype=np.bool_)
        marks[[n for token, n in ids.items() if not any(map(str.isalnum, token))]] = True
        mask, first, sep, pad = (ids[name] for name in NEEDED)
        return cls(
            size=len(special), mask=mask, cls=first, sep=sep, pad=pad,
            special=special, starts_word=starts, marks=marks,
        )  # fmt: skip


def _read(path: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception
        raise ClozeError(
            f"{path} can't be read as a tokenizer ({error}); make one with cloze train tokenizer"
        ) from error


def _special(tokenizer: Tokenizer, ids: dict[str, int]) -> NDArray[np.bool_]:
    added = tokenizer.get_added_tokens_decoder()
    names = {*NEEDED, tokenizer.model.unk_token}
    names |= {token.content for token in added.values() if token.special}
    special = np.ones(max(ids.values()) + 1, dtype=np.bool_)
    special[[number for token, number in ids.items() if token not in names]] = False
    return special
