"""Texts to vectors, one for each text or one for each of its tokens."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from indexer.runtime.checkpoint import Checkpoint
from indexer.runtime.model import Model, Runner
from indexer.runtime.precision import Precision
from indexer.runtime.rows import TokenRow

_Read = TypeVar("_Read")

# Texts that are sorted by length and run together, while the next ones are tokenised.
_BLOCK = 2048


@dataclass(frozen=True, slots=True)
class TokenVectors:
    """A text's tokens, special ones included: ids, code points [start, end), float32 vectors.

    `vectors` are the hidden states of the last layer, [tokens, hidden]; special tokens, and those
    of a prompt, stand at (0, 0).
    """

    ids: list[int]
    offsets: list[tuple[int, int]]
    vectors: NDArray[np.float32]


class Encoder:
    """A bi-encoder: texts in, one vector each out, of norm 1 where the checkpoint normalises.

    On a CPU a vector depends on its text alone, bit for bit on one machine.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        device: str = "cpu",
        threads: int = 1,
        precision: str | None = None,
    ) -> None:
        """Load tokenizer and model; `precision` None goes by `CLOZE_PRECISION`, else the processor.

        Raises:
            ClozeError: the tokenizer or the weights can't be loaded, or there is no such device or
                precision.
        """
        self.checkpoint = checkpoint
        self.device = device
        self.threads = threads
        self._model = Model(checkpoint, device=device, precision=precision, threads=threads)
        self._runner: Runner | None = None
        self.tokenizer = self._model.tokenizer
        prompt = self.tokenizer.encode(checkpoint.document_prompt, add_special_tokens=True)
        # Tokens of every passage that are not its text: special ones, and the document prompt.
        self.added_tokens = len(prompt.ids)

    @property
    def precision(self) -> Precision:
        """The number format that the forward pass runs in."""
        return self._model.precision

    def share(self, runner: Runner) -> None:
        """Leave all forward passes from now on to a runner; see `Model.share`."""
        self._runner = runner
        self._model.share(runner)
        if "_with_tokens" in self.__dict__:
            self._with_tokens.share(runner)

    @property
    def unknown_id(self) -> int | None:
        """The token of whatever the vocabulary lacks; None where it can spell everything."""
        name = getattr(self.tokenizer.model, "unk_token", None)
        return None if name is None else self.tokenizer.token_to_id(name)

    def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of queries, with the checkpoint's query prompt: [texts, dimension]."""
        return self._encode([self.checkpoint.query_prompt + text for text in texts])

    def query_rows(self, texts: Sequence[str]) -> list[TokenRow]:
        """Return the tokens of queries as `vectors` takes them, with the query prompt."""
        return self._rows([self.checkpoint.query_prompt + text for text in texts])

    def document_rows(self, texts: Sequence[str]) -> list[TokenRow]:
        """Return the tokens of passages as `vectors` takes them, with the document prompt."""
        return self._rows([self.checkpoint.document_prompt + text for text in texts])

    def row(self, ids: list[int]) -> TokenRow:
        """Return token ids, special ones included, as a row: cut at the longest input.

        The last special token is kept, as a tokenizer does.
        """
        return TokenRow(self._cut(ids), truncated=len(ids) > self.checkpoint.max_tokens)

    def vectors(self, rows: Sequence[TokenRow]) -> NDArray[np.float32]:
        """Return the vectors of texts that are tokenised already: [rows, dimension]."""
        vectors = np.empty((len(rows), self.checkpoint.dimension), dtype=np.float32)
        for places, (found, *_) in self._model.run(rows):
            vectors[places] = found
        return vectors

    def encode_documents(
        self, texts: Sequence[str], *, encoded: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """Return the vectors of passages, with the document prompt: [texts, dimension].

        `encoded` hears how many texts each batch has finished.
        """
        return self._encode(
            [self.checkpoint.document_prompt + text for text in texts], encoded or (lambda _: None)
        )

    def query_tokens(self, texts: Sequence[str]) -> list[TokenVectors]:
        """Return the tokens of queries with their vectors."""
        return self._token_vectors(texts, self.checkpoint.query_prompt)

    def document_tokens(self, texts: Sequence[str]) -> list[TokenVectors]:
        """Return the tokens of passages with their vectors."""
        return self._token_vectors(texts, self.checkpoint.document_prompt)

    def documents_with_tokens(
        self, texts: Sequence[str]
    ) -> Iterator[tuple[list[int], NDArray[np.float32], list[TokenVectors]]]:
        """Yield passages batch by batch as they finish: places in `texts`, vectors and tokens.

        The vectors, [batch, dimension], are those of `encode_documents`; one pass gives both.
        """
        return self._token_batches(texts, self.checkpoint.document_prompt)

    def token_offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Return each text's tokens as code points [start, end), without special tokens."""
        return [e.offsets for e in self._tokenize(texts, specials=False)]

    def _encode(
        self, texts: Sequence[str], encoded: Callable[[int], None] = lambda _: None
    ) -> NDArray[np.float32]:
        vectors = np.zeros((len(texts), self.checkpoint.dimension), dtype=np.float32)
        first = 0
        for rows in self._ahead(texts, self._rows):
            for places, (found, *_) in self._model.run(rows):
                vectors[first + np.array(places)] = found
                encoded(len(places))
            first += len(rows)
        return vectors

    def _ahead(
        self, texts: Sequence[str], read: Callable[[Sequence[str]], list[_Read]]
    ) -> Iterator[list[_Read]]:
        """Tokenise block after block, the next one while the model runs the last."""
        if len(texts) <= _BLOCK:
            yield read(texts)
            return
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="tokenize") as pool:
            pending = pool.submit(read, texts[:_BLOCK])
            for start in range(_BLOCK, len(texts), _BLOCK):
                ready = pending.result()
                pending = pool.submit(read, texts[start : start + _BLOCK])
                yield ready
            yield pending.result()

    def _rows(self, texts: Sequence[str]) -> list[TokenRow]:
        # The fast way gives the same ids, and no offsets.
        encodings = self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=True)
        return [self.row(each.ids) for each in encodings]

    def _cut(self, values: list[Any]) -> list[Any]:
        """Cut what there is a token, as `row` does."""
        limit = self.checkpoint.max_tokens
        return values if len(values) <= limit else values[: limit - 1] + values[-1:]

    @cached_property
    def _with_tokens(self) -> Model:
        """The same model, with its hidden states as an output besides."""
        model = Model(
            self.checkpoint, device=self.device, precision=self.precision, threads=self.threads,
            tokens=True,
        )  # fmt: skip
        if self._runner is not None:
            model.share(self._runner)
        return model

    def _token_vectors(self, texts: Sequence[str], prompt: str) -> list[TokenVectors]:
        found: dict[int, TokenVectors] = {}
        for places, _, tokens in self._token_batches(texts, prompt):
            found |= zip(places, tokens, strict=True)
        return [found[place] for place in range(len(texts))]

    def _token_batches(
        self, texts: Sequence[str], prompt: str
    ) -> Iterator[tuple[list[int], NDArray[np.float32], list[TokenVectors]]]:
        first = 0
        for encodings in self._ahead([prompt + text for text in texts], self._whole):
            rows = [self.row(e.ids) for e in encodings]
            for places, (vectors, hidden) in self._with_tokens.run(rows):
                tokens = [
                    TokenVectors(
                        ids=list(rows[place].ids),
                        offsets=self._offsets(encodings[place], len(prompt)),
                        vectors=states[: len(rows[place].ids)],
                    )
                    for place, states in zip(places, hidden, strict=True)
                ]
                yield [first + place for place in places], vectors, tokens
            first += len(rows)

    def _offsets(self, encoding: Any, prompt: int) -> list[tuple[int, int]]:  # noqa: ANN401
        """Return where tokens lie in the text behind a prompt; (0, 0) for the prompt's own."""
        return [(max(a - prompt, 0), max(b - prompt, 0)) for a, b in self._cut(encoding.offsets)]

    def _whole(self, texts: Sequence[str]) -> list[Any]:
        return self._tokenize(texts, specials=True)

    def _tokenize(self, texts: Sequence[str], *, specials: bool) -> list[Any]:
        encodings: list[Any] = self.tokenizer.encode_batch(list(texts), add_special_tokens=specials)
        return encodings
