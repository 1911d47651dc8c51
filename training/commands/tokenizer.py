"""`cloze train tokenizer`: text in, a WordPiece tokenizer out."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from indexer.commands.console import AsJson, Threads, emit, tell
from training.commands.reading import SkipBad, Text, TextField, TitleField, reading_bar

if TYPE_CHECKING:
    from training.tokenizer_folder import Made

train = typer.Typer(help="Train the parts of a model.", no_args_is_help=True)


@train.callback()
def _only() -> None:
    """Train the parts of a model."""


@train.command()
def tokenizer(
    text: Text,
    out: Annotated[str, typer.Option(metavar="DIR", help="Where to write it: a new folder")],
    vocab: Annotated[int, typer.Option(min=1, help="Pieces, special tokens included")] = 30522,
    cased: Annotated[
        bool, typer.Option("--cased", help="Keep upper case and accents apart")
    ] = False,
    title_field: TitleField = None,
    text_field: TextField = None,
    skip_bad: SkipBad = False,
    threads: Threads = None,
    json: AsJson = False,
) -> None:
    """Train a WordPiece tokenizer, and measure it on text held out."""
    from indexer.threads import budget

    budget(threads)
    from pathlib import Path

    from training.text import Reading
    from training.tokenizer_folder import make_tokenizer

    with reading_bar("read", "documents", quiet=json) as progress:
        made, is_new = make_tokenizer(
            text,
            vocab,
            Path(out),
            cased=cased,
            reading=Reading(title=title_field, text=text_field, skip_bad=skip_bad),
            progress=progress,
        )
    if json:
        emit(_as_json(made, out, is_new=is_new))
    else:
        _tell(made, out, is_new=is_new)


def _as_json(made: "Made", out: str, *, is_new: bool) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "tokenizer": out,
        "new": is_new,
        "vocabulary": made.vocabulary,
        "asked": made.inputs.asked,
        "cased": made.inputs.cased,
        "skipped": made.skipped,
        "sample_seen": made.sample_seen,
        "sample": asdict(made.measures),
    }


def _tell(made: "Made", out: str, *, is_new: bool) -> None:
    measures = made.measures
    seen = "of the text itself, one document" if made.sample_seen else "held out"
    rows = {
        "vocabulary": f"{made.vocabulary:,} of {made.inputs.asked:,} asked for",
        "measured on": f"{measures.texts:,} documents {seen}, {measures.tokens:,} tokens",
        "unknown tokens": f"{measures.unknown_rate:.3%}",
        "tokens a word": f"{measures.tokens_per_word:.3f}",
        "round trip": f"{measures.round_trip:.1%} of the documents come back",
    }
    if made.skipped:
        rows["skipped"] = f"{made.skipped:,} bad lines"
    for name, value in rows.items():
        tell(f"{name:<15} {value}")
    if made.vocabulary < made.inputs.asked:
        tell(f"The text has pieces for {made.vocabulary:,} only; more text would give more.")
    tell(f"{out} is written." if is_new else f"{out} holds it already: nothing was done.")
