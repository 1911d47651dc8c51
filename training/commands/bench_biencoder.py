"""`cloze bench biencoder`: fine-tuning's speed, as ratios side by side."""

from typing import Annotated

import typer

from indexer.commands.console import Threads, emit
from training.commands.pairs import PairFiles, open_pairs


def bench_biencoder(
    pairs: PairFiles,
    from_: Annotated[
        str, typer.Option("--from", metavar="CHECKPOINT", help="The BERT encoder to go on from")
    ],
    batch: Annotated[int, typer.Option(min=2, help="Pairs of a step, of both")] = 32,
    length: Annotated[
        int | None, typer.Option(min=8, help="Tokens of a text [default: 128]")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often each is timed")] = 3,
    seconds: Annotated[float, typer.Option(min=0.1, help="Of each turn")] = 20.0,
    equal: Annotated[
        int | None,
        typer.Option(min=1, help="Train both so many steps and compare what they learned"),
    ] = None,
    threads: Threads = None,
) -> None:
    """Time the bi-encoder against sentence-transformers' trainer in fp32 and bf16, in turn."""
    from indexer.threads import budget

    count = budget(threads)
    from training.bench.finetuning import Bench
    from training.bench.finetuning import bench_biencoder as run

    read = open_pairs(
        pairs, negatives=None, split=None, against=None, allow_leak=False, skip_bad=False,
        quiet=False,
    )  # fmt: skip
    bench = Bench(
        base=from_, batch=batch, length=length, rounds=rounds, seconds=seconds, equal=equal,
        threads=count,
    )  # fmt: skip
    emit(run(bench, read))
