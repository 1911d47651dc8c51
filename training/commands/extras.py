"""What training needs beside the engine."""

import importlib.util

from indexer.errors import ClozeError

_MODULES = {"matplotlib": "matplotlib", "tensorboard": "tensorboard"}


def check_installed() -> None:
    """Check that the packages of the extra `training` are there, before any work.

    Parquet's is asked for where a file is read.

    Raises:
        ClozeError: some are not.
    """
    missing = [name for module, name in _MODULES.items() if not importlib.util.find_spec(module)]
    if missing:
        raise ClozeError(
            f"training needs {', '.join(missing)}; run: pip install 'cloze-search[training]'"
        )
