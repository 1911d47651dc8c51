"""The errors that a user of the engine can meet and mend."""


class ClozeError(Exception):
    """A mistake that the user can mend; one line says what happened and what to do."""

    exit_code = 2


class DamagedIndexError(ClozeError):
    """A file of the index is not what was written; the line names it and what mends it."""

    exit_code = 1
