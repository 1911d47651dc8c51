"""A masked language model's words for the places that a text leaves open."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from indexer.errors import ClozeError
from indexer.runtime.eager import one_line, pretrained

if TYPE_CHECKING:
    from indexer.runtime.checkpoint import Checkpoint

# WordPiece's mark of a token that goes on with the word before.
_CONTINUES = "##"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A token for a mask, and its probability there."""

    token: str
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """For each mask of a text its best tokens, and the text with the best one of each."""

    text: str
    sentence: str
    masks: Sequence[Sequence[Candidate]]


class MaskFiller:
    """A checkpoint with the head of a masked language model, in fp32."""

    def __init__(self, checkpoint: "Checkpoint", device: str = "cpu") -> None:
        """Load tokenizer and weights.

        Raises:
            ClozeError: there is no mask token, the files hold no such head, or nothing loads.
        """
        self._name = checkpoint.name
        self._limit = checkpoint.max_tokens
        self._device = device
        self._tokenizer = _tokenizer(checkpoint)
        self.mask = _mask(self._tokenizer, checkpoint.name)
        self._model = _masked_model(checkpoint).eval().to(device)

    def fill(self, text: str, top: int = 5) -> Filled:
        """Return the likeliest tokens of each mask, the masks in the order of the text.

        Each mask is filled by itself, as if the others stayed open: softmax over the vocabulary
        of what the model predicts at its place.

        Raises:
            ClozeError: the text has no mask or is too long, or `top` is beyond the vocabulary.
        """
        ids, places = self._encoded(text)
        with torch.inference_mode():
            logits = (
                self._model(input_ids=ids, attention_mask=torch.ones_like(ids))
                .logits[0, places]
                .float()
            )  # [masks, vocabulary]
        if top > logits.shape[1]:
            raise ClozeError(
                f"--top {top} is more than the {logits.shape[1]:,} tokens of {self._name}'s "
                "vocabulary; ask for fewer"
            )
        best = logits.softmax(1).topk(top)
        masks = [
            [
                Candidate(token=self._written(token), probability=probability)
                for token, probability in zip(tokens, probabilities, strict=True)
            ]
            for tokens, probabilities in zip(
                best.indices.tolist(), best.values.tolist(), strict=True
            )
        ]
        sentence = join(text.split(self.mask), [found[0].token for found in masks])
        return Filled(text=text, sentence=sentence, masks=masks)

    def _encoded(self, text: str) -> tuple[torch.Tensor, list[int]]:
        """Return the ids [1, length], and the places of the masks among them."""
        wanted = text.count(self.mask)
        if not wanted:
            raise ClozeError(
                f"the text has no {self.mask}, which is how {self._name} writes a place to fill; "
                "put one in"
            )
        ids = self._tokenizer(text, verbose=False)["input_ids"]
        if len(ids) > self._limit:
            raise ClozeError(
                f"the text has {len(ids):,} tokens, and {self._name} reads {self._limit:,}; "
                "shorten it"
            )
        places = [place for place, each in enumerate(ids) if each == self._tokenizer.mask_token_id]
        if len(places) != wanted:
            raise ClozeError(
                f"the text has {wanted} {self.mask}, and {self._name}'s tokenizer reads "
                f"{len(places)} as masks; save the tokenizer again"
            )
        return torch.tensor([ids], device=self._device), places

    def _written(self, token: int) -> str:
        """Return a token as it is written: with ## where it goes on, else without blanks."""
        piece = str(self._tokenizer.convert_ids_to_tokens(token))
        if piece.startswith(_CONTINUES):
            return piece
        return str(self._tokenizer.decode([token])).strip() or piece


def join(parts: Sequence[str], tokens: Sequence[str]) -> str:
    """Put tokens between the parts of a text; one with ## goes on with the word before it."""
    text = parts[0]
    for token, part in zip(tokens, parts[1:], strict=True):
        goes_on = token.startswith(_CONTINUES) and len(token) > len(_CONTINUES)
        text = text.rstrip() + token[len(_CONTINUES) :] if goes_on else text + token
        text += part
    return text


def _tokenizer(checkpoint: "Checkpoint") -> Any:  # noqa: ANN401 - transformers has no type for it
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(checkpoint.folder, local_files_only=True)
    except Exception as error:  # transformers raises many kinds for one unreadable folder
        raise ClozeError(
            f"the tokenizer of {checkpoint.name} can't be read ({one_line(error)}); save it again"
        ) from error


def _mask(tokenizer: Any, name: str) -> str:  # noqa: ANN401
    if tokenizer.mask_token is None:
        raise ClozeError(
            f"the tokenizer of {name} has no mask token; choose a masked language model"
        )
    return str(tokenizer.mask_token)


def _masked_model(checkpoint: "Checkpoint") -> Any:  # noqa: ANN401
    from transformers import AutoModelForMaskedLM

    model, missing = pretrained(
        AutoModelForMaskedLM, checkpoint, torch.float32, "a masked language model"
    )
    if missing:
        raise ClozeError(
            f"{checkpoint.name} has no head that predicts words: {len(missing)} weights are not in "
            f"its files, {sorted(missing)[0]} the first; choose a masked language model, as "
            "`cloze pretrain` makes them"
        )
    return model
