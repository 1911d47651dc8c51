"""The order in which training sees its sequences: a permutation an epoch, from a seed alone."""

from math import isqrt

import numpy as np
from numpy.typing import NDArray

from indexer.errors import ClozeError

_ROUNDS = 4
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_WORD = 2**64


class Order:
    """Permutations of `range(count)`, one an epoch, in constant memory.

    A position is one integer that only grows: its epoch is `position // count`, its place in that
    epoch's permutation `position % count`. A place is split into two digits of mixed radix, each
    round adds to one digit a hash of the other (Feistel's network with modular addition; Black and
    Rogaway, "Ciphers with arbitrary finite domains", 2002), and what falls beyond `count` walks on
    along its cycle. The hash is splitmix64's finaliser (Steele, Lea and Flood, 2014).
    """

    def __init__(self, count: int, seed: int) -> None:
        """Order `count` things; any integer is a seed.

        Raises:
            ClozeError: there is nothing to order.
        """
        if count < 1:
            raise ClozeError(f"the order of {count} sequences is none; give text with 1 or more")
        self.count = count
        self.seed = seed
        self._left = isqrt(count - 1) + 1  # the radix of the low digit
        self._right = -(-count // self._left)

    def __getitem__(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return which of `range(count)` stand at these positions, any shape, all 0 or above."""
        asked = np.asarray(positions, np.int64)
        epochs, places = np.divmod(np.atleast_1d(asked).ravel(), self.count)
        keys = _mix(_mix(epochs.astype(np.uint64) + _GOLDEN) + np.uint64(self.seed % _WORD))
        found = self._permute(places, keys)
        while len(beyond := np.flatnonzero(found >= self.count)):
            found[beyond] = self._permute(found[beyond], keys[beyond])
        return found.reshape(asked.shape)

    def _permute(self, places: NDArray[np.int64], keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Permute `range(left * right)`, which `count` falls short of by less than `left`."""
        right, left = (digit.astype(np.uint64) for digit in np.divmod(places, self._left))
        for turn in range(_ROUNDS):
            keys = _mix(keys + np.uint64(turn + 1))
            left = (left + _mix(keys ^ right) % np.uint64(self._left)) % np.uint64(self._left)
            keys = _mix(keys + _GOLDEN)
            right = (right + _mix(keys ^ left) % np.uint64(self._right)) % np.uint64(self._right)
        return (right * np.uint64(self._left) + left).astype(np.int64)


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Hash each of some words; arrays wrap around 2**64 as the formula wants."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
