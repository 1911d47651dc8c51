"""Handles on one index folder, one a thread, that share the encoder."""

import logging
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.index import Index
from search.reranking.opening import NONE
from search.service.models import Models
from search.service.settings import ServiceSettings

if TYPE_CHECKING:
    from indexer.encoder import Encoder
    from indexer.manifest import EncoderSeal
    from indexer.opened import OpenedIndex

# Encoders that are kept: the index's, and the one before while some handles are still there.
_KEPT = 2
_WARM = "warm"
_LOG = logging.getLogger(__name__)
# Tokens of queries whose batches are run once before the first query comes.
_WARM_LENGTHS = (8, 24, 40)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What an index is searched with: its encoder and the seal of that, its default reranker."""

    encoder: "Encoder | None" = None
    seal: "EncoderSeal | None" = None
    rerank: str = NONE


class Handles:
    """Opens the index for every thread of a service, and knows the encoder of the newest commit."""

    def __init__(self, folder: Path, settings: ServiceSettings, models: Models) -> None:
        """Open nothing yet."""
        self.folder = folder
        self.served = Served()
        self._settings = settings
        self._models = models
        self._encoders: dict[EncoderSeal, Encoder] = {}

    def open(self, *, tokens: bool = False) -> Index:
        """Open a handle for the calling thread; with `tokens` its encoder gives token vectors too.

        Raises:
            ClozeError: it is no index.
        """
        settings = self._settings
        return Index.open(
            self.folder,
            device=settings.device,
            threads=settings.threads,
            precision=settings.precision,
            load_encoder=partial(self._load, tokens=tokens),
        )

    def _load(self, index: "OpenedIndex", name: str, *, tokens: bool) -> "Encoder":
        """Return the encoder that a handle is to have, loaded while no other model runs."""
        sealed = index.manifest.encoder
        tokens = tokens or index.manifest.token_vectors is not None
        known = None if sealed is None else self._encoders.get(sealed)
        if known is not None and not tokens:
            return known
        with self._models.exclusive():
            # Another handle may have loaded it meanwhile.
            known = None if sealed is None else self._encoders.get(sealed)
            encoder = known or self._opened(index, name)
            if tokens:
                encoder.query_tokens([_WARM])
        return encoder

    def _opened(self, index: "OpenedIndex", name: str) -> "Encoder":
        from indexer.sealed_encoder import open_encoder

        encoder = open_encoder(index, name)
        self._warm(encoder)
        self._keep(index.manifest.encoder, encoder)
        return encoder

    def _warm(self, encoder: "Encoder") -> None:
        """Run batches of the usual shapes: what a runtime prepares for each is ready then."""
        texts = [" ".join([_WARM] * length) for length in _WARM_LENGTHS]
        for text in texts:
            encoder.encode_queries([text])
        encoder.encode_queries(texts * max(1, self._settings.batch_queries - 1))

    def _keep(self, sealed: "EncoderSeal | None", encoder: "Encoder") -> None:
        """Share an encoder from now on, under its seal and under that with its own name."""
        encoder.share(self._models.run)
        if sealed is None:
            return
        known = [each for each in self._encoders.items() if each[1] is not encoder]
        self._encoders = dict(known[-2 * (_KEPT - 1) :])
        for seal in (sealed, replace(sealed, name=encoder.checkpoint.name)):
            self._encoders[seal] = encoder

    def until(self, deadline: float) -> AbstractContextManager[None]:
        """Refuse model runs of the calling thread after an instant; see `Models.until`."""
        return self._models.until(deadline)

    def adopt(self, index: Index) -> None:
        """Share the encoder that a handle came to by itself, for an index's first documents."""
        self._keep(index.manifest.encoder, index.encoder)

    def follow(self, index: Index) -> None:
        """Take note of the encoder and the default reranker of the commit that a handle has."""
        manifest, served = index.manifest, self.served
        rerank = self._settings.rerank or manifest.defaults.rerank or NONE
        is_missing = served.encoder is None and "encoder" in index.__dict__
        if (manifest.encoder, rerank) == (served.seal, served.rerank) and not is_missing:
            return
        encoder = None
        if manifest.encoder is not None:
            try:
                encoder = index.encoder
            except Exception as error:  # each query that needs it is told
                _LOG.warning("%s has no encoder now: %s", index.folder, error)
        # The seal as it is after loading, which may have noted a new place of the checkpoint.
        self.served = Served(encoder=encoder, seal=index.manifest.encoder, rerank=rerank)
