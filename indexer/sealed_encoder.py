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
from indexer.runtime.checkpoint import Checkpoint
from indexer.runtime.precision import Precision, can_quantise, finer, has, is_automatic, resolve

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
    if sealed is None:
        return _open(index, checkpoint, index.precision)
    if not is_automatic(index.precision):
        return _agreeing(index, checkpoint, [index.precision])
    return _agreeing(index, checkpoint, _candidates(index, sealed))


def _open(index: "OpenedIndex", checkpoint: Checkpoint, precision: str | None) -> Encoder:
    """Load an encoder, and check that it is the one sealed but for its precision."""
    encoder = Encoder(checkpoint, device=index.device, threads=index.threads, precision=precision)
    sealed, found = index.manifest.encoder, seal(encoder)
    if sealed is not None:
        found = replace(found, precision=sealed.precision, calibration=sealed.calibration)
    check_encoder(index.folder, sealed, found)
    return encoder


def _candidates(index: "OpenedIndex", sealed: EncoderSeal) -> list[str]:
    """Return the precisions to try for queries: the documents', then the fastest here and finer."""
    precision: Precision = resolve(index.precision, index.device)
    found: list[str] = [sealed.precision] if has(sealed.precision, index.device) else []
    while precision not in found:
        found.append(precision)
        precision = finer(precision, index.device)
    if (
        sealed.precision == "int8"
        and index.device == "cpu"
        and "int8" not in found
        and can_quantise()
    ):
        found.append("int8")  # slow without its instructions, but what the documents have
    return found


def _agreeing(
    index: "OpenedIndex", checkpoint: Checkpoint, precisions: Sequence[str | None]
) -> Encoder:
    """Return the first encoder that agrees with the vectors that the index holds."""
    sealed = index.manifest.encoder
    if sealed is None:
        raise AssertionError("an index without an encoder has nothing to agree with")
    told = []
    for precision in precisions:
        encoder = _open(index, checkpoint, precision)
        form = seal(encoder).form
        if form == sealed.form or (worst := stored_agreement(index, encoder)) >= LEAST_OF_QUERIES:
            return encoder
        told.append(f"{encoder.precision} {worst:.5f}")
    raise ClozeError(
        f"{index.folder} holds vectors made in {sealed.precision}, and this encoder's differ too "
        f"much from them: worst cosine in {', in '.join(told)}, at least {LEAST_OF_QUERIES} is "
        "needed; choose another --precision or --device, or encode it anew with: cloze reindex "
        f"{index.folder} --model {sealed.name} --precision {precisions[-1]}"
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
    while True:
        worst = worst_cosine(encoder.encode_documents(texts), expected)
        if worst >= LEAST_OF_DOCUMENTS:
            return encoder
        better = finer(encoder.precision, index.device)
        index.notices.append(
            f"{encoder.precision} loses too much on these documents (worst cosine to fp32 "
            f"{worst:.4f} of {len(texts)} passages, at least {LEAST_OF_DOCUMENTS} is needed): "
            f"{better} is used"
        )
        if better == "fp32":
            return exact
        encoder = _in(encoder, better)


def _in(encoder: Encoder, precision: str) -> Encoder:
    return Encoder(
        encoder.checkpoint, device=encoder.device, threads=encoder.threads, precision=precision
    )
