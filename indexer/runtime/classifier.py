"""A cross-encoder's folder, by Hugging Face or sentence-transformers, described and hashed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexer.errors import ClozeError
from indexer.runtime.checkpoint import (
    hash_content,
    hash_weights,
    read_home,
    read_json,
    read_max_tokens,
    read_modules,
)
from indexer.runtime.probability import Calibration, as_json, read_calibration

_ARCHITECTURE = "ForSequenceClassification"
_MOST_LABELS = 2
# What transformers assumes where config.json has neither id2label nor num_labels.
_DEFAULT_LABELS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierCheckpoint:
    """A cross-encoder on disk: where it lies, and everything that decides the score of a pair.

    `content_hash` covers weights, configuration, tokenizer, prompt, limit and calibration;
    `max_tokens` counts both texts and the special tokens; `prompt` is put before the first text;
    `calibration` is None where the folder has none.
    """

    name: str
    folder: Path
    content_hash: str
    max_tokens: int
    labels: int
    prompt: str
    calibration: Calibration | None = None


def read_classifier(folder: Path, name: str) -> ClassifierCheckpoint:
    """Read what a folder says of its sequence classifier.

    Raises:
        ClozeError: a file is missing, the weights are pickled only, code of its own is needed; or
            the model is no sequence classifier, or one of more than two labels; or its
            calibration is damaged.
    """
    home, config = read_home(folder, read_modules(folder), name)
    _check_architecture(config, name)
    facts: dict[str, Any] = {
        "labels": _labels(config, name),
        "max_tokens": read_max_tokens(home, config),
        "prompt": _prompt(folder),
    }
    calibration = read_calibration(folder, name)
    sealed = facts | ({"calibration": as_json(calibration)} if calibration else {})
    return ClassifierCheckpoint(
        name=name, folder=home, content_hash=hash_content(home, sealed, hash_weights(home)),
        calibration=calibration, **facts,
    )  # fmt: skip


def _check_architecture(config: dict[str, Any], name: str) -> None:
    architectures = [str(each) for each in config.get("architectures") or []]
    if any(each.endswith(_ARCHITECTURE) for each in architectures):
        return
    found = f"is a {architectures[0]}" if architectures else "names no architecture"
    raise ClozeError(
        f"{name} {found} in its config.json, and a cross-encoder is a …{_ARCHITECTURE} with one or "
        "two labels: choose another --rerank (late uses the index's own encoder)"
    )


def _labels(config: dict[str, Any], name: str) -> int:
    names = config.get("id2label")
    labels = len(names) if names else int(config.get("num_labels", _DEFAULT_LABELS))
    if labels > _MOST_LABELS:
        raise ClozeError(
            f"{name} has {labels} labels in its config.json, and a cross-encoder has one or two: "
            "choose another --rerank"
        )
    return labels


def _prompt(folder: Path) -> str:
    """Return what sentence-transformers puts before the first text where nothing else is asked."""
    path = folder / "config_sentence_transformers.json"
    settings = read_json(path) if path.exists() else {}
    chosen = settings.get("default_prompt_name")
    return str((settings.get("prompts") or {}).get(chosen, ""))
