"""A new index folder: its settings chosen, checked and sealed."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.analysis import Analyzer
from indexer.errors import ClozeError
from indexer.lock import writer_lock
from indexer.manifest import (
    DEFAULT_RECALL,
    NAME,
    SCRATCH,
    EncoderSeal,
    Manifest,
    check_same,
    write_manifest,
)
from indexer.models import DEFAULT_MODEL, find_model

if TYPE_CHECKING:
    from indexer.encoder import Encoder

_MIN_PASSAGE_TOKENS = 16
# What another process that is creating the index has put there, or one that was killed.
_OURS = ("lock", NAME, SCRATCH)
# Chosen on development questions only; docs/results.md has the figures.
DEFAULT_TOKENS = 128
DEFAULT_OVERLAP = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an index is built with; None is the default, and asks nothing of an old index."""

    model: str | None = None
    lexical_only: bool = False
    passage_tokens: int | None = None
    passage_overlap: int | None = None
    language: str | None = None
    title_weight: int | None = None
    faiss: str | None = None
    recall: float | None = None
    token_vectors: bool | None = None


def seal(encoder: "Encoder") -> EncoderSeal:
    """Return what a manifest says of an encoder."""
    from indexer.runtime.calibration import CALIBRATION_HASH

    checkpoint = encoder.checkpoint
    return EncoderSeal(
        name=checkpoint.name,
        content_hash=checkpoint.content_hash,
        dimension=checkpoint.dimension,
        pooling=checkpoint.pooling,
        normalize=checkpoint.normalize,
        query_prompt=checkpoint.query_prompt,
        document_prompt=checkpoint.document_prompt,
        max_tokens=checkpoint.max_tokens,
        precision=encoder.precision,
        calibration=CALIBRATION_HASH[:16] if encoder.precision == "int8" else "",
    )


def create(
    folder: Path, settings: Settings, device: str, threads: int, precision: str | None = None
) -> "Encoder | None":
    """Make the folder and seal its manifest, before anything else is in it.

    Returns:
        The encoder that was loaded to be sealed, or None for a lexical-only index.

    Raises:
        ClozeError: the folder holds something else, or the settings contradict each other.
    """
    _check_asked(folder, settings)
    loaded = None
    if not settings.lexical_only:
        from indexer.encoder import Encoder

        checkpoint = find_model(settings.model or DEFAULT_MODEL)
        loaded = Encoder(checkpoint, device=device, threads=threads, precision=precision)
    encoder = seal(loaded) if loaded else None
    analyzer = Analyzer(settings.language or "english")
    tokens, overlap = _rule(settings, encoder) if encoder else (0, 0)
    if encoder:
        from indexer.construction import check_wish

        check_wish(settings.faiss, settings.recall, encoder.dimension)
    manifest = Manifest(
        faiss=None if settings.faiss == "auto" else settings.faiss,
        recall=DEFAULT_RECALL if settings.recall is None else settings.recall,
        encoder=encoder,
        passage_tokens=tokens,
        passage_overlap=overlap,
        language=analyzer.language,
        analyzer=analyzer.describe(),
        title_weight=1 if settings.title_weight is None else settings.title_weight,
    )
    if encoder and settings.token_vectors:
        from indexer.token_vectors import seal_token_vectors

        manifest = replace(manifest, token_vectors=seal_token_vectors(encoder.dimension))
    folder.mkdir(parents=True, exist_ok=True)
    with writer_lock(folder):
        if not (folder / "manifest.json").exists():
            write_manifest(folder, manifest)
    return loaded


def _check_asked(folder: Path, settings: Settings) -> None:
    """Check that a folder can become an index, and that the settings do not contradict."""
    if folder.is_file():
        raise ClozeError(f"{folder} is a file, not an index; name the index folder first")
    if folder.is_dir() and any(entry.name not in _OURS for entry in folder.iterdir()):
        raise ClozeError(
            f"{folder} holds files but no manifest.json, so it is not an index; name an empty or "
            "new folder"
        )
    if settings.lexical_only and settings.model is not None:
        raise ClozeError(f"--lexical-only and --model {settings.model} exclude each other")
    if settings.lexical_only and (settings.passage_tokens or settings.passage_overlap):
        raise ClozeError(
            "--lexical-only makes no passages; leave --passage-tokens and --overlap out"
        )
    if settings.lexical_only and (settings.faiss or settings.recall is not None):
        raise ClozeError("--lexical-only has no vectors; leave --faiss and --recall out")
    if settings.lexical_only and settings.token_vectors:
        raise ClozeError("--lexical-only has no vectors; leave --token-vectors out")


def _rule(settings: Settings, encoder: EncoderSeal) -> tuple[int, int]:
    """Return the tokens of a passage and those that neighbours share."""
    limit = encoder.max_tokens
    tokens = min(DEFAULT_TOKENS, limit)
    if settings.passage_tokens is not None:
        tokens = settings.passage_tokens
    default = min(DEFAULT_OVERLAP, tokens // 4)
    overlap = default if settings.passage_overlap is None else settings.passage_overlap
    if not (_MIN_PASSAGE_TOKENS <= tokens <= limit and 0 <= overlap <= tokens // 2):
        raise ClozeError(
            f"passages of {tokens} tokens with {overlap} overlapping don't fit {encoder.name}: "
            f"choose {_MIN_PASSAGE_TOKENS} to {limit} tokens, and an overlap of at most half"
        )
    return tokens, overlap


def check_settings(folder: Path, manifest: Manifest, settings: Settings) -> None:
    """Check the settings asked for against those of an index that is there.

    Raises:
        ClozeError: one differs; both values are named.
    """
    if settings.lexical_only and manifest.encoder is not None:
        raise ClozeError(
            f"{folder} was built with {manifest.encoder.name}, asked for --lexical-only; leave the "
            "option out, or index into a new folder"
        )
    wanted = asdict(settings)
    for name in ("faiss", "recall"):
        if wanted[name] not in (None, getattr(manifest, name) or "auto"):
            raise ClozeError(
                f"{folder} has {name} {getattr(manifest, name) or 'auto'}, asked for "
                f"{wanted[name]}; leave it out, or change it with: cloze compact {folder} --{name} "
                f"{wanted[name]}"
            )
    if settings.token_vectors not in (None, manifest.token_vectors is not None):
        has, asked = ("without", "") if settings.token_vectors else ("with", "no-")
        name = manifest.encoder.name if manifest.encoder else DEFAULT_MODEL
        raise ClozeError(
            f"{folder} was built {has} token vectors, asked for --{asked}token-vectors; leave the "
            f"option out, or run: cloze reindex {folder} --model {name} --{asked}token-vectors"
        )
    for name in ("model", "lexical_only", "faiss", "recall", "token_vectors"):
        del wanted[name]
    check_same(folder, manifest, wanted)
