"""Collections to evaluate on: BEIR folders, TREC folders, and those of ir_datasets."""

from pathlib import Path

from eval.collections.beir import is_beir, open_beir
from eval.collections.collection import Collection, Documents
from eval.collections.irds import open_irds
from eval.collections.trec import is_trec, open_trec
from indexer.errors import ClozeError

__all__ = ["Collection", "Documents", "open_collection"]


def open_collection(name: str, split: str | None = None) -> Collection:
    """Open a folder in BEIR's or TREC's layout, or a data set that ir_datasets knows by this id.

    Without a split it is "test" where there is one, else the only one. Nothing is read from the
    network unless `name` is such an id.

    Raises:
        ClozeError: there is no such collection or split, or its files are not what they should be.
    """
    folder = Path(name)
    if not folder.exists():
        # No id begins so, and the package makes a folder of its own as soon as it is imported.
        if name.startswith((".", "/", "~")):
            raise ClozeError(f"there is no folder {name}; check the path")
        return open_irds(name, split)
    if is_beir(folder):
        return open_beir(folder, split)
    if is_trec(folder):
        return open_trec(folder, split)
    raise ClozeError(
        f"{name} is no collection: neither a folder with queries.jsonl (or .tsv, .txt) and "
        "qrels/SPLIT.tsv, as BEIR has it, nor one with topics* and qrels*, as TREC has it"
    )
