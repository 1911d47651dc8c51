"""A checkpoint folder in Hugging Face or sentence-transformers layout, described and hashed."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexer.errors import ClozeError

POOLINGS = ("mean", "cls", "max")
_LEGACY_POOLING = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
}
# Their positions are counted from the padding token's number on, and so end that much earlier.
_ROBERTA_FAMILY = ("roberta", "xlm-roberta", "camembert", "mpnet")
_NO_LIMIT = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """An encoder on disk: where it lies, and everything that decides the vector of a text.

    `content_hash` covers weights, configuration, tokenizer, pooling, prompts and normalisation;
    `max_tokens` counts special tokens; prompts are put before the text, as sentence-transformers
    does.
    """

    name: str
    folder: Path
    content_hash: str
    weights_hash: str
    dimension: int
    pooling: str
    normalize: bool
    query_prompt: str
    document_prompt: str
    max_tokens: int


def read_checkpoint(folder: Path, name: str) -> Checkpoint:
    """Read what a checkpoint folder says of itself.

    Raises:
        ClozeError: a file is missing, the weights are pickled only, code of its own is needed, or
            a sentence-transformers module is not one of Transformer, Pooling and Normalize.
    """
    modules = _modules(folder)
    home = _transformer_folder(folder, modules)
    config = _json(home / "config.json")
    if "auto_map" in config:
        raise ClozeError(
            f"{name} needs code of its own ({home / 'config.json'} has an auto_map), which cloze "
            "never runs; choose a checkpoint of a standard architecture"
        )
    _check_files(home, name)
    pooling = _pooling(folder, modules)
    prompts = _prompts(folder)
    facts: dict[str, Any] = {
        "pooling": pooling,
        "normalize": not modules or "Normalize" in modules,
        "query_prompt": prompts.get("query", ""),
        "document_prompt": prompts.get("document", prompts.get("passage", "")),
        "max_tokens": _max_tokens(home, config),
    }
    return Checkpoint(
        name=name,
        folder=home,
        content_hash=_content_hash(home, facts, weights := _sha256(*_weights(home))),
        weights_hash=weights,
        dimension=int(config.get("hidden_size", config.get("dim", 0))),
        **facts,
    )


def _modules(folder: Path) -> dict[str, str]:
    """Map the last part of each sentence-transformers module's type to its folder."""
    path = folder / "modules.json"
    if not path.exists():
        return {}
    modules = {entry["type"].rsplit(".", 1)[-1]: entry["path"] for entry in _json(path)}
    unknown = sorted(set(modules) - {"Transformer", "Pooling", "Normalize"})
    if unknown:
        raise ClozeError(
            f"{path} lists the module {unknown[0]}; only Transformer, Pooling and Normalize are "
            "supported: choose another checkpoint"
        )
    return modules


def _transformer_folder(folder: Path, modules: dict[str, str]) -> Path:
    return folder / modules.get("Transformer", "")


def _check_files(home: Path, name: str) -> None:
    if not _weights(home):
        pickled = sorted(home.glob("*.bin"))
        found = f"only {pickled[0].name}, a pickle" if pickled else "no weights"
        raise ClozeError(
            f"{name} has {found} in {home}; cloze loads safetensors only: save it again with "
            "save_pretrained(..., safe_serialization=True)"
        )
    if not (home / "tokenizer.json").exists():
        raise ClozeError(
            f"{name} has no tokenizer.json in {home}; save its fast tokenizer there with "
            "AutoTokenizer.from_pretrained(...).save_pretrained(...)"
        )


def _pooling(folder: Path, modules: dict[str, str]) -> str:
    if "Pooling" not in modules:
        return "mean"
    path = folder / modules["Pooling"] / "config.json"
    config = _json(path)
    chosen = config.get("pooling_mode") or next(
        (mode for key, mode in _LEGACY_POOLING.items() if config.get(key)), "of several kinds"
    )
    if chosen not in POOLINGS or not config.get("include_prompt", True):
        raise ClozeError(
            f"{path} asks for pooling {chosen!r}; supported are {', '.join(POOLINGS)} over prompt "
            "and text: choose another checkpoint"
        )
    return str(chosen)


def _prompts(folder: Path) -> dict[str, str]:
    path = folder / "config_sentence_transformers.json"
    if not path.exists():
        return {}
    prompts = _json(path).get("prompts") or {}
    return {str(key): str(value) for key, value in prompts.items()}


def _max_tokens(home: Path, config: dict[str, Any]) -> int:
    """Return the smallest of the limits that model, tokenizer and sentence-transformers state."""
    positions = int(config.get("max_position_embeddings", 512))
    if config.get("model_type") in _ROBERTA_FAMILY:
        positions -= int(config.get("pad_token_id") or 1) + 1
    limits = [positions]
    for file, key in (
        ("sentence_bert_config.json", "max_seq_length"),
        ("tokenizer_config.json", "model_max_length"),
    ):
        value = _json(home / file).get(key) if (home / file).exists() else None
        if value is not None and 0 < value < _NO_LIMIT:
            limits.append(int(value))
    return min(limits)


def _json(path: Path) -> Any:  # noqa: ANN401 - JSON has no narrower type
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ClozeError(
            f"{path} is missing; a checkpoint folder needs config.json, tokenizer.json and "
            "safetensors weights"
        ) from None
    except ValueError as error:
        raise ClozeError(f"{path} is not JSON ({error}); fetch the checkpoint again") from None


def _weights(home: Path) -> list[Path]:
    return sorted(home.glob("*.safetensors"))


def _sha256(*paths: Path) -> str:
    """Hash files: one file's own sha256, or that of the list of several."""
    sums = []
    for path in paths:
        with path.open("rb") as file:
            sums.append(hashlib.file_digest(file, "sha256").hexdigest())
    return sums[0] if len(sums) == 1 else hashlib.sha256("\n".join(sums).encode()).hexdigest()


def _content_hash(home: Path, facts: dict[str, Any], weights: str) -> str:
    configuration = _sha256(home / "config.json", home / "tokenizer.json")
    sealed = json.dumps([facts, configuration, weights], sort_keys=True)
    return hashlib.sha256(sealed.encode()).hexdigest()
