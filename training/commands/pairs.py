"""Pairs on the command line: how they are named, read, held against tests, and shown."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from indexer.commands.console import emit, notice, tell
from training.commands.reading import reading_bar

if TYPE_CHECKING:
    from training.finetuning.material import Material
    from training.pairs.example import Example
    from training.pairs.reading import Pairs

_HELD_OUT = 200
_SHARE = 10  # unless it is given, at most one query in so many is held out

PairFiles: TypeAlias = Annotated[
    list[str],
    typer.Argument(
        metavar="PAIRS...",
        help="JSON lines or TSV with query and positive, positives or passage and label (also "
        "negative, negatives, scores, title, split); MS MARCO triples; SQuAD-like .json; each also "
        ".gz; BEIR folders",
    ),
]
Negatives: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="FILE", help="Negatives and scores for the pairs' queries, as `cloze mine` writes"
    ),
]
Split: TypeAlias = Annotated[
    str | None,
    typer.Option(help="The split of BEIR folders, and of rows that name one [default: train]"),
]
Against: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COLLECTION",
        help="Refuse pairs that its test split is judged by, or, as FOLDER:SPLIT, another; may be "
        "given several times",
    ),
]
AllowLeak: TypeAlias = Annotated[
    bool, typer.Option("--allow-leak", help="Only tell of pairs that --against is judged by")
]
HeldOut: TypeAlias = Annotated[
    int | None,
    typer.Option(
        min=0, help="Queries to validate on [default: 200, or a tenth where there are fewer]"
    ),
]
DryRun: TypeAlias = Annotated[
    bool, typer.Option("--dry-run", help="Print what the pairs hold and one batch; train nothing")
]


def open_pairs(
    paths: Sequence[str],
    *,
    negatives: str | None,
    split: str | None,
    against: Sequence[str] | None,
    allow_leak: bool,
    skip_bad: bool,
    quiet: bool,
) -> "Pairs":
    """Read pairs with their progress shown, and hold them against collections.

    Of several processes the first alone speaks.

    Raises:
        ClozeError: they can't be read, or there is a leak that isn't allowed.
    """
    from training.loop.parts import part_of_environment
    from training.pairs.leaks import check_leaks
    from training.pairs.reading import read_pairs

    with reading_bar("read", "rows", quiet=quiet) as progress:
        pairs = read_pairs(
            paths, negatives=negatives, split=split, skip_bad=skip_bad, progress=progress
        )
    is_first = part_of_environment().is_first
    check_leaks(
        pairs, against or (), allow=allow_leak, tell=lambda line: notice(line) if is_first else None
    )
    return pairs


def open_material(
    paths: Sequence[str],
    *,
    negatives: str | None,
    split: str | None,
    against: Sequence[str] | None,
    allow_leak: bool,
    skip_bad: bool,
    held_out: int | None,
    quiet: bool,
) -> "Material":
    """Read pairs as `open_pairs` does, and hold some of their queries out."""
    from training.finetuning.material import Material
    from training.pairs.holding_out import hold_out

    pairs = open_pairs(
        paths, negatives=negatives, split=split, against=against, allow_leak=allow_leak,
        skip_bad=skip_bad, quiet=quiet,
    )  # fmt: skip
    train, kept = hold_out(pairs, held_out_count(held_out, len(pairs.examples)))
    return Material(
        pairs=pairs,
        train=train,
        held_out=kept,
        paths=tuple(paths),
        options={
            "--negatives": negatives, "--split": split, "--held-out": held_out,
            "--against": against, "--allow-leak": allow_leak, "--skip-bad": skip_bad,
        },
    )  # fmt: skip


def held_out_count(given: int | None, examples: int) -> int:
    """Return how many queries are held out of so many."""
    return min(_HELD_OUT, examples // _SHARE) if given is None else given


def show_report(material: "Material") -> None:
    """Say what pairs hold, and what `hold_out` made of them, where a run begins."""
    for line in _report_lines(material):
        notice(line)


def show_dry_run(material: "Material", batch: "Sequence[Example]", *, json: bool = False) -> None:
    """Print the report of pairs, what `hold_out` made of them, and one batch."""
    from training.pairs.batch import batch_json, batch_lines
    from training.pairs.holding_out import left_out

    pairs = material.pairs
    if json:
        emit(
            {
                "pairs": pairs.report.as_json(),
                "content_hash": pairs.content_hash,
                "train": len(material.train),
                "held_out": len(material.held_out),
                "left_out": left_out(pairs, material.train, material.held_out),
                "batch": batch_json(batch),
            }
        )
        return
    for line in (*_report_lines(material), *batch_lines(batch)):
        tell(line)


def _report_lines(material: "Material") -> Iterator[str]:
    from training.pairs.holding_out import left_out

    yield from material.pairs.report.as_lines()
    dropped = left_out(material.pairs, material.train, material.held_out)
    yield (
        f"{len(material.train):,} to train on, {len(material.held_out):,} held out; "
        f"{dropped['examples']:,} examples and {dropped['positives']:,} positives left out for "
        "being those of queries held out"
    )
