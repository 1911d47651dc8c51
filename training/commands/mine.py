"""`cloze mine`: pairs in, the same pairs with hard negatives out."""

from typing import TYPE_CHECKING, Annotated

import typer

from indexer.commands.console import (
    AsJson,
    Device,
    IndexFolder,
    Threads,
    emit,
    notice,
    resolve_device,
    tell,
)
from training.commands.pairs import PairFiles, Split
from training.commands.reading import SkipBad, reading_bar, tell_replaced

if TYPE_CHECKING:
    from training.mining.plan import Margin


def mine(
    index: IndexFolder,
    pairs: PairFiles,
    out: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            help="Where they go, as JSON lines: query, positives, negatives, scores with --label",
        ),
    ],
    mode: Annotated[
        str | None,
        typer.Option(help="lexical, dense or hybrid [default: hybrid where there are vectors]"),
    ] = None,
    negatives: Annotated[int, typer.Option(min=1, help="How many of each query")] = 4,
    ranks: Annotated[
        str, typer.Option(metavar="FIRST,LAST", help="Of documents at these ranks, from 1")
    ] = "5,100",
    scores: Annotated[
        str | None,
        typer.Option(
            metavar="LOW,HIGH", help="Of documents with such a score; either may be left out"
        ),
    ] = None,
    margin: Annotated[
        str | None,
        typer.Option(
            metavar="X|X%",
            help="At least so far below the positive's score, or such a share of it",
        ),
    ] = None,
    rerank: Annotated[
        str | None,
        typer.Option(metavar="MODEL|late", help="Let a reranker read what the ranking leaves"),
    ] = None,
    rerank_margin: Annotated[
        str | None,
        typer.Option(metavar="X|X%", help="The same margin, by the reranker's scores"),
    ] = None,
    sampling: Annotated[
        str, typer.Option(help="Of those that are left, the first, or some at random")
    ] = "first",
    seed: Annotated[int, typer.Option(help="Another seed, another random choice")] = 0,
    label: Annotated[
        bool,
        typer.Option("--label", help="Write scores too: the reranker's, without one the ranking's"),
    ] = False,
    split: Split = None,
    skip_bad: SkipBad = False,
    device: Device = "auto",
    threads: Threads = None,
    json: AsJson = False,
) -> None:
    """Find hard negatives for pairs: passages of an index that rank high and are not the answer."""
    from indexer.threads import budget

    budget(threads)
    from pathlib import Path
    from typing import cast

    from search.hits import Mode
    from search.index import Index
    from training.mining.mining import mine as run
    from training.mining.plan import Plan, Sampling
    from training.pairs.reading import read_pairs

    first, last = _numbers("--ranks", ranks)
    plan = Plan(
        mode=cast("Mode | None", mode),
        negatives=negatives,
        ranks=(int(first), int(last)),
        scores=_window(scores),
        margin=_margin("--margin", margin),
        rerank=rerank,
        rerank_margin=_margin("--rerank-margin", rerank_margin),
        sampling=cast("Sampling", sampling),
        seed=seed,
        label=label,
    )
    tell_replaced(out)
    with Index.open(index, device=resolve_device(device), threads=threads) as opened:
        with reading_bar("read", "pairs", quiet=json) as progress:
            read = read_pairs(pairs, split=split, skip_bad=skip_bad, progress=progress)
        mined = run(
            opened, read.examples, plan, Path(out),
            lambda phase, unit: reading_bar(phase, unit, quiet=json),
        )  # fmt: skip
        for line in opened.notices:
            notice(line)
    if json:
        emit({"mined": out} | mined.as_json())
        return
    for line in mined.lines():
        tell(line)
    tell(f"{out}: {mined.written:,} lines")


def _numbers(option: str, text: str) -> list[str]:
    """Split FIRST,LAST into two whole numbers."""
    from indexer.errors import ClozeError

    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 2 or not all(part.isdecimal() for part in parts):
        raise ClozeError(f"{option} is {text!r}; give the first and the last rank, as in 5,100")
    return parts


def _window(text: str | None) -> tuple[float, float]:
    from math import inf, isnan

    from indexer.errors import ClozeError

    if text is None:
        return -inf, inf
    low, comma, high = (part.strip() for part in text.partition(","))
    try:
        if not comma:
            raise ValueError
        least, greatest = float(low or -inf), float(high or inf)
        if isnan(least) or isnan(greatest):
            raise ValueError
    except ValueError:
        raise ClozeError(
            f"--scores is {text!r}; give the least and the greatest, as in 0.2,0.8 or ,0.8"
        ) from None
    return least, greatest


def _margin(option: str, text: str | None) -> "Margin | None":
    from training.mining.plan import Margin

    return None if text is None else Margin.parse(option, text)
