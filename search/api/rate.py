"""How often someone may ask: a bucket of tokens each, filled at a steady rate."""

from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

# Whoever has not asked for longest is forgotten first; by then the bucket is mostly full again.
_REMEMBERED = 10_000


class Rate:
    """Buckets by name, each of one second's tokens and at least one."""

    def __init__(self, rate: float, *, clock: Callable[[], float] = monotonic) -> None:
        """Give `rate` tokens a second to each."""
        self.rate = rate
        self._most = max(1.0, rate)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, who: str) -> float:
        """Take a token and return 0, or return the seconds until there is one."""
        now = self._clock()
        tokens, then = self._buckets.pop(who, (self._most, now))
        tokens = min(self._most, tokens + (now - then) * self.rate)
        wait = 0.0 if tokens >= 1 else (1 - tokens) / self.rate
        self._buckets[who] = (tokens if wait else tokens - 1, now)
        if len(self._buckets) > _REMEMBERED:
            self._buckets.popitem(last=False)
        return wait
