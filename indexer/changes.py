"""What a run of adding did."""

from dataclasses import dataclass, field
from pathlib import Path

from indexer.errors import ClozeError
from indexer.preparation import Batch


@dataclass(slots=True, kw_only=True)
class Changes:
    """Counts of documents: read, added, updated, left alone, deleted; and of texts encoded."""

    documents: int = 0
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    encoded_texts: int = 0
    notices: list[str] = field(default_factory=list)

    def count(self, batch: Batch) -> None:
        """Add what one batch did."""
        self.documents += len(batch.entries) + batch.unchanged
        self.added += len(batch.entries) - batch.updated
        self.updated += batch.updated
        self.unchanged += batch.unchanged
        self.encoded_texts += batch.encoded_texts


def check_some(folder: Path, changes: Changes, held: int) -> None:
    """Check that a run brought documents, before what it did not bring is deleted.

    Raises:
        ClozeError: it brought none, and the index holds some.
    """
    if not changes.documents and held:
        raise ClozeError(
            f"--sync deleted nothing: no document came, {folder} holds {held:,}; to empty it, "
            "delete the folder"
        )
