"""`cloze pretrain`: text in, a BERT checkpoint out."""

from typing import Annotated

import typer

from indexer.commands.console import (
    AsJson,
    Device,
    Threads,
    emit,
    notice,
)
from training.commands.extras import check_installed
from training.commands.reading import SkipBad, Text, TextField, TitleField, reading_bar
from training.commands.running import (
    Out,
    Precision,
    TextBudget,
    TextSteps,
    TextTokens,
    device_of,
    rate_of,
    spoken_once,
    tell_trained,
    text_budget,
    training_bar,
)


def pretrain(
    text: Text,
    out: Out,
    arch: Annotated[
        str,
        typer.Option(
            help="bert-tiny, bert-mini, bert-small, bert-medium, bert-base or bert-large, from "
            "nothing; or a BERT checkpoint to go on from"
        ),
    ],
    tokenizer: Annotated[
        str | None, typer.Option(metavar="DIR", help="The tokenizer [default: the checkpoint's]")
    ] = None,
    objective: Annotated[
        str, typer.Option(help="mlm, mlm+nsp (next sentence) or mlm+sop (sentence order)")
    ] = "mlm",
    budget: TextBudget = None,
    steps: TextSteps = None,
    tokens: TextTokens = None,
    length: Annotated[
        str, typer.Option(help="Tokens of a row, or of 90% of the budget and of the rest")
    ] = "128,512",
    masking: Annotated[
        str, typer.Option(help="Choose single tokens, whole words or spans: token, word or span")
    ] = "token",
    mask_rate: Annotated[float, typer.Option(help="Share of the tokens that is chosen")] = 0.15,
    mask_shares: Annotated[
        str, typer.Option(help="Of the chosen, shares that are masked and replaced at random")
    ] = "0.8,0.1",
    duplicates: Annotated[
        int | None,
        typer.Option(min=1, help="Maskings of a text, in turn [default: a new one each epoch]"),
    ] = None,
    batch_tokens: Annotated[int, typer.Option(min=1, help="Tokens of a step")] = 4096,
    lr: Annotated[
        float | None, typer.Option(help="Peak learning rate [default: by the size]")
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=2**63 - 1, help="Decides weights, order and masks")
    ] = 0,
    precision: Precision = "auto",
    title_field: TitleField = None,
    text_field: TextField = None,
    skip_bad: SkipBad = False,
    device: Device = "auto",
    threads: Threads = None,
    json: AsJson = False,
) -> None:
    """Pretrain BERT on text: from nothing, or on from a checkpoint.

    The same command continues after a stop. Under torchrun each process takes its share.
    """
    from training.loop.parts import part_of_environment, threads_each

    part = part_of_environment()
    with spoken_once(part):
        check_installed()
        wanted = text_budget(budget, steps, tokens)
        from indexer.threads import budget as budget_threads

        budget_threads(threads_each(threads), patient=True)
        from pathlib import Path

        from training.masking import Rates
        from training.plan import Plan
        from training.pretrain import pretrain as run
        from training.text import Reading

        masked, random = _shares(mask_shares)
        plan = Plan(
            texts=tuple(text),
            tokenizer=tokenizer,
            arch=arch,
            objective=objective,
            budget=wanted,
            widths=_widths(length),
            masking=masking,
            rates=Rates(chosen=mask_rate, masked=masked, random=random),
            duplicates=duplicates,
            batch_tokens=batch_tokens,
            rate=rate_of(lr),
            seed=seed,
            precision=precision,
            device=device_of(device),
            reading=Reading(title=title_field, text=text_field, skip_bad=skip_bad),
        )
        quiet = json or not part.is_first
        done = run(
            plan,
            Path(out),
            part,
            tell=notice,
            reading=reading_bar("read", "tokens", quiet=quiet),
            training=training_bar(quiet=quiet),
        )
    if part.is_first:
        if json:
            emit({"model": out, "trained": done.trained} | dict(done.result))
        else:
            tell_trained(out, done)


def _widths(length: str) -> tuple[int, ...]:
    from indexer.errors import ClozeError

    parts = [part.strip() for part in length.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise ClozeError(f"--length is {length!r}; give numbers of tokens, as in 128,512")
    return tuple(int(part) for part in parts)


def _shares(shares: str) -> tuple[float, float]:
    from indexer.errors import ClozeError

    try:
        masked, random = (float(part) for part in shares.split(","))
    except ValueError:
        raise ClozeError(
            f"--mask-shares is {shares!r}; give two shares, as in 0.8,0.1 (the rest stays)"
        ) from None
    return masked, random
