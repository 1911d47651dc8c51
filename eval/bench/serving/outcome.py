"""What became of a load, in counts and percentiles."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from eval.bench.figures import spread
from eval.bench.serving.loop import BROKEN, UNANSWERED, Sent

_REFUSED = 429
_NAMES = {BROKEN: "broken", UNANSWERED: "unanswered"}


def is_accepted(status: int) -> bool:
    """Tell whether a request was done."""
    return 200 <= status < 300


def latencies(sent: Sent, *, refused: bool = False) -> list[float]:
    """Return seconds from when requests were due until they were answered, waiting included.

    Of those that were done, or of those that were refused with 429.
    """
    return [
        done - due
        for due, done, status in zip(sent.due, sent.done, sent.status, strict=True)
        if (status == _REFUSED if refused else is_accepted(status))
    ]


def outcome(sent: Sent, seconds: float) -> dict[str, Any]:
    """Count a stream's requests by what became of them, with milliseconds.

    `late_ms` is how long after it was due a request was sent: what the generator itself adds.
    """
    statuses = Counter(sent.status)
    refused = statuses.pop(_REFUSED, 0)
    accepted = sum(statuses.pop(each) for each in [*statuses] if is_accepted(each))
    late = [there - due for due, there in zip(sent.due, sent.sent, strict=True)]
    return {
        "requests": len(sent.due),
        "accepted": accepted,
        "refused": refused,
        "other": {_NAMES.get(each, str(each)): count for each, count in statuses.items()},
        "accepted_per_second": round(accepted / seconds, 1),
        "accepted_ms": percentiles(latencies(sent)),
        "refused_ms": percentiles(latencies(sent, refused=True)),
        "late_ms": percentiles([each for each in late if each != float("inf")]),
    }


def percentiles(seconds: Sequence[float]) -> dict[str, float] | None:
    """Return p50, p95 and p99 in milliseconds, None of nothing."""
    return spread(seconds) if seconds else None


def throughput(sent: Sent) -> float:
    """Return how many requests of a closed loop were done a second, while all connections worked.

    What was answered after the last request was sent does not count, nor does its time.
    """
    end = max(sent.sent, default=0.0)
    done = sum(
        there <= end and is_accepted(status)
        for there, status in zip(sent.done, sent.status, strict=True)
    )
    return done / end if end else 0.0


def together(several: Sequence[Sent]) -> Sent:
    """Put the requests of several loads into one."""
    whole = Sent()
    for each in several:
        whole.due += each.due
        whole.sent += each.sent
        whole.done += each.done
        whole.status += each.status
    return whole
