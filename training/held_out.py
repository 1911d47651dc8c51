"""Which documents training never sees: those whose text's hash is below a threshold."""

import hashlib

from indexer.errors import ClozeError

_HASHES = 2**64


def text_hash(text: str) -> int:
    """Hash a text to 64 bits: equal texts are all held out, or none of them is."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def check_share(held_out: float) -> None:
    """Refuse a share that can't be held out.

    Raises:
        ClozeError: it isn't above 0 and below 1.
    """
    if not 0 < held_out < 1:
        raise ClozeError(f"the share held out is {held_out:g}; give one above 0 and below 1")


def threshold_of(least: int, greatest: int, held_out: float) -> int | None:
    """Return the hash that those held out are below, given the least and the greatest of all.

    At least the one of the least hash is held out, and the one of the greatest never is; None where
    they are the same one.
    """
    if least == greatest:
        return None
    return min(max(int(held_out * _HASHES), least + 1), greatest)
