"""How much of a text is asked for, and what stands in its place."""

from dataclasses import dataclass

from indexer.errors import ClozeError


@dataclass(frozen=True, kw_only=True, slots=True)
class Rates:
    """The share of a text's tokens that is chosen, and what becomes of the chosen.

    `masked` of them become [MASK] and `random` another token; the rest stays as it is (Devlin et
    al. 2019, section 3.1: 15%, and of these 80%, 10%, 10%).

    Raises:
        ClozeError: `chosen` isn't above 0 and at most 1, or the others aren't shares of one.
    """

    chosen: float = 0.15
    masked: float = 0.8
    random: float = 0.1

    def __post_init__(self) -> None:
        """Refuse what can't be a share."""
        if not 0 < self.chosen <= 1:
            raise ClozeError(
                f"a mask rate of {self.chosen:g} is no share of a text's tokens; "
                "give one above 0 and at most 1 (BERT's is 0.15)"
            )
        # Sums such as 0.7 + 0.2 + 0.1 miss 1 by the last bit.
        if self.masked < 0 or self.random < 0 or not self.masked + self.random <= 1 + 1e-9:
            raise ClozeError(
                f"of the chosen tokens {self.masked:g} are masked and {self.random:g} replaced; "
                "give shares of at least 0 that add up to at most 1 (BERT's are 0.8 and 0.1)"
            )
