"""The lists of an IVF index probed by several threads for one query; FAISS gives it one thread."""

from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray


def probe(
    index: Any,  # noqa: ANN401 - any kind of FAISS's IVF
    query: NDArray[np.float32],
    limit: int,
    effort: int,
    selector: Any | None,  # noqa: ANN401 - any of FAISS's selectors
    threads: int,
    pool: Executor,
) -> NDArray[np.int64]:
    """Return the best rows of the `effort` nearest lists, a share of which each thread looks at.

    `query` is [dimension]; the rows of all threads are merged by score. Of rows that score the same
    where the limit cuts, others may come with other threads.
    """
    near, lists = index.quantizer.search(query[None], min(effort, index.nlist))
    shares = [(lists[:, at::threads], near[:, at::threads]) for at in range(threads)]
    tasks = [pool.submit(_probe, index, query, limit, share, selector) for share in shares[1:]]
    found = [_probe(index, query, limit, shares[0], selector), *(task.result() for task in tasks)]
    scores = np.concatenate([each for each, _ in found])
    rows = np.concatenate([each for _, each in found])
    kept = np.argpartition(-scores, limit - 1)[:limit]
    return rows[kept][rows[kept] >= 0]


def _probe(
    index: Any,  # noqa: ANN401 - any kind of FAISS's IVF
    query: NDArray[np.float32],
    limit: int,
    share: Sequence[NDArray[Any]],
    selector: Any | None,  # noqa: ANN401 - any of FAISS's selectors
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    lists, near = (np.ascontiguousarray(each) for each in share)
    scores, rows = np.empty((1, limit), dtype=np.float32), np.empty((1, limit), dtype=np.int64)
    options: dict[str, Any] = {} if selector is None else {"sel": selector}
    parameters = faiss.SearchParametersIVF(nprobe=lists.shape[1], **options)  # type: ignore[call-arg]  # stubs lack it
    index.search_preassigned_c(
        1, faiss.swig_ptr(np.ascontiguousarray(query)), limit, faiss.swig_ptr(lists),
        faiss.swig_ptr(near), faiss.swig_ptr(scores), faiss.swig_ptr(rows), False, parameters,
    )  # fmt: skip
    return np.where(rows[0] >= 0, scores[0], -np.inf), rows[0]
