"""Texts to vectors: tokenise, sort by length, batch by tokens, run, and put back in order."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from indexer.errors import ClozeError
from indexer.runtime.forward import Forward, load_forward

if TYPE_CHECKING:
    from indexer.runtime.checkpoint import Checkpoint

PAD_MULTIPLE = 16
BATCH_TOKENS = 2048


class Encoder:
    """A bi-encoder: texts in, one vector each out, of norm 1 where the checkpoint normalises.

    A text's padded length is the next multiple of 16 of its own tokens and a batch holds one
    padded length, so that a vector depends on its text alone, bit for bit on one machine.
    """

    def __init__(self, checkpoint: "Checkpoint", *, device: str = "cpu", threads: int = 1) -> None:
        """Load tokenizer and model.

        Raises:
            ClozeError: the tokenizer or the weights can't be loaded, or there is no such device.
        """
        self.checkpoint = checkpoint
        path = checkpoint.folder / "tokenizer.json"
        try:
            self.tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises bare Exception
            raise ClozeError(f"{path} can't be read ({error}); save it again") from error
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        prompt = self.tokenizer.encode(checkpoint.document_prompt, add_special_tokens=True)
        # Tokens of every passage that are not its text: special ones, and the document prompt.
        self.added_tokens = len(prompt.ids)
        self.device = device
        self.threads = threads if device == "cpu" else 1
        self._forward = load_forward(checkpoint, device, threads)

    @property
    def precision(self) -> str:
        """Name the number format that the forward pass runs in."""
        return self._forward.precision

    def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of queries, with the checkpoint's query prompt: [texts, dimension]."""
        return self._encode([self.checkpoint.query_prompt + text for text in texts])

    def encode_documents(
        self, texts: Sequence[str], *, encoded: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """Return the vectors of passages, with the document prompt: [texts, dimension].

        `encoded` hears how many texts each batch has finished.
        """
        return self._encode(
            [self.checkpoint.document_prompt + text for text in texts], encoded or (lambda _: None)
        )

    def token_offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Return each text's tokens as code points [start, end), without special tokens."""
        return [e.offsets for e in self._tokenize(texts, specials=False)]

    def _encode(
        self, texts: Sequence[str], encoded: Callable[[int], None] = lambda _: None
    ) -> NDArray[np.float32]:
        vectors = np.zeros((len(texts), self.checkpoint.dimension), dtype=np.float32)
        ids = [e.ids for e in self._tokenize(texts, specials=True)]
        limit = self.checkpoint.max_tokens
        # A cut keeps the last special token, as a tokenizer that truncates does.
        ids = [row if len(row) <= limit else row[: limit - 1] + row[-1:] for row in ids]
        work = list(batches([len(row) for row in ids], limit))
        for (_, rows), found in zip(work, self._run_all(ids, work), strict=True):
            vectors[rows] = found
            encoded(len(rows))
        return vectors

    def _run_all(
        self, ids: list[list[int]], work: list[tuple[int, list[int]]]
    ) -> Iterator[NDArray[np.float32]]:
        """Run batches in order: a few with all threads each, many with a thread each."""
        tasks = [([ids[row] for row in rows], length) for length, rows in work]
        if len(tasks) <= self.threads or self.threads == 1:
            yield from (_run(self._forward, *task) for task in tasks)
            return
        streams = self._streams
        with ThreadPoolExecutor(max_workers=self.threads) as pool:
            yield from pool.map(lambda task: _run(streams, *task), tasks)

    @cached_property
    def _streams(self) -> Forward:
        """The same model for as many batches at once as there are threads; indexing needs it.

        OpenVINO sets up what its calls share in the first of them; two first calls at once, from
        two threads, have been seen to wait for each other without end. So the first is made here.
        """
        streams = load_forward(self.checkpoint, self.device, self.threads, self.threads)
        _run(streams, [[0]], PAD_MULTIPLE)
        return streams

    def _tokenize(self, texts: Sequence[str], *, specials: bool) -> list[Any]:
        encodings: list[Any] = self.tokenizer.encode_batch(list(texts), add_special_tokens=specials)
        return encodings


def _run(forward: Forward, ids: list[list[int]], length: int) -> NDArray[np.float32]:
    padded = np.zeros((len(ids), length), dtype=np.int64)
    mask = np.zeros_like(padded)  # [batch, length]
    for row, tokens in enumerate(ids):
        padded[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    return forward(padded, mask)


def batches(lengths: Sequence[int], limit: int) -> Iterator[tuple[int, list[int]]]:
    """Group rows into batches of one padded length and at most `BATCH_TOKENS`, longest first.

    Padding never goes beyond `limit`, where the model's positions end.
    """
    by_length: dict[int, list[int]] = {}
    for row, length in enumerate(lengths):
        padded = min(-(-length // PAD_MULTIPLE) * PAD_MULTIPLE, limit)
        by_length.setdefault(padded, []).append(row)
    for padded in sorted(by_length, reverse=True):
        rows = by_length[padded]
        size = max(1, BATCH_TOKENS // max(padded, 1))
        for start in range(0, len(rows), size):
            yield padded, rows[start : start + size]
