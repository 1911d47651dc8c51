"""What fine-tuning learns from: a query, its positives, its negatives, a teacher's scores."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One query with all that is known of it; no two of its passages are equal by `identity`.

    There is a positive at least, and no negative is one. A passage with a title begins with it, as
    a passage of the index does. `scores` are a teacher's, of the positives and then the negatives;
    higher is better.
    """

    query: str
    positives: tuple[str, ...]
    negatives: tuple[str, ...] = ()
    scores: tuple[float, ...] | None = None


def titled(title: str, text: str) -> str:
    """Return a passage with its title in front of it, as the index has it."""
    return f"{title} {text}" if title and text else title or text
