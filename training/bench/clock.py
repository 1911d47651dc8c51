"""The rate of a turn of training, by the wall clock between its steps."""

from time import perf_counter

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

    def has_timed(self, seconds: float) -> bool:
        """Tell whether so many seconds are timed, and a step at least."""
        timed = self._ticks[WARM_UP - 1 :]
        return len(timed) > 1 and timed[-1][0] - timed[0][0] >= seconds

    def rate(self) -> float:
        """Return the tokens a second of the steps that are timed."""
        (begin, before), *_, (end, after) = self._ticks[WARM_UP - 1 :]
        return (after - before) / (end - begin)
