"""How many tokens of a text are chosen."""

from numpy.random import Generator


def draw_budget(tokens: int, share: float, rng: Generator) -> int:
    """Draw a whole number of tokens whose expectation is exactly `share * tokens`.

    It is one of the two whole numbers next to that product, so of a short text nothing may be
    chosen at all.
    """
    wanted = share * tokens
    whole = int(wanted)
    return whole + (rng.random() < wanted - whole)
