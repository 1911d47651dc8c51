"""What an index was built with, sealed: opening it with anything else is an error."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from indexer.errors import ClozeError, DamagedIndexError
from indexer.generations import sync
from indexer.passages import PassageRule
from indexer.runtime.precision import Precision

FORMAT = 3
NAME = "manifest.json"
# Of the exact ten best, the share that an approximate index must find.
DEFAULT_RECALL = 0.98
# What it is until it is whole, and what a killed process may leave.
SCRATCH = f"{NAME}.new"
_LONG_PRECISIONS = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSeal:
    """The encoder of the documents: everything that decides a passage's vector.

    `calibration` names the texts and the recipe that the scales of int8 come from.
    """

    name: str
    content_hash: str
    dimension: int
    pooling: str
    normalize: bool
    query_prompt: str
    document_prompt: str
    max_tokens: int
    precision: Precision
    calibration: str = ""

    @property
    def form(self) -> str:
        """The number format, and of int8 its calibration."""
        return f"{self.precision} {self.calibration}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenVectorSeal:
    """How token vectors are stored: int8 numbers a token, and the number that stands for 1."""

    dimension: int
    scale: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """How an index is searched where a query does not say; None leaves it to the built-in ones.

    `fusion` is minmax or rrf, `weight` the dense list's share in minmax, `depth` the candidates
    that each retrieval fetches. `rerank` is none, late or a cross-encoder's name; the documents
    that it reads, `rerank_depth`, and the share of its scores, `rerank_weight`, are this one's.
    """

    fusion: Literal["minmax", "rrf"] | None = None
    weight: float | None = None
    depth: int | None = None
    rerank: str | None = None
    rerank_depth: int | None = None
    rerank_weight: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The sealed settings of an index; a lexical-only one has neither encoder nor passages.

    `data` is the folder of store and derived structures, inside the index's: reindexing builds a
    new one and changes this name, which makes the swap one step. `faiss` names the kind of the
    vectors' index, None leaves it to their number; `recall` is the share of the exact ten best that
    an approximate one must find. Neither these nor `defaults` are sealed: they change no vector and
    no posting. `token_vectors` is None where only passages have vectors.
    """

    encoder: EncoderSeal | None
    passage_tokens: int
    passage_overlap: int
    language: str
    analyzer: dict[str, Any]
    title_weight: int
    token_vectors: TokenVectorSeal | None = None
    metric: str = "inner product"
    faiss: str | None = None
    recall: float = DEFAULT_RECALL
    defaults: Defaults = Defaults()
    data: str = "."
    format: int = FORMAT

    @property
    def rule(self) -> PassageRule:
        """How documents are cut."""
        return PassageRule(tokens=self.passage_tokens, overlap=self.passage_overlap)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest with its checksum, whole or not at all."""
    content = asdict(manifest)
    text = json.dumps(content | {"checksum": _checksum(content)}, indent=2, sort_keys=True)
    scratch = folder / SCRATCH
    with scratch.open("w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(scratch, folder / NAME)
    sync(folder)


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of an index folder.

    Raises:
        ClozeError: the folder is no index, or of a newer format.
        DamagedIndexError: the manifest is not what was written.
    """
    path = folder / NAME
    try:
        content = json.loads(path.read_bytes())
        found = content.pop("checksum")
        newer = int(content["format"])
    except (FileNotFoundError, NotADirectoryError):
        missing = "is a file" if folder.exists() else "does not exist"
        what = "has no manifest.json" if folder.is_dir() else missing
        raise ClozeError(
            f"{folder} is not an index: it {what}; make one with: cloze index {folder} CORPUS"
        ) from None
    except (ValueError, KeyError, AttributeError, TypeError):
        raise _damaged(path, "it can't be read") from None
    if newer > FORMAT:
        raise ClozeError(
            f"{folder} has format {newer}, this cloze reads up to {FORMAT}; upgrade cloze-search"
        )
    if found != (expected := _checksum(content)):
        raise _damaged(path, f"its checksum is {str(found)[:12]}…, its content's {expected[:12]}…")
    encoder = _with_short_precision(content.pop("encoder"))
    tokens = content.pop("token_vectors", None)
    return Manifest(
        encoder=EncoderSeal(**encoder) if encoder else None,
        token_vectors=TokenVectorSeal(**tokens) if tokens else None,
        defaults=Defaults(**content.pop("defaults", {})),
        **content,
    )


