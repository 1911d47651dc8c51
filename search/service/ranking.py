"""Ranking: texts that are in no index, scored against a query."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from indexer.documents import Document
from indexer.passages import PassageRule, cut
from search.service.parts import Pair, Part, Work, parts

if TYPE_CHECKING:
    from indexer.encoder import Encoder
    from indexer.runtime.rows import TokenRow
    from search.reranking.crossencoder import CrossEncoder

# Texts that are cut at once.
_AT_ONCE = 16
# A window of a text, by the text's place, and its number of tokens.
_Window = tuple[tuple[int, str], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """The scores of texts, in their order: a cross-encoder's own, else cosines of the encoder.

    `tokens` are those of the query and of the texts.
    """

    scores: list[float]
    tokens: int
    model: Literal["cross-encoder", "encoder"]


def rank(
    encoder: "Encoder",
    cross_encoder: "CrossEncoder | None",
    rule: PassageRule,
    query: str,
    texts: Sequence[str],
) -> Work[Ranked]:
    """Score texts, each by the best of the windows that the index's rule cuts it into."""
    (asked,) = encoder.query_rows([query])
    windows = _Windows(encoder, rule, texts, tokens=len(asked.ids))
    best = np.full(len(texts), -np.inf)
    if cross_encoder is not None:
        yield from _by_cross_encoder(cross_encoder, query, windows, best)
    else:
        yield from _by_encoder(encoder, asked, windows, best)
    return Ranked(
        scores=best.tolist(), tokens=windows.tokens,
        model="encoder" if cross_encoder is None else "cross-encoder",
    )  # fmt: skip


class _Windows:
    """The windows of texts, and the tokens that were read so far."""

    def __init__(
        self, encoder: "Encoder", rule: PassageRule, texts: Sequence[str], tokens: int
    ) -> None:
        self._encoder = encoder
        self._rule = rule
        self._texts = texts
        self._of_query = tokens
        self.tokens = tokens

    def __iter__(self) -> Iterator[_Window]:
        """Yield every window, that of a text without words being the text, text after text."""
        for start in range(0, len(self._texts), _AT_ONCE):
            texts = self._texts[start : start + _AT_ONCE]
            read = self._encoder.token_offsets(texts)
            for place, (text, offsets) in enumerate(zip(texts, read, strict=True), start):
                self.tokens += len(offsets)
                yield from self._cut(place, text, offsets)

    def _cut(self, place: int, text: str, offsets: list[tuple[int, int]]) -> Iterator[_Window]:
        document = Document(id="text", text=text)
        found = cut(document, (), offsets, self._rule, self._encoder.added_tokens)
        shown = [passage.text for passage in found.passages] or [text]
        for window in shown:
            yield (place, window), self._of_query + min(len(offsets), self._rule.tokens)


def _by_cross_encoder(
    model: "CrossEncoder", query: str, windows: _Windows, best: NDArray[np.float64]
) -> Work[None]:
    for part, tokens in parts(windows, model.device):
        pairs: list[Pair] = [(query, window) for _, window in part]
        scores = yield Part(model, pairs, tokens)
        np.maximum.at(best, [place for place, _ in part], scores)


def _by_encoder(
    encoder: "Encoder", asked: "TokenRow", windows: _Windows, best: NDArray[np.float64]
) -> Work[None]:
    found = yield Part(encoder, [asked], len(asked.ids))
    query = _unit(found)[0]
    for part, tokens in parts(windows, encoder.device):
        rows = encoder.document_rows([window for _, window in part])
        vectors = yield Part(encoder, rows, tokens)
        # Row by row: a product of matrices would sum in an order that follows their number.
        cosines = (_unit(vectors) * query).sum(axis=1)
        np.maximum.at(best, [place for place, _ in part], cosines)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return vectors of norm 1, 0 for one of norm 0: [rows, dimension]."""
    exact = vectors.astype(np.float64)
    norms = np.linalg.norm(exact, axis=1, keepdims=True)
    return exact / np.where(norms == 0, 1.0, norms)
