"""A checkpoint folder in Hugging Face or sentence-transformers layout, described and hashed."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexer.caches import file_sum
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
# Decoders read a text from its start only, so that no place of theirs has seen the whole.
_CAUSAL = "ForCausalLM"
_DECODERS = frozenset(
    "bloom codegen cohere cohere2 ctrl deepseek_v2 deepseek_v3 falcon gemma gemma2 gemma3_text "
    "glm gpt2 gpt_bigcode gpt_neo gpt_neox gpt_oss gptj granite llama mamba mamba2 mistral mixtral "
    "mpt olmo olmo2 openai-gpt opt phi phi3 qwen2 qwen2_moe qwen3 qwen3_moe rwkv smollm3 stablelm "
    "starcoder2 xglm".split()
)


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
            a sentence-transformers module is not one of Transformer, Pooling and Normalize; or
            the model is no encoder.
    """
    modules = read_modules(folder)
    home, config = read_home(folder, modules, name)
    dimension = _dimension(config, name)
    pooling = _pooling(folder, modules)
    prompts = _prompts(folder)
    facts: dict[str, Any] = {
        "pooling": pooling,
        "normalize": not modules or "Normalize" in modules,
        "query_prompt": prompts.get("query", ""),
        "document_prompt": prompts.get("document", prompts.get("passage", "")),
        "max_tokens": read_max_tokens(home, config),
    }
    return Checkpoint(
        name=name,
        folder=home,
        content_hash=hash_content(home, facts, weights := hash_weights(home)),
        weights_hash=weights,
        dimension=dimension,
        **facts,
    )


def read_modules(folder: Path) -> dict[str, str]:
    """Map the last part of each sentence-transformers module's type to its folder."""
    path = folder / "modules.json"
    if not path.exists():
        return {}
    modules = {entry["type"].rsplit(".", 1)[-1]: entry["path"] for entry in read_json(path)}
    unknown = sorted(set(modules) - {"Transformer", "Pooling", "Normalize"})
    if unknown:
        raise ClozeError(
            f"{path} lists the module {unknown[0]}; only Transformer, Pooling and Normalize are "
            "supported: choose another checkpoint"
        )
    return modules


def read_home(folder: Path, modules: dict[str, str], name: str) -> tuple[Path, dict[str, Any]]:
    """Return the folder of the transformer's own files, which are all there, and its config.json.

    Raises:
        ClozeError: a file is missing, the weights are pickled only, or it needs code of its own.
    """
    home = folder / modules.get("Transformer", "")
    config = read_json(home / "config.json")
    if "auto_map" in config:
        raise ClozeError(
            f"{name} needs code of its own ({home / 'config.json'} has an auto_map), which cloze "
            "never runs; choose a checkpoint of a standard architecture"
        )
    _check_files(home, name)
    return home, config


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


def _dimension(config: dict[str, Any], name: str) -> int:
    """Return the width of an encoder's hidden states.

    Raises:
        ClozeError: it is no encoder, or does not say.
    """
    kind = config.get("model_type", "model of no stated type")
    dimension = int(config.get("hidden_size") or config.get("dim") or 0)
    if config.get("is_encoder_decoder"):
        found = "an encoder with a decoder"
    elif config.get("is_decoder") or kind in _DECODERS or _is_causal(config):
        found = "a decoder"
    elif dimension < 1:
        found = "without a hidden_size"
    else:
        return dimension
    raise ClozeError(
        f"{name} is a {kind}, {found}, by its config.json, and cloze runs encoders, as BERT and "
        "its kin: choose another --model"
    )


def _is_causal(config: dict[str, Any]) -> bool:
    return any(str(each).endswith(_CAUSAL) for each in config.get("architectures") or [])


def _pooling(folder: Path, modules: dict[str, str]) -> str:
    if "Pooling" not in modules:
        return "mean"
    path = folder / modules["Pooling"] / "config.json"
    config = read_json(path)
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
    prompts = read_json(path).get("prompts") or {}
    return {str(key): str(value) for key, value in prompts.items()}


def read_max_tokens(home: Path, config: dict[str, Any]) -> int:
    """Return the smallest of the limits that model, tokenizer and sentence-transformers state."""
    positions = int(config.get("max_position_embeddings", 512))
    if config.get("model_type") in _ROBERTA_FAMILY:
        positions -= int(config.get("pad_token_id") or 1) + 1
    limits = [positions]
    for file, key in (
        ("sentence_bert_config.json", "max_seq_length"),
        ("tokenizer_config.json", "model_max_length"),
    ):
        value = read_json(home / file).get(key) if (home / file).exists() else None
        if value is not None and 0 < value < _NO_LIMIT:
            limits.append(int(value))
    return min(limits)


def read_json(path: Path) -> Any:  # noqa: ANN401 - JSON has no narrower type
    """Read one of a checkpoint's JSON files.

    Raises:
        ClozeError: it is missing, or no JSON.
    """
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
    sums = [file_sum(path) for path in paths]
    return sums[0] if len(sums) == 1 else hashlib.sha256("\n".join(sums).encode()).hexdigest()


def hash_weights(home: Path) -> str:
    """Hash the weights of a transformer's folder."""
    return _sha256(*_weights(home))


def hash_content(home: Path, facts: dict[str, Any], weights: str) -> str:
    """Hash all that decides an output: files, facts read from others, and the weights' hash."""
    configuration = _sha256(home / "config.json", home / "tokenizer.json")
    sealed = json.dumps([facts, configuration, weights], sort_keys=True)
    return hashlib.sha256(sealed.encode()).hexdigest()
