"""`cloze probe` and `cloze fill`: what a model's layers know, and the words that it predicts."""

from typing import Annotated

import typer

from eval.commands.extras import check_installed
from indexer.commands.console import (
    AsJson,
    Device,
    Threads,
    emit,
    notice,
    progress_bar,
    resolve_device,
    tell,
)

Model = Annotated[str, typer.Argument(metavar="MODEL", help="Checkpoint folder or hub id")]


def probe(
    model: Model,
    tasks: Annotated[
        str | None,
        typer.Option(metavar="DIR", envvar="CLOZE_TASKS", help="The folder of the labelled sets"),
    ] = None,
    pairs: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            envvar="CLOZE_PAIRS",
            help="Questions and passages to retrieve: JSON lines with query, positive, title",
        ),
    ] = None,
    out: Annotated[
        str | None, typer.Option(metavar="DIR", help="Write probe.json and probe.png there")
    ] = None,
    device: Device = "auto",
    threads: Threads = None,
    json: AsJson = False,
) -> None:
    """Measure what each layer of a frozen model knows: classes, similarity, retrieval.

    The sets below --tasks, of which any may be absent (a header, a tab between cells, no quotes):

    \b
      sst-binary/{train,dev,test}.tsv  label, text                       accuracy
      trec-qc/{train,test}.tsv         coarse, text                      accuracy
      stsb/{train,dev,test}.tsv        score, sentence1, sentence2       Spearman
      sick/{train,dev,test}.tsv        relatedness, sentence1, sentence2 Spearman

    Fitted on train, regularised as is best on dev (else on a tenth of train), reported on test.
    """  # noqa: D301 - \b is meant: it keeps the lines of the list apart
    from indexer.threads import budget

    count = budget(threads, patient=True)
    check_installed()
    from pathlib import Path

    from training.probe.folder import PICTURE, check_folder, write_probe
    from training.probe.layers import default_precision
    from training.probe.probing import Plan, run_probe
    from training.probe.table import as_json, text_table

    if out is not None:
        check_folder(Path(out))
    where = resolve_device(device)
    found = run_probe(
        Plan(
            model=model,
            tasks=Path(tasks) if tasks else None,
            pairs=Path(pairs) if pairs else None,
            device=where,
            precision=default_precision(where),
            threads=count,
        ),
        lambda position: progress_bar(position, quiet=json, unit="texts"),
    )
    if found.left_out:
        notice(f"{tasks} has no {', '.join(found.left_out)}: left out")
    if json:
        emit(as_json(found))
    else:
        tell(text_table(found))
    if out is not None:  # after the table, which is then not lost where this fails
        write_probe(found, Path(out))
        notice(f"{Path(out) / PICTURE} is the picture")


def fill(
    model: Model,
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="With the model's mask token where a word lacks")
    ],
    top: Annotated[int, typer.Option(min=1, help="How many tokens for each mask")] = 5,
    device: Device = "auto",
    threads: Threads = None,
    json: AsJson = False,
) -> None:
    """Let a masked language model fill in words: "the cat [MASK] on the mat"."""
    from indexer.threads import budget

    budget(threads, patient=True)
    from dataclasses import asdict

    from indexer.models import find_model
    from training.fill import MaskFiller

    found = MaskFiller(find_model(model), resolve_device(device)).fill(text, top)
    if json:
        emit(asdict(found))
        return
    for number, candidates in enumerate(found.masks, 1):
        if len(found.masks) > 1:
            tell(f"mask {number}")
        for each in candidates:
            tell(f"  {each.probability:.4f}  {each.token}")
    tell(found.sentence)
