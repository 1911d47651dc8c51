"""The least that is a checkpoint folder: reading what it says opens no tensor."""

import json
from pathlib import Path


def write(path: Path, content: object) -> None:
    """Write a JSON file, and its folder where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def write_folder(folder: Path, config: object) -> Path:
    """Write a folder with a configuration, and stand-ins for tokenizer and weights."""
    write(folder / "config.json", config)
    write(folder / "tokenizer.json", {})
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder
