"""Rerankers by the name that a user gives."""

from pathlib import Path
from typing import TYPE_CHECKING

from indexer.errors import ClozeError, RequestError

if TYPE_CHECKING:
    from indexer.index import Index
    from indexer.runtime.precision import Precision
    from search.reranking.reranker import Reranker

NONE = "none"
LATE = "late"


def open_reranker(name: str, index: "Index") -> "Reranker":
    """Load a reranker: "late" is the index's own encoder, any other name that of a cross-encoder.

    Raises:
        ClozeError: the index has no encoder, or there is no such checkpoint.
    """
    if name == LATE:
        return _late(index)
    _refuse_typo(name)
    return _cross_encoder(name, index)


def _cross_encoder(name: str, index: "Index") -> "Reranker":
    from indexer.models import find_classifier
    from search.reranking.agreement import agreed_precision
    from search.reranking.crossencoder import CrossEncoder

    checkpoint = find_classifier(name)

    def load(precision: "Precision") -> CrossEncoder:
        return CrossEncoder(
            checkpoint, device=index.device, threads=index.threads, precision=precision
        )

    return load(agreed_precision(index, checkpoint, lambda each, pairs: load(each).predict(pairs)))


def _late(index: "Index") -> "Reranker":
    if index.manifest.encoder is None:
        raise RequestError(
            f"{index.folder} was built with --lexical-only, --rerank late needs an encoder; name a "
            f"cross-encoder, or: cloze reindex {index.folder} --model MODEL",
            param="rerank",
        )
    from search.reranking.late import LateInteraction

    return LateInteraction(index)


def _refuse_typo(name: str) -> None:
    """Refuse a short name that is nearly late or none, and no folder."""
    from difflib import get_close_matches  # a search that names no reranker has no need of it

    near = get_close_matches(name.strip().lower(), (LATE, NONE), n=1)
    if near and "/" not in name and not Path(name).is_dir():
        raise ClozeError(
            f"there is no reranker {name!r}: did you mean {near[0]!r}? Choose late, none, a "
            "checkpoint folder or a hub id"
        )
