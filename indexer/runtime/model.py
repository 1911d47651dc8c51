"""A checkpoint ready to run: its tokenizer, and its forward pass over many rows."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from typing import Protocol, TypeAlias, runtime_checkable

from tokenizers import Tokenizer

from indexer.errors import ClozeError
from indexer.runtime.forward import AnyCheckpoint, Forward, Outputs, load_forward
from indexer.runtime.precision import Precision, is_automatic, resolve
from indexer.runtime.rows import PAD_MULTIPLE, TokenRow, batches, padded, token_budget

# Batches that wait for each thread, so that none is idle and few results lie in memory.
_AHEAD = 2

# Batch by batch: places in the rows that were given, and what the model made of them.
Ran: TypeAlias = Iterator[tuple[list[int], Outputs]]
Runner: TypeAlias = Callable[["Model", Sequence[TokenRow]], Ran]


@runtime_checkable
class _Streamed(Protocol):
    """A forward pass that as many threads may call at once as it was loaded with streams."""

    streams: int


class Model:
    """A checkpoint's tokenizer and forward pass; what a row gives depends on that row alone.

    A row's padded length is the next multiple of 16 of its own tokens and a batch holds one padded
    length, so that on a CPU outputs are equal bit for bit whatever shares the batch.
    """

    def __init__(
        self,
        checkpoint: AnyCheckpoint,
        *,
        device: str = "cpu",
        precision: str | None = None,
        threads: int = 1,
        tokens: bool = False,
    ) -> None:
        """Load tokenizer and weights; with `tokens` an encoder gives its hidden states too.

        Raises:
            ClozeError: either can't be loaded, or there is no such device or precision.
        """
        self.checkpoint = checkpoint
        self.device = device
        self.threads = threads if device == "cpu" else 1
        self.tokenizer = read_tokenizer(checkpoint)
        self._tokens = tokens
        self._automatic = is_automatic(precision)
        self._runner: Runner | None = None
        self._forward = self._load(resolve(precision, device), streams=1)

    @property
    def precision(self) -> Precision:
        """The number format that the forward pass runs in."""
        return self._forward.precision

    def share(self, runner: Runner) -> None:
        """Leave every `run` from now on to a runner, which calls `run_here` in a thread of its own.

        Callers of several threads then share one model; what a row gives is the same.
        """
        self._runner = runner

    def run(self, rows: Sequence[TokenRow]) -> Ran:
        """Run rows, the longest first; yield batch by batch their places and their outputs."""
        return self.run_here(rows) if self._runner is None else self._runner(self, rows)

    def run_here(self, rows: Sequence[TokenRow]) -> Ran:
        """Run rows in the calling thread, as `run` does where no runner was given.

        A few batches run one after another with all threads, many with a thread each.
        """
        lengths = [len(row.ids) for row in rows]
        work = list(batches(lengths, self.checkpoint.max_tokens, token_budget(self.device)))
        if len(work) <= self.threads or self.threads == 1:
            for length, places in work:
                yield places, self._forward(padded([rows[place] for place in places], length))
            return
        forward = self._streams
        waiting: deque[tuple[list[int], Future[Outputs]]] = deque()
        try:
            for length, places in work:
                if len(waiting) >= _AHEAD * self.threads:
                    done, future = waiting.popleft()
                    yield done, future.result()
                chosen = [rows[place] for place in places]
                waiting.append((places, self._pool.submit(_run, forward, chosen, length)))
            while waiting:
                done, future = waiting.popleft()
                yield done, future.result()
        finally:  # the caller may have had enough
            for _, future in waiting:
                future.cancel()

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        """The threads of the streams, kept with what a runtime sets up for each of them."""
        return ThreadPoolExecutor(max_workers=self.threads, thread_name_prefix="model")

    @cached_property
    def _streams(self) -> Forward:
        """The same model for as many batches at once as there are threads; indexing needs it.

        A forward pass that has no streams serves any number of threads as it is. OpenVINO sets up
        what its calls share in the first of them; two first calls at once, from two threads, have
        been seen to wait for each other without end. So the first is made here.
        """
        if not isinstance(self._forward, _Streamed):
            return self._forward
        streams = self._load(self.precision, streams=self.threads)
        streams(padded([TokenRow([0])], PAD_MULTIPLE))
        return streams

    def _load(self, precision: Precision, *, streams: int) -> Forward:
        return load_forward(
            self.checkpoint, self.device, precision, self.threads,
            streams=streams, tokens=self._tokens, fallback=self._automatic,
        )  # fmt: skip


def _run(forward: Forward, rows: Sequence[TokenRow], length: int) -> Outputs:
    return forward(padded(rows, length))


def read_tokenizer(checkpoint: AnyCheckpoint) -> Tokenizer:
    """Read a checkpoint's tokenizer, which then neither pads nor truncates.

    Raises:
        ClozeError: it can't be read.
    """
    path = checkpoint.folder / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception
        raise ClozeError(f"{path} can't be read ({error}); save it again") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer
