"""What evaluation needs beside the engine."""

import importlib.util

from indexer.errors import ClozeError

_MODULES = {
    "ir_measures": "ir-measures",
    "jinja2": "jinja2",
    "matplotlib": "matplotlib",
    "pyarrow": "pyarrow",
    "pytrec_eval": "pytrec-eval-terrier",
    "rank_bm25": "rank-bm25",
    "scipy": "scipy",
    "statsmodels": "statsmodels",
    "yaml": "pyyaml",
}


def check_installed() -> None:
    """Check that the packages of the extra `eval` are there, before any work.

    Raises:
        ClozeError: some are not.
    """
    missing = [name for module, name in _MODULES.items() if not importlib.util.find_spec(module)]
    if missing:
        raise ClozeError(
            f"evaluation needs {', '.join(missing)}; run: pip install 'cloze-search[eval]'"
        )
