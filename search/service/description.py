"""What an index is, as its clients may know it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.manifest import Defaults, Manifest
from search.reranking.opening import LATE, NONE
from search.service.settings import Limits

if TYPE_CHECKING:
    from indexer.index import Index

# What a served checkpoint is called, whatever its name or place.
CROSS_ENCODER = "cross-encoder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A metadata field: the types of its values, and how many documents have it."""

    name: str
    kinds: tuple[str, ...]
    documents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """An index by name, with what it holds and how it can be searched; no path is in it.

    `encoder` is None for an index of words alone; `rerankers` are what a search may name;
    `compaction` is idle, running, or failed with the reason. `faiss` is the kind of the vectors'
    index, None without vectors. The reranker of `defaults` is the one that orders hits where a
    search does not say. `limits` are those of a request.
    """

    name: str
    version: str
    documents: int
    passages: int
    size_bytes: int
    language: str
    analyzer: Mapping[str, Any]
    fields: tuple[Field, ...]
    modes: tuple[str, ...]
    encoder: Mapping[str, Any] | None
    rerankers: tuple[str, ...]
    defaults: Defaults
    compaction: str
    faiss: str | None
    limits: Limits


def describe(index: "Index", served: str | None, compaction: str, limits: Limits) -> Described:
    """Describe the commit that is being read; `served` is the reranker that is offered."""
    manifest = index.manifest
    has_vectors = manifest.encoder is not None
    return Described(
        name=index.folder.resolve().name,
        version=index.version,
        documents=index.lexical.count,
        passages=index.dense.count if has_vectors else 0,
        size_bytes=sum(_size(each) for each in index.folder.rglob("*")),
        language=manifest.language,
        analyzer=manifest.analyzer,
        fields=tuple(
            Field(name=name, kinds=tuple(held.types), documents=held.documents)
            for name, held in index.store.field_report().items()
        ),
        modes=("hybrid", "dense", "lexical") if has_vectors else ("lexical",),
        encoder=_encoder(index),
        rerankers=_rerankers(manifest, served),
        defaults=_defaults(manifest.defaults, served),
        compaction=compaction,
        faiss=str(index.dense.notes.get("factory", "Flat")) if has_vectors else None,
        limits=limits,
    )


def _defaults(stored: Defaults, served: str | None) -> Defaults:
    """Return what holds where a search does not say: a reranker that is served is its own."""
    if served in (None, stored.rerank):
        return stored
    name = served if served in (NONE, LATE) else CROSS_ENCODER
    return replace(stored, rerank=name, rerank_depth=None, rerank_weight=None)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:  # gone meanwhile
        return 0


def _encoder(index: "Index") -> Mapping[str, Any] | None:
    """Return the facts of the seal; a checkpoint in a folder is told by the folder's name alone."""
    sealed = index.manifest.encoder
    if sealed is None:
        return None
    name = Path(sealed.name).name if Path(sealed.name).is_absolute() else sealed.name
    return asdict(sealed) | {"name": name}


def _rerankers(manifest: Manifest, served: str | None) -> tuple[str, ...]:
    """Return what may be named; late interaction without stored token vectors can take seconds."""
    offered = [NONE]
    if manifest.token_vectors is not None or (served or manifest.defaults.rerank) == LATE:
        offered.append(LATE)
    if served not in (None, NONE, LATE):
        offered.append(CROSS_ENCODER)
    return tuple(offered)
