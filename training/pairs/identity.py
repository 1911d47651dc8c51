"""Which texts are one: what duplicates, leaks and false negatives in a batch go by."""

import hashlib
import unicodedata


def identity(text: str) -> str:
    """Return the SHA-256 of a text in NFKC, its case folded and its white space collapsed."""
    return digest(text).hex()


def digest(text: str) -> bytes:
    """Return the same as 32 bytes, for tables of many."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return hashlib.sha256(" ".join(folded.split()).encode()).digest()
