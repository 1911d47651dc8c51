"""`cloze bench pretrain`: training's speed, as ratios side by side."""

from typing import Annotated

import typer

from indexer.commands.console import Threads, emit
from training.commands.reading import reading_bar


def bench_pretrain(
    text: Annotated[
        list[str], typer.Argument(metavar="TEXT...", help="What `cloze pretrain` can read")
    ],
    tokenizer: Annotated[str, typer.Option(metavar="DIR", help="The tokenizer of all")],
    arch: Annotated[
        str, typer.Option(help="bert-tiny to bert-large, or LAYERSxHIDDEN as in 6x384")
    ] = "bert-mini",
    objective: Annotated[str, typer.Option(help="mlm, mlm+nsp or mlm+sop")] = "mlm+nsp",
    length: Annotated[int, typer.Option(min=8, max=512, help="Tokens of a row")] = 128,
    batch_tokens: Annotated[int, typer.Option(min=1, help="Tokens of a step of ours")] = 4096,
    rounds: Annotated[int, typer.Option(min=1, help="How often each is timed")] = 3,
    seconds: Annotated[float, typer.Option(min=0.1, help="Of each turn")] = 20.0,
    equal_tokens: Annotated[
        int | None,
        typer.Option(min=1, help="Train both on so many tokens and compare what they learned"),
    ] = None,
    lr: Annotated[
        float | None, typer.Option(min=0, help="Peak learning rate [default: by the size]")
    ] = None,
    dropout: Annotated[float, typer.Option(min=0, max=0.9, help="The peers'; ours has none")] = 0.1,
    threads: Threads = None,
) -> None:
    """Time pretraining against Hugging Face's Trainer in fp32 and bf16, in turn."""
    from indexer.threads import budget

    count = budget(threads)
    from training.bench.pretraining import Bench
    from training.bench.pretraining import bench_pretrain as run

    with reading_bar("read", "tokens", quiet=False) as reading:
        result = run(
            Bench(
                texts=tuple(text), tokenizer=tokenizer, arch=arch, objective=objective,
                length=length, batch_tokens=batch_tokens, rounds=rounds, seconds=seconds,
                rate=lr, dropout=dropout, equal_tokens=equal_tokens, threads=count,
            ),
            reading=reading,
        )  # fmt: skip
    emit(result)
