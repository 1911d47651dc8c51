"""The tiny models of the tests, for scripts that run without pytest."""

from pathlib import Path

from indexer.encoder import Encoder
from indexer.models import find_model
from tests.conftest import _write_bert, _write_tokenizer


def make_models(home: Path) -> tuple[Path, Path]:
    """Make two random checkpoints in a folder, converted into the cache of CLOZE_HOME."""
    first, second = home / "model-1", home / "model-2"
    for seed, folder in enumerate((first, second), 1):
        folder.mkdir()
        _write_bert(folder, _write_tokenizer(folder), seed)
        Encoder(find_model(str(folder)))
    return first, second
