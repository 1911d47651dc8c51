"""Labelled sets to probe with: which there are, how their files look, which rows are taken."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from indexer.errors import ClozeError
from search.files import text_lines

# Enough for figures that are steady to a point or two, and few enough that a small encoder is
# probed in about two minutes on two cores.
MOST_TRAIN, MOST_DEV, MOST_TEST = 3_000, 500, 1_500
# Where there is no dev.tsv, this share of train.tsv takes its place.
_DEV_SHARE = 0.1

Kind: TypeAlias = Literal["class", "similarity"]
Row: TypeAlias = tuple[tuple[str, ...], str]
"""The texts of a row, one or a pair, and its label as it is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A labelled set by its folder: what its labels are, and the columns of label and texts."""

    folder: str
    kind: Kind
    label: str
    texts: tuple[str, ...]


LAYOUTS = (
    Layout(folder="sst-binary", kind="class", label="label", texts=("text",)),
    Layout(folder="trec-qc", kind="class", label="coarse", texts=("text",)),
    Layout(folder="stsb", kind="similarity", label="score", texts=("sentence1", "sentence2")),
    Layout(folder="sick", kind="similarity", label="relatedness", texts=("sentence1", "sentence2")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A labelled set's rows: to fit on, to choose the strength of regularisation on, to report."""

    name: str
    kind: Kind
    train: Sequence[Row]
    dev: Sequence[Row]
    test: Sequence[Row]

    @property
    def texts(self) -> list[str]:
        """All texts, each once, in the order in which they first come."""
        rows = (*self.train, *self.dev, *self.test)
        return list(dict.fromkeys(text for texts, _ in rows for text in texts))


def read_tasks(folder: Path) -> tuple[list[Task], list[str]]:
    """Read the labelled sets that a folder has, and name those of `LAYOUTS` that it lacks.

    Raises:
        ClozeError: there is no such folder, or a file of a set is missing or malformed.
    """
    if not folder.is_dir():
        raise ClozeError(f"there is no folder {folder}; name that of the labelled sets in --tasks")
    there = [layout for layout in LAYOUTS if (folder / layout.folder).is_dir()]
    lacking = [layout.folder for layout in LAYOUTS if layout not in there]
    return [_read_task(folder / layout.folder, layout) for layout in there], lacking


def _read_task(folder: Path, layout: Layout) -> Task:
    """Read one set; which rows are kept is decided by the hash of their texts alone."""
    train = _ordered(folder / "train.tsv", layout)
    test = _ordered(folder / "test.tsv", layout)
    if (folder / "dev.tsv").exists():
        dev = _ordered(folder / "dev.tsv", layout)
    else:
        aside = max(1, round(_DEV_SHARE * len(train)))
        dev, train = train[:aside], train[aside:]
    kept = train[:MOST_TRAIN]
    if len({label for _, label in kept}) < 2:
        raise ClozeError(
            f"{folder / 'train.tsv'} has {len(kept)} rows to fit on, with fewer than two different "
            f"values of {layout.label}; give it rows of at least two"
        )
    return Task(
        name=layout.folder, kind=layout.kind, train=kept, dev=dev[:MOST_DEV], test=test[:MOST_TEST]
    )


def _ordered(path: Path, layout: Layout) -> list[Row]:
    rows = sorted(_rows(path, layout), key=lambda row: (_hash(row[0]), row[1]))
    if not rows:
        raise ClozeError(f"{path} has a header and no rows; give it some, or remove its folder")
    return rows


def _hash(texts: tuple[str, ...]) -> bytes:
    return hashlib.sha256("\t".join(texts).encode()).digest()


def _rows(path: Path, layout: Layout) -> Iterator[Row]:
    """Stream a TSV with a header, in which a quote is a character like any other."""
    header: list[str] | None = None
    pick: Callable[[list[str]], Row] | None = None
    for number, line in text_lines(path):
        cells = line.rstrip("\r\n").split("\t")
        if header is None or pick is None:
            header, pick = cells, _picker(path, cells, layout)
            continue
        if len(cells) != len(header):
            raise ClozeError(
                f"{path}:{number}: {len(cells)} cells, and the header has {len(header)}; write one "
                "row a line, a tab between two cells"
            )
        yield _checked(f"{path}:{number}", pick(cells), layout)


def _picker(path: Path, header: list[str], layout: Layout) -> Callable[[list[str]], Row]:
    for name in (layout.label, *layout.texts):
        if name not in header:
            raise ClozeError(
                f"{path}:1: there is no column {name!r} among {', '.join(header)}; the set "
                f"{layout.folder} needs {', '.join((layout.label, *layout.texts))}"
            )
    label, places = header.index(layout.label), [header.index(name) for name in layout.texts]
    return lambda cells: (tuple(cells[place] for place in places), cells[label])


def _checked(where: str, row: Row, layout: Layout) -> Row:
    texts, label = row
    if not all(text.strip() for text in texts):
        raise ClozeError(f"{where}: a text is empty; fill it, or remove the line")
    if layout.kind == "similarity" and not _is_number(label):
        raise ClozeError(f"{where}: {layout.label} is {label!r}; write a number")
    return row


def _is_number(text: str) -> bool:
    try:
        return abs(float(text)) < float("inf")
    except ValueError:
        return False
