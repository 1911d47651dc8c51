"""Tiny random sequence classifiers of several families, as transformers saves them."""

import json
from pathlib import Path
from typing import Any

# What each family's configuration needs beside or instead of BERT's.
FAMILIES: dict[str, dict[str, Any]] = {
    "bert": {},
    "electra": {"embedding_size": 64},
    "distilbert": {"dim": 64, "n_layers": 2, "n_heads": 2, "hidden_dim": 128},
    "roberta": {"pad_token_id": 1, "max_position_embeddings": 66, "type_vocab_size": 1},
}
# Families that tell the two texts of a pair by token types.
TYPED = ("bert", "electra")


def write_classifier(
    base: Path, folder: Path, *, labels: int = 1, family: str = "bert", seed: int = 0
) -> Path:
    """Write a classifier with the tokenizer of an encoder's folder."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(seed)
    options: dict[str, Any] = {
        "vocab_size": len(tokenizer), "hidden_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 2, "intermediate_size": 128, "max_position_embeddings": 64,
        "initializer_range": 0.4, "num_labels": labels,
    }  # fmt: skip
    config = AutoConfig.for_model(family, **options | FAMILIES[family])
    AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    return folder


def edit_json(path: Path, **changes: object) -> None:
    """Change keys of a JSON file; None takes a key out."""
    content = json.loads(path.read_bytes()) | changes
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
