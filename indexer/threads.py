"""One thread budget for every numeric library, set before any of them loads."""

import os

from indexer.errors import ClozeError

_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "RAYON_NUM_THREADS",
)


def budget(threads: int | None = None, *, blas: int | None = None) -> int:
    """Fix the number of threads for torch, OpenVINO, FAISS, BLAS and tokenizers, and return it.

    An argument wins over `CLOZE_THREADS`, that over the processors this process may use. Call it
    before numpy or torch is imported: they read their variables once. `blas` are the threads of
    each product of matrices, where the callers themselves run side by side; others of OpenBLAS
    would spin between two products.

    Raises:
        ClozeError: `CLOZE_THREADS` is no number of threads.
    """
    asked = os.environ.get("CLOZE_THREADS", "")
    if not threads and asked and not asked.isdecimal():
        raise ClozeError(f"CLOZE_THREADS is {asked!r}; set a number of threads, 1 or more, or none")
    chosen = threads or int(asked or 0) or len(os.sched_getaffinity(0))
    for variable in _VARIABLES:
        os.environ[variable] = str(chosen)
    if blas is not None:
        os.environ["OPENBLAS_NUM_THREADS"] = str(blas)
    os.environ["TOKENIZERS_PARALLELISM"] = "true" if chosen > 1 else "false"
    return chosen
