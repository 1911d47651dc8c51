"""Whether one text holds another, all but for its punctuation and a gap."""

import unicodedata
from collections.abc import Iterator, Sequence

from training.supervision.article import words_of

PIECE = 4
# Of five pieces so many may be missing: room for a gap, and little else.
_MISSED_OF_FIVE = 1


def spelled(text: str) -> str:
    """Return the words of a text in NFKC, case folded, one space before and behind each."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return f" {' '.join(words_of(text.casefold()))} "


def pieces(words: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut words into pieces of four, in order; the last one is the last four words.

    Of fewer than four words there is none.
    """
    if len(words) < PIECE:
        return
    for start in range(0, len(words) - PIECE + 1, PIECE):
        yield words[start : start + PIECE]
    if len(words) % PIECE:
        yield words[-PIECE:]


def holds(whole: str, part: str) -> bool:
    """Tell whether at least four fifths of a text's pieces stand in another, both `spelled`.

    So a passage that a sentence was taken out of is held by its document. A text of fewer than four
    words is held by its equal alone.
    """
    words = part.split()
    if len(words) < PIECE:
        return part == whole
    if part in whole:
        return True
    spare = -(-len(words) // PIECE) * _MISSED_OF_FIVE // 5
    for piece in pieces(words):
        if f" {' '.join(piece)} " not in whole:
            spare -= 1
            if spare < 0:
                return False
    return True
