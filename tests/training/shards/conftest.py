"""A tokenizer of the documents that every floor's tests share."""

from pathlib import Path

import pytest

from training.text import Reading
from training.tokenizer_folder import make_tokenizer


@pytest.fixture(scope="session")
def tokenizer_folder(corpus_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer's folder, without a model."""
    folder = tmp_path_factory.mktemp("tokenizers") / "uncased"
    make_tokenizer(
        [str(corpus_file)],
        400,
        folder,
        cased=False,
        reading=Reading(),
        progress=lambda done, share: None,
    )
    return folder
