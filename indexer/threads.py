"""One thread budget for every numeric library, set before any of them loads."""

import os

from indexer.errors import ClozeError

_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "RAYON_NUM_THREADS",
)


def budget(threads: int | None = None, *, blas: int | None = None, patient: bool = False) -> int:
    """Fix the number of threads for torch, OpenVINO, FAISS, BLAS and tokenizers, and return it.

    An argument wins over `CLOZE_THREADS`, that over the processors this process may use. Call it
    before numpy or torch is imported: they read their variables once. `blas` are the threads of
    each product of matrices, where the callers themselves run side by side; others of OpenBLAS
    would spin between two products. `patient` threads sleep while they wait for each other, which
    costs a few microseconds and, where other programs want the processors too, saves most of the
    time: long work of many small products, as training is, takes several times as long without.

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
    if patient:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ["TOKENIZERS_PARALLELISM"] = "true" if chosen > 1 else "false"
    return chosen
