"""The encoder of an index: opened, held against what the manifest seals, its precision settled."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from indexer.agreement import (
    LEAST_OF_DOCUMENTS,
    LEAST_OF_QUERIES,
    stored_agreement,
    varied,
    worst_cosine,
)
from indexer.creation import seal
from indexer.documents import Document
from indexer.encoder import Encoder
from indexer.errors import ClozeError
from indexer.manifest import EncoderSeal, check_encoder
from indexer.models import find_model
from indexer.preparation import passage_texts
from indexer.runtime.precision import FINER, has, is_automatic

if TYPE_CHECKING:
    from indexer.opened import OpenedIndex


def open_encoder(index: "OpenedIndex", model: str) -> Encoder:
    """Load an encoder and check it against the one that made an index's vectors.

    Precision is sealed for documents alone. A query is encoded in theirs where this machine has it,
    and else in another one that agrees with them on passages that the index holds.

    Raises:
        ClozeError: it is another encoder, is not to be found, or its precision loses too much.
    """
    sealed = index.manifest.encoder
    try:
        checkpoint = find_model(model)
    except ClozeError as error:
        raise ClozeError(
            f"{index.folder} can't have its encoder: {error}; if it has moved, run: cloze index "
            f"{index.folder} CORPUS --model PLACE"
        ) from error
    asked = index.precision
    if sealed and is_automatic(asked) and has(sealed.precision, index.device):
        asked = sealed.precision
    encoder = Encoder(checkpoint, device=index.device, threads=index.threads, precision=asked)
    found = seal(encoder)
    check_encoder(
        index.folder, sealed, replace(found, precision=sealed.precision) if sealed else found
    )
    if sealed and sealed.precision != encoder.precision:
        _check_queries(index, encoder, sealed)
    return encoder


def _check_queries(index: "OpenedIndex", encoder: Encoder, sealed: EncoderSeal) -> None:
    worst = stored_agreement(index, encoder)
    if worst < LEAST_OF_QUERIES:
        raise ClozeError(
            f"{index.folder} holds vectors made in {sealed.precision}, queries in "
            f"{encoder.precision} differ from them (worst cosine {worst:.4f}, at least "
            f"{LEAST_OF_QUERIES} is needed); choose another --precision, or encode it anew with: "
            f"cloze reindex {index.folder} --model {sealed.name}"
        )


def settle(index: "OpenedIndex", documents: Sequence[Document]) -> Encoder:
    """Hold the precision of an index that has no documents yet against fp32, on its first ones.

    Where the choice was left to us and the worst of 64 passages of varied length differs too much,
    the encoder of the next finer precision is returned instead, with a notice.
    """
    encoder = index.encoder
    if encoder.precision == "fp32" or not is_automatic(index.precision):
        return encoder
    rule = index.manifest.rule
    texts = varied([text for each in documents for _, text in passage_texts(each, encoder, rule)])
    exact = _in(encoder, "fp32")
    expected = exact.encode_documents(texts)
    while (worst := worst_cosine(encoder.encode_documents(texts), expected)) < LEAST_OF_DOCUMENTS:
        finer = FINER[encoder.precision]
        index.notices.append(
            f"{encoder.precision} loses too much on these documents (worst cosine to fp32 "
            f"{worst:.4f} of {len(texts)} passages, at least {LEAST_OF_DOCUMENTS} is needed): "
            f"{finer} is used"
        )
        encoder = exact if finer == "fp32" else _in(encoder, finer)
    return encoder


def _in(encoder: Encoder, precision: str) -> Encoder:
    return Encoder(
        encoder.checkpoint, device=encoder.device, threads=encoder.threads, precision=precision
    )
