"""A batch's texts through the encoder, forward and backward, as many at once as memory holds."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from training.biencoder.batches import Packing
from training.finetuning.encoder import PLACES_AT_ONCE, TextEncoder
from training.finetuning.rows import TextRows
from training.memory import MemoryShortError, free_bytes, is_memory

# Of lots without a graph: on CPUs a larger one is no faster by more than a twentieth, and is what
# memory goes into.
_PLACES_AGAIN = 2048
# Of kept lots, so many more must fit: the next one, and what the backward pass takes on top.
_LOTS_LEFT = 2

_T = TypeVar("_T")


class Passing:
    """Gives texts' vectors, and takes the gradient with respect to them back through the encoder.

    With `keeps_graph` all that the backward pass needs is kept from the forward pass. Without, each
    lot of rows goes forward once more just before it goes backward (GradCache; Gao et al., 2021,
    "Scaling deep contrastive learning batch size under memory limited setup"), so that memory
    doesn't grow with the batch. There is no dropout in our forward pass, so the second time gives
    the vectors of the first with no random state to restore, and both ways one gradient.

    Where memory runs out, or the next lot's graph would take what a CPU has left, from then on half
    as many rows go through at once, and no graph is kept.
    The batch stays what it is: a text's vector depends on its own row alone, the loss sees all
    vectors whichever way they were made, and the gradient of the weights is a sum over rows.
    """

    def __init__(
        self, encoder: TextEncoder, *, keeps_graph: bool, tell: Callable[[str], None]
    ) -> None:
        """Begin with as many places at once as is fast; `tell` hears where memory ran out."""
        self.at_once = PLACES_AT_ONCE if keeps_graph else _PLACES_AGAIN
        self.keeps_graph = keeps_graph
        self._encoder = encoder
        self._tell = tell
        self._graph: list[tuple[TextRows, Tensor]] = []

    def vectors(self, packing: Packing) -> Tensor:
        """Return the vectors of packed texts without gradient, [texts, hidden].

        Raises:
            MemoryShortError: memory doesn't hold one row.
        """
        return self._fitting(packing, self._forward)

    def backward(self, packing: Packing, gradient: Tensor) -> None:
        """Make the gradients of the weights from that of the vectors just made, [texts, hidden].

        The weights have none before.

        Raises:
            MemoryShortError: memory doesn't hold one row.
        """

        def work(packing: Packing) -> None:
            self._backward(packing, gradient)

        self._fitting(packing, work)

    def _forward(self, packing: Packing) -> Tensor:
        made: list[tuple[TextRows, Tensor]] = []
        before = free_bytes() if self.keeps_graph and self._encoder.is_on_cpu else None
        with torch.set_grad_enabled(self.keeps_graph):
            for rows in packing.rows:
                if made and before is not None:
                    _check_left(before, len(made))
                made.append((rows, self._encoder.vectors(rows)))
        found = made[0][1].new_empty(len(packing.encodings), made[0][1].shape[1])
        for rows, vectors in made:
            found[rows.texts] = vectors.detach()
        self._graph = made if self.keeps_graph else []
        return found

    def _backward(self, packing: Packing, gradient: Tensor) -> None:
        graph, self._graph = self._graph, []
        if graph:
            torch.autograd.backward(
                [vectors for _, vectors in graph], [gradient[rows.texts] for rows, _ in graph]
            )
            return
        for rows in packing.rows:
            torch.autograd.backward(self._encoder.vectors(rows), gradient[rows.texts])

    def _fitting(self, packing: Packing, work: Callable[[Packing], _T]) -> _T:
        """Do some work on rows, and do it again with fewer at once where memory runs out."""
        while True:
            if packing.at_once > self.at_once:
                packing = Packing.of(packing.encodings, self.at_once)
            try:
                return work(packing)
            except (MemoryError, RuntimeError) as error:
                if not is_memory(error):
                    raise
            # Outside the handler, whose traceback holds on to what was computed.
            self._shrink(packing)

    def _shrink(self, packing: Packing) -> None:
        rows, width = max(each.inputs.ids.shape for each in packing.rows)
        if rows == 1:
            raise MemoryShortError(
                f"memory doesn't hold the model and one row of {width} tokens in training; give a "
                "shorter --length, or choose a smaller --from"
            )
        self._graph = []
        for parameter in self._encoder.model.parameters():
            parameter.grad = None  # what a part of the rows has given
        self.keeps_graph = False
        self.at_once = rows // 2 * width
        self._tell(
            f"memory ran out at {rows} rows of {width} tokens: from now on {rows // 2} go through "
            "the model at once; the batch and its gradient stay what they are"
        )


def _check_left(before: int, lots: int) -> None:
    """Raise MemoryError where another lot would take the last memory, as the lots so far did."""
    left = free_bytes()
    if left is not None and left < _LOTS_LEFT * (before - left) / lots:
        raise MemoryError
