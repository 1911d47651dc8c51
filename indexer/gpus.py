"""FAISS on a GPU, where faiss-gpu is installed, a device is there, and the user wants it."""

from typing import Any

import faiss

# GPU indexes return at most so many rows.
MOST_ROWS = 2048


def on_gpu(index: Any, device: str) -> Any | None:  # noqa: ANN401 - any kind of FAISS index
    """Return a copy of an index on the first GPU, or None: no GPU, none wanted, or no such kind.

    HNSW and codes that are compared in registers have no GPU kind: the CPU searches them.
    """
    if device != "cuda" or not faiss.get_num_gpus():
        return None
    try:
        resources: Any = faiss.StandardGpuResources()
        copy: Any = faiss.index_cpu_to_gpu(resources, 0, index)
    except RuntimeError:
        return None
    copy.referenced_objects = (resources,)
    return copy
