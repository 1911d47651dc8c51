"""A model in training, written as others load it."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def save_model(model: "PreTrainedModel", folder: Path) -> None:
    """Write weights and configuration as Hugging Face does."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        model.save_pretrained(folder)
        for weights in folder.glob("*.safetensors"):  # written for their owner's eyes alone
            shutil.copymode(folder / "config.json", weights)
    finally:
        if shown:
            logging.enable_progress_bar()