def _with_short_precision(encoder: dict[str, Any] | None) -> dict[str, Any] | None:
    """Name the precision as we do now; torch's names were written once."""
    if encoder is None:
        return None
    return encoder | {"precision": _LONG_PRECISIONS.get(encoder["precision"], encoder["precision"])}


def _damaged(path: Path, what: str) -> DamagedIndexError:
    return DamagedIndexError(
        f"{path} is damaged: {what}; restore it from a copy, or delete {path.parent} and index "
        "the corpus again"
    )


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def check_same(folder: Path, sealed: Manifest, wanted: dict[str, Any]) -> None:
    """Check settings asked for against those sealed; None asks for nothing.

    Raises:
        ClozeError: one differs; both values and the command that mends it are named.
    """
    for name, value in wanted.items():
        have = getattr(sealed, name)
        if value is not None and value != have:
            raise ClozeError(
                f"{folder} was built with {name.replace('_', ' ')} {have!r}, asked for {value!r}; "
                f"leave the option out, or index into a new folder"
            )


def check_encoder(folder: Path, sealed: EncoderSeal | None, wanted: EncoderSeal) -> None:
    """Check the encoder at hand against the one that made the index's vectors.

    Raises:
        ClozeError: they differ; both are named, with the command that mends it.
    """
    if sealed is None:
        raise ClozeError(
            f"{folder} was built with --lexical-only, asked for {wanted.name}; "
            f"to give it vectors run: cloze reindex {folder} --model {wanted.name}"
        )
    if sealed.form != wanted.form:
        raise ClozeError(
            f"{folder} holds vectors made in {sealed.form}, asked to add some in {wanted.form}; "
            f"leave --precision and CLOZE_PRECISION out on a machine that has {sealed.precision}, "
            f"or encode it anew with: cloze reindex {folder} --model {wanted.name} --precision "
            f"{wanted.precision}"
        )
    for name in ("content_hash", "dimension", "pooling", "normalize", "query_prompt",
                 "document_prompt", "max_tokens"):  # fmt: skip
        have, found = getattr(sealed, name), getattr(wanted, name)
        if have != found:
            raise ClozeError(
                f"{folder} was built with {sealed.name} ({name.replace('_', ' ')} {_short(have)}), "
                f"the encoder at hand is {wanted.name} ({_short(found)}); name the first with "
                f"--model, or re-encode with: cloze reindex {folder} --model {wanted.name}"
            )


def with_unsealed(manifest: Manifest, source: Manifest) -> Manifest:
    """Return a manifest with what is not sealed, and may change at any time, from another."""
    return replace(manifest, defaults=source.defaults, faiss=source.faiss, recall=source.recall)


def check_unchanged(folder: Path, known: Manifest) -> Manifest:
    """Return the manifest as it is now, which may differ from the one known in the unsealed alone.

    Raises:
        ClozeError: another process has put other data in its place.
    """
    found = read_manifest(folder)
    if with_unsealed(found, known) != known:
        raise ClozeError(
            f"{folder} was reindexed by another process while this one had it open; run this again"
        )
    return found


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 16 else f"{text[:12]}…"


def stamp(folder: Path) -> tuple[int, int]:
    """Return what changes when the manifest is replaced."""
    status = (folder / NAME).stat()
    return status.st_ino, status.st_mtime_ns


def read_stamped(folder: Path) -> tuple[Manifest, tuple[int, int]]:
    """Read the manifest, and the stamp that is its own even if it is being replaced.

    Raises:
        ClozeError: as `read_manifest`.
    """
    while True:
        manifest = read_manifest(folder)
        seen = stamp(folder)
        if read_manifest(folder) == manifest:
            return manifest, seen
