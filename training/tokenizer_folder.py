"""A trained tokenizer's folder: written whole, never over another, known again by its inputs."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from eval.folders import replace_folder
from indexer.errors import ClozeError
from training.text import Advance, Reading, Texts
from training.tokenizer import save_tokenizer, train_tokenizer
from training.tokenizer_measures import Measures, measure

NOTE = "training.json"
# Changes with every rule that decides the vocabulary.
RULES = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a tokenizer is made of: all that decides its files."""

    texts: list[str]
    content_hash: str
    asked: int
    cased: bool
    rules: int = RULES

    def describe(self) -> str:
        """Say it in words."""
        more = f" and {len(self.texts) - 1} more" if len(self.texts) > 1 else ""
        case = "cased" if self.cased else "uncased"
        return f"{self.texts[0]}{more} (content {self.content_hash[:8]}, {self.asked:,}, {case})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A tokenizer's folder: its inputs, the size it has, and its measures.

    `sample_seen` tells that the vocabulary was learned on the very text that it is measured on.
    """

    inputs: Inputs
    vocabulary: int
    skipped: int
    sample_seen: bool
    measures: Measures


def make_tokenizer(
    texts: list[str],
    vocabulary: int,
    folder: Path,
    *,
    cased: bool,
    reading: Reading,
    progress: Advance,
) -> tuple[Made, bool]:
    """Train a tokenizer into a new folder, or find it there; tell which by True for a new one.

    Raises:
        ClozeError: the folder holds anything else, or the tokenizer can't be trained.
    """
    opened: list[Texts] = []

    def open_texts() -> Texts:
        opened.append(Texts(texts, reading))
        return opened[-1]

    inputs = Inputs(
        texts=texts, content_hash=open_texts().content_hash(), asked=vocabulary, cased=cased
    )
    if found := _find(folder, inputs):
        return found, False
    trained = train_tokenizer(open_texts, vocabulary, cased=cased, progress=progress)
    made = Made(
        inputs=inputs,
        vocabulary=trained.tokenizer.get_vocab_size(),
        skipped=opened[-1].skipped(),
        sample_seen=trained.sample_seen,
        measures=measure(trained.tokenizer, trained.sample),
    )

    def write(new: Path) -> None:
        save_tokenizer(trained.tokenizer, new, cased=cased)
        (new / NOTE).write_text(json.dumps(asdict(made), indent=2) + "\n")

    replace_folder(folder, write, _refuse_any)
    return made, True


def read_note(folder: Path) -> Made | None:
    """Return what a folder's note says, None where it holds no trained tokenizer."""
    try:
        values = json.loads((folder / NOTE).read_bytes())
        return Made(
            inputs=Inputs(**values.pop("inputs")),
            measures=Measures(**values.pop("measures")),
            **values,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _find(folder: Path, inputs: Inputs) -> Made | None:
    """Return the finished tokenizer of the same inputs; None where a new one can be written."""
    found = read_note(folder)
    if found is None:
        _refuse_any(folder)
        return None
    mine, theirs = asdict(inputs), asdict(found.inputs)
    if {**mine, "texts": None} != {**theirs, "texts": None}:
        raise ClozeError(
            f"{folder} holds the tokenizer of {found.inputs.describe()}, and this one would be of "
            f"{inputs.describe()}; give another --out, or delete that folder"
        )
    return found


def _refuse_any(folder: Path) -> None:
    """Refuse a place where there is something: an empty folder alone is given up."""
    if not folder.exists():
        return
    held = next(folder.iterdir(), None) if folder.is_dir() else folder
    if held is not None:
        raise ClozeError(
            f"{folder} holds {held.name}, which is no tokenizer of cloze's; give a new --out"
        )
