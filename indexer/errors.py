"""The errors that a user of the engine can meet and mend."""


class ClozeError(Exception):
    """A mistake that the user can mend; one line says what happened and what to do."""

    exit_code = 2


class RequestError(ClozeError):
    """What was asked can't be answered as it was asked; who asks otherwise is answered.

    `param` is the part of the request at fault, where one alone is.
    """

    def __init__(self, message: str, *, param: str | None = None) -> None:
        """Say what was asked and what can be, in one line."""
        super().__init__(message)
        self.param = param


class DamagedIndexError(ClozeError):
    """A file of the index is not what was written; the line names it and what mends it."""

    exit_code = 1
