"""The sizes of BERT, and a model of one of them or of a checkpoint."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.errors import ClozeError
from indexer.runtime.checkpoint import read_json

if TYPE_CHECKING:
    from transformers import BertForPreTraining

# Layers, hidden size, heads; the inner size is four times the hidden (Turc et al., 2019, "Well-read
# students learn better"; base and large from Devlin et al., 2019).
SIZES = {
    "bert-tiny": (2, 128, 2),
    "bert-mini": (4, 256, 4),
    "bert-small": (4, 512, 8),
    "bert-medium": (8, 512, 8),
    "bert-base": (12, 768, 12),
    "bert-large": (24, 1024, 16),
}
POSITIONS = 512


# The token types of a model that reads pairs: one for each segment.
_SEGMENTS = 2


def new_model(name: str, vocabulary: int, pad: int, seed: int) -> "BertForPreTraining":
    """Make a BERT of a size with random weights.

    Raises:
        ClozeError: there is no such size.
    """
    if name not in SIZES:
        raise ClozeError(
            f"--arch is {name!r}, neither a checkpoint folder nor one of {', '.join(SIZES)}"
        )
    return random_model(*SIZES[name], vocabulary=vocabulary, pad=pad, seed=seed)


def random_model(
    layers: int,
    hidden: int,
    heads: int,
    *,
    vocabulary: int,
    pad: int,
    seed: int,
    dropout: float = 0.1,
) -> "BertForPreTraining":
    """Make a BERT by its measures: learned positions, GELU, norms after the sums.

    The seed alone decides the weights; the inner size is four times the hidden.
    """
    import torch
    from transformers import BertConfig, BertForPreTraining

    torch.manual_seed(seed)
    return BertForPreTraining(
        BertConfig(
            vocab_size=vocabulary, hidden_size=hidden, num_hidden_layers=layers,
            num_attention_heads=heads, intermediate_size=4 * hidden,
            max_position_embeddings=POSITIONS, pad_token_id=pad,
            hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout,
        )
    )  # fmt: skip


def load_model(folder: Path, seed: int) -> tuple["BertForPreTraining", list[str]]:
    """Load a BERT checkpoint to train on, and the parts that it lacked, which begin at random."""
    import torch
    from transformers import BertForPreTraining
    from transformers.utils import logging

    torch.manual_seed(seed)
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        loaded: Any = BertForPreTraining.from_pretrained(
            folder, local_files_only=True, dtype=torch.float32, output_loading_info=True
        )
    finally:
        logging.set_verbosity(before)
    model, info = loaded
    return model, sorted(
        {key.removesuffix(".weight").removesuffix(".bias") for key in info["missing_keys"]}
    )


def read_limits(folder: Path, name: str, objective: str) -> tuple[int, int]:
    """Return how many pieces a checkpoint embeds, and how many positions it has.

    Raises:
        ClozeError: it is no BERT with learned positions and GELU, doesn't tell its sizes, or
            doesn't tell apart the two segments of an objective's pairs.
    """
    config = read_json(folder / "config.json")
    check_architecture(config, name)
    _check_segments(config, name, objective)
    pieces, positions = (
        _size(config, key, name) for key in ("vocab_size", "max_position_embeddings")
    )
    return pieces, positions


def _check_segments(config: dict[str, Any], name: str, objective: str) -> None:
    types = config.get("type_vocab_size", _SEGMENTS)
    if objective != "mlm" and types < _SEGMENTS:
        raise ClozeError(
            f"--objective {objective} has {_SEGMENTS} segments and {name} has the type_vocab_size "
            f"{types}; choose mlm"
        )


def _size(config: dict[str, Any], key: str, name: str) -> int:
    found = config.get(key)
    if not isinstance(found, int):
        raise ClozeError(
            f"{name} has a config.json whose {key} is {found!r}, and a number is needed; fetch the "
            "checkpoint again"
        )
    return found


def check_architecture(config: dict[str, Any], name: str) -> None:
    """Check that a checkpoint is what our forward pass computes.

    Raises:
        ClozeError: it is no BERT with learned positions and GELU.
    """
    wanted = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}
    for key, value in wanted.items():
        found = config.get(key, value)
        if found != value:
            raise ClozeError(
                f"{name} has the {key} {found!r}, and training runs {value!r}: choose a BERT "
                "checkpoint"
            )
