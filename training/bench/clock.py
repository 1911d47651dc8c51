"""The rate of a turn of training, by the wall clock between its steps."""

from time import perf_counter

from indexer.errors import ClozeError

# The first steps of a turn make the optimiser's state and fill the pipeline; they aren't timed.
WARM_UP = 2


class Clock:
    """Notes how many tokens were trained on, and when."""

    def __init__(self) -> None:
        """Begin before the first step."""
        self._ticks: list[tuple[float, int]] = []

    def tick(self, tokens: int) -> None:
        """Note a step's end, with the tokens trained on so far."""
        self._ticks.append((perf_counter(), tokens))

    @property
    def seconds(self) -> float:
        """Return the seconds that are timed so far."""
        timed = self._ticks[WARM_UP - 1 :]
        return timed[-1][0] - timed[0][0] if timed else 0.0

    def rate(self) -> float:
        """Return the tokens a second of the steps that are timed.

        Raises:
            ClozeError: there is none.
        """
        timed = self._ticks[WARM_UP - 1 :]
        if len(timed) < 2:
            raise ClozeError(
                f"a turn ended after {len(self._ticks)} steps and its first {WARM_UP} aren't timed;"
                " give more --seconds"
            )
        (begin, before), (end, after) = timed[0], timed[-1]
        return (after - before) / (end - begin)
