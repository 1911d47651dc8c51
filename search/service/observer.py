"""Who hears how a service fares."""

from typing import Protocol


class Observer(Protocol):
    """Hears of stages, batches and waiting, from several threads; it must be quick, and not raise.

    Kinds are search, document, describe, text (embeddings and rankings) and write.
    """

    def stage(self, name: str, ms: float) -> None:
        """Hear how long a stage of one query took."""

    def batch(self, kind: str, size: int, tokens: int) -> None:
        """Hear of a forward pass: query, pairs or documents, its rows and tokens."""

    def wait(self, kind: str, seconds: float) -> None:
        """Hear how long a request waited for its turn."""


class Unobserved:
    """Hears of everything, and does nothing."""

    def stage(self, name: str, ms: float) -> None:
        """Hear of a stage."""

    def batch(self, kind: str, size: int, tokens: int) -> None:
        """Hear of a batch."""

    def wait(self, kind: str, seconds: float) -> None:
        """Hear of waiting."""


class Relay:
    """Tells whoever observes at the time; `to` may change while threads go on."""

    def __init__(self) -> None:
        """Begin unobserved."""
        self.to: Observer = Unobserved()

    def stage(self, name: str, ms: float) -> None:
        """Pass on a stage."""
        self.to.stage(name, ms)

    def batch(self, kind: str, size: int, tokens: int) -> None:
        """Pass on a batch."""
        self.to.batch(kind, size, tokens)

    def wait(self, kind: str, seconds: float) -> None:
        """Pass on a time of waiting."""
        self.to.wait(kind, seconds)
