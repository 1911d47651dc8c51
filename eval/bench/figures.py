"""Figures of a bench: medians and percentiles, with the machine and versions that made them."""

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

_PACKAGES = ("faiss-cpu", "faiss-gpu", "numpy", "openvino", "tantivy", "tokenizers", "torch")


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Return p50, p95 and p99 in milliseconds."""
    percentiles = np.percentile(np.array(seconds) * 1000, [50, 95, 99])
    return dict(zip(("p50", "p95", "p99"), (round(float(p), 3) for p in percentiles), strict=True))


def machine(threads: int) -> dict[str, Any]:
    """Name the processor, the threads and the versions at work."""
    return {
        "processor": processor(),
        "threads": threads,
        "python": platform.python_version(),
        **{package: found for package in _PACKAGES if (found := _version(package))},
    }


def _version(package: str) -> str | None:
    """Return a package's version, None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def processor() -> str:
    """Return the name of the processor's model."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
