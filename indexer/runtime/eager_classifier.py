"""A cross-encoder in torch: for use as it is, and as what its compiled form is made from."""

import inspect
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from indexer.runtime.eager import pretrained, refuse_missing

if TYPE_CHECKING:
    from indexer.runtime.classifier import ClassifierCheckpoint


class FineHead(nn.Module):
    """A linear layer of a few outputs whose products and sums are float32 in any precision.

    A logit in bfloat16 has steps of 1/16 beyond 8, so that the best pairs would tie. Written as a
    sum of products it is no matrix product, which runtimes would compute, and round, in bfloat16.
    """

    def __init__(self, linear: nn.Linear) -> None:
        """Take over a layer's weights: [labels, hidden]."""
        super().__init__()
        self.weight = nn.Parameter(linear.weight.float(), requires_grad=False)
        self.bias = nn.Parameter(linear.bias.float(), requires_grad=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the logits: [batch, hidden] -> [batch, labels]."""
        products = hidden.float().unsqueeze(-2) * self.weight  # [batch, labels, hidden]
        return products.sum(-1) + self.bias


class PairScorer(nn.Module):
    """A sequence classifier of one or two labels whose output is one score a pair."""

    def __init__(self, classifier: nn.Module, labels: int, *, typed: bool) -> None:
        """Wrap a classifier whose output has `logits`; `typed` ones tell the two texts by types."""
        super().__init__()
        self.classifier = classifier
        self.labels = labels
        self.typed = typed

    def forward(self, ids: Tensor, mask: Tensor, types: Tensor) -> Tensor:
        """Return the scores, float32: [batch, length] three times -> [batch].

        One label's score is its logit. Two labels' is logit[1] - logit[0], the log odds of the
        second, which orders pairs as its softmax probability does and never saturates.
        """
        extra = {"token_type_ids": types} if self.typed else {}
        output = self.classifier(input_ids=ids, attention_mask=mask, **extra)
        logits: Tensor = output.logits.float()  # [batch, labels]
        return logits[:, 0] if self.labels == 1 else logits[:, 1] - logits[:, 0]


def load_classifier(checkpoint: "ClassifierCheckpoint", dtype: torch.dtype) -> PairScorer:
    """Load a checkpoint's classifier, for inference.

    Raises:
        ClozeError: transformers can't load it as one, or weights of it are not in the files.
    """
    from transformers import AutoModelForSequenceClassification

    classifier, missing = pretrained(
        AutoModelForSequenceClassification, checkpoint, dtype, "a cross-encoder"
    )
    refuse_missing(missing, checkpoint)
    _refine_head(classifier, checkpoint.labels)
    return PairScorer(classifier, checkpoint.labels, typed=_typed(classifier)).eval()


def _refine_head(classifier: nn.Module, labels: int) -> None:
    """Compute the logits in float32 where the last linear layer gives them."""
    linears = {
        name: each for name, each in classifier.named_modules() if isinstance(each, nn.Linear)
    }
    name, last = linears.popitem()
    if last.out_features == labels:
        classifier.set_submodule(name, FineHead(last))


def _typed(classifier: Any) -> bool:  # noqa: ANN401 - transformers has no type of its own for it
    """Tell whether a model tells the texts of a pair by token types: RoBERTa has only one type."""
    takes = "token_type_ids" in inspect.signature(classifier.forward).parameters
    return takes and getattr(classifier.config, "type_vocab_size", 0) > 1
