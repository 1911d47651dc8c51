"""A BERT checkpoint loaded to be fine-tuned, and the files that its kind is kept in."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from indexer.errors import ClozeError
from indexer.runtime.checkpoint import Checkpoint, read_json
from indexer.runtime.eager import pretrained, refuse_missing
from training.architecture import check_architecture

if TYPE_CHECKING:
    from transformers import BertForSequenceClassification, BertModel

_SEGMENTS = 2
_MODULES = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}
_POOLING_KEYS = {"mean": "pooling_mode_mean_tokens", "cls": "pooling_mode_cls_token"}


def load_encoder(checkpoint: Checkpoint) -> "BertModel":
    """Load a checkpoint's encoder in float32, without the pooler, which no vector is made of.

    Raises:
        ClozeError: it is no BERT with learned positions and GELU, or lacks weights.
    """
    from transformers import BertModel

    check_architecture(read_json(checkpoint.folder / "config.json"), checkpoint.name)
    loaded, missing = pretrained(BertModel, checkpoint, torch.float32, "an encoder")
    refuse_missing((each for each in missing if "pooler" not in each.split(".")), checkpoint)
    model: BertModel = loaded
    model.pooler = None
    return model


def load_classifier(
    checkpoint: Checkpoint, seed: int
) -> tuple["BertForSequenceClassification", bool]:
    """Load a checkpoint as a classifier of pairs with one label, in float32.

    What it has no weights for begins at random, as the seed decides; whether that is so of the
    classifier, as where it has several labels, is told by True.

    Raises:
        ClozeError: it is no BERT with learned positions and GELU, lacks weights of the encoder, or
            can't tell apart two segments.
    """
    from transformers import BertForSequenceClassification

    config = read_json(checkpoint.folder / "config.json")
    check_architecture(config, checkpoint.name)
    check_segments(config, checkpoint.name)
    torch.manual_seed(seed)
    loaded, missing = pretrained(
        BertForSequenceClassification, checkpoint, torch.float32, "a cross-encoder", num_labels=1,
        ignore_mismatched_sizes=True,
    )  # fmt: skip
    new = {"pooler", "classifier"}
    refuse_missing((each for each in missing if not new & set(each.split("."))), checkpoint)
    model: BertForSequenceClassification = loaded
    return model, any("classifier" in each.split(".") for each in missing)


def check_segments(config: Mapping[str, Any], name: str) -> None:
    """Check that a model can tell apart the two texts of a pair.

    Raises:
        ClozeError: it knows one segment only.
    """
    if (types := config.get("type_vocab_size", _SEGMENTS)) < _SEGMENTS:
        raise ClozeError(
            f"{name} has the type_vocab_size {types}, and a cross-encoder tells its texts apart by "
            f"{_SEGMENTS}; choose another --from"
        )


def write_sentence_files(
    folder: Path, checkpoint: Checkpoint, *, pooling: str, dimension: int
) -> None:
    """Write what makes a folder an encoder of sentences to sentence-transformers and to us.

    Vectors are pooled as told and have unit length; prompts and the limit of tokens are the
    checkpoint's.
    """
    modules = [
        {"idx": number, "name": str(number), "path": path,
         "type": f"sentence_transformers.models.{kind}"}
        for number, (kind, path) in enumerate(_MODULES.items())
    ]  # fmt: skip
    for name in _MODULES.values():
        (folder / name).mkdir(exist_ok=True)
    prompts = {"query": checkpoint.query_prompt, "document": checkpoint.document_prompt}
    _write(folder / "modules.json", modules)
    _write(
        folder / _MODULES["Pooling"] / "config.json",
        {"word_embedding_dimension": dimension}
        | {key: name == pooling for name, key in _POOLING_KEYS.items()},
    )
    _write(
        folder / "sentence_bert_config.json",
        {"max_seq_length": checkpoint.max_tokens, "do_lower_case": False},
    )
    _write(
        folder / "config_sentence_transformers.json",
        {"prompts": prompts if any(prompts.values()) else {}, "similarity_fn_name": "cosine"},
    )


def _write(path: Path, content: Any) -> None:  # noqa: ANN401 - JSON has no narrower type
    path.write_text(json.dumps(content, indent=2) + "\n")
