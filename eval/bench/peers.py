"""What users would pick instead: sentence-transformers as it comes, and onnxruntime in int8."""

import importlib.util
from collections.abc import Callable, Collection, Sequence
from difflib import get_close_matches
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeAlias

from indexer.errors import ClozeError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from indexer.runtime.checkpoint import Checkpoint

SENTENCE_TRANSFORMERS = "sentence-transformers"
ONNX = "onnxruntime-int8"
NONE = "none"
_BATCH = 32
# Names on the command line: the system's name, and the modules that it needs.
_PEERS = {
    "st": (SENTENCE_TRANSFORMERS, ("sentence_transformers",)),
    "onnx": (ONNX, ("onnx", "onnxruntime")),
}

Encode: TypeAlias = "Callable[[Sequence[str]], NDArray[np.float32]]"


def read_peers(asked: str) -> tuple[list[str], list[str]]:
    """Return the systems that a list with commas names, and lines on those not installed.

    Raises:
        ClozeError: a name is unknown.
    """
    found, missing = [], []
    for name in _names(asked):
        if name not in _PEERS:
            near = get_close_matches(name, _PEERS, n=1)
            known = ", ".join([*_PEERS, NONE])
            hint = f"did you mean {near[0]}? " if near else ""
            raise ClozeError(f"--peers has {name!r}; {hint}choose of {known}")
        system, modules = _PEERS[name]
        absent = [each for each in modules if not importlib.util.find_spec(each)]
        if absent:
            missing.append(f"{system} is left out: {', '.join(absent)} is not installed")
        else:
            found.append(system)
    return found, missing


def versions(peers: Collection[str]) -> dict[str, str]:
    """Return the versions of the packages that make up the peers."""
    modules = [module for system, needed in _PEERS.values() if system in peers for module in needed]
    return {module.replace("_", "-"): version(module.replace("_", "-")) for module in modules}


def _names(asked: str) -> list[str]:
    names = [each.strip() for each in asked.split(",") if each.strip()]
    return [] if names == [NONE] else list(dict.fromkeys(names))


def load_peer(system: str, checkpoint: "Checkpoint", threads: int) -> Encode:
    """Load a peer; the function that comes back turns texts into vectors."""
    if system == SENTENCE_TRANSFORMERS:
        model = load_sentence_transformer(checkpoint, threads)
        return lambda texts: model.encode(list(texts), batch_size=_BATCH)
    from eval.bench.onnx import OnnxEncoder

    return OnnxEncoder(checkpoint, threads).encode


def load_sentence_transformer(checkpoint: "Checkpoint", threads: int) -> Any:  # noqa: ANN401
    """Load sentence-transformers' SentenceTransformer of a checkpoint, as it comes."""
    import torch
    from sentence_transformers import SentenceTransformer

    from indexer.runtime.eager import quiet_transformers

    quiet_transformers()
    torch.set_num_threads(threads)
    return SentenceTransformer(str(checkpoint.folder), device="cpu", local_files_only=True)
