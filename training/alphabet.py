"""The characters that a vocabulary spells rare words with, counted in one pass over the text."""

from collections import Counter

import numpy as np
from tokenizers import Tokenizer

# Rarer characters, of foreign scripts mostly, would take places from words; a word with one of them
# is unknown.
COVERAGE = 0.99995
_CODE_POINTS = 0x110000


class CharacterCounts:
    """Count the characters of texts, in 9 MB whatever their length."""

    def __init__(self) -> None:
        """Begin at 0."""
        self._counts = np.zeros(_CODE_POINTS, np.int64)

    def add(self, text: str) -> None:
        """Count a text's characters."""
        points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        counts = np.bincount(points)
        self._counts[: len(counts)] += counts

    def normalised(self, tokenizer: Tokenizer) -> Counter[str]:
        """Return the counts of what the characters become, white space left out."""
        counts: Counter[str] = Counter()
        for point in np.flatnonzero(self._counts).tolist():
            for character in tokenizer.normalizer.normalize_str(chr(point)):
                if not character.isspace():
                    counts[character] += int(self._counts[point])
        return counts


def choose_alphabet(counts: Counter[str]) -> list[str]:
    """Return the fewest characters that make up `COVERAGE` of a text, sorted by code point.

    Of equally frequent ones those of lower code points are taken first.
    """
    wanted = COVERAGE * counts.total()
    chosen: list[str] = []
    covered = 0
    for character in sorted(counts, key=lambda each: (-counts[each], each)):
        if covered >= wanted:
            break
        chosen.append(character)
        covered += counts[character]
    return sorted(chosen)


def continues_word(character: str, tokenizer: Tokenizer) -> bool:
    """Tell whether a character can stand within a word, as punctuation and Chinese ones can't."""
    normal = tokenizer.normalizer.normalize_str(f"a{character}")
    return len(tokenizer.pre_tokenizer.pre_tokenize_str(normal)) == 1
