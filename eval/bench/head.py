"""An encoder with an untrained classifier on it: a cross-encoder to time, not to rank with."""

from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from indexer.runtime.checkpoint import Checkpoint
from indexer.runtime.eager import quiet_transformers

SEED = 0
# So wide that scores of different pairs lie some units apart, as a trained head's do.
_DEVIATION = 0.5


def write_with_head(checkpoint: Checkpoint, folder: Path) -> Path:
    """Write a checkpoint's encoder with a random head of one label into a folder, by a seed."""
    quiet_transformers()
    torch.manual_seed(SEED)
    classifier = AutoModelForSequenceClassification.from_pretrained(
        checkpoint.folder, num_labels=1, dtype=torch.float32, local_files_only=True,
        use_safetensors=True,
    )  # fmt: skip
    heads = [each for each in classifier.modules() if isinstance(each, torch.nn.Linear)]
    torch.nn.init.normal_(heads[-1].weight, std=_DEVIATION)
    classifier.save_pretrained(folder)
    # Saved by transformers it has a template for pairs, which an encoder's may lack.
    tokenizer = AutoTokenizer.from_pretrained(checkpoint.folder, local_files_only=True)
    tokenizer.save_pretrained(folder)
    return folder
