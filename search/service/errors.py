"""Why a service did not do what it was asked, where the request itself was sound."""

from indexer.errors import ClozeError


class BusyError(ClozeError):
    """As many requests are in flight as may be; `seconds` tells when to come again."""

    def __init__(self, message: str, seconds: float) -> None:
        """Say what is full, and after how many seconds a place is likely."""
        super().__init__(message)
        self.seconds = seconds


class LateError(ClozeError):
    """The time that a request may take was over before it was its turn, or while it ran."""


class StoppingError(ClozeError):
    """The service is going down and takes nothing new."""
