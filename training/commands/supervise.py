"""`cloze train pairs`: bare text in, pairs of query and passage out."""

from typing import TYPE_CHECKING, Annotated

import typer

from indexer.commands.console import AsJson, emit, notice, tell
from training.commands.reading import (
    SkipBad,
    Text,
    TextField,
    TitleField,
    reading_bar,
    tell_replaced,
)

if TYPE_CHECKING:
    from training.supervision.generation import Made

_WIDTH = 160


def pairs(
    text: Text,
    out: Annotated[
        str, typer.Option(metavar="FILE", help="Where they go, as JSON lines: query, positive")
    ],
    method: Annotated[
        str,
        typer.Option(
            help="One or more of title, inverse-cloze, neighbours, crops, key-phrases, sentences"
        ),
    ] = "title,inverse-cloze,key-phrases",
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="At most so many of each method, a sample of all [default: all]"),
    ] = None,
    length: Annotated[int, typer.Option(min=16, help="Words of a passage, at most")] = 120,
    seed: Annotated[int, typer.Option(help="Another seed, other sentences and crops")] = 0,
    title_field: TitleField = None,
    text_field: TextField = None,
    skip_bad: SkipBad = False,
    json: AsJson = False,
) -> None:
    """Make pairs to train on from text without any labels."""
    from pathlib import Path

    from training.supervision.generation import Plan, generate
    from training.supervision.methods import chosen_methods
    from training.text import Reading, Texts

    plan = Plan(methods=chosen_methods(method), length=length, limit=limit, seed=seed)
    texts = Texts(text, Reading(title=title_field, text=text_field, skip_bad=skip_bad))
    tell_replaced(out)
    with reading_bar("read", "documents", quiet=json) as progress:
        made = generate(texts, plan, Path(out), progress)
    if texts.skipped():
        notice(f"{texts.skipped():,} bad lines are skipped")
    if json:
        emit(_as_json(made, out))
    else:
        _tell(made, out)


def _as_json(made: "Made", out: str) -> dict[str, object]:
    return {
        "pairs": out,
        "documents": made.documents,
        "written": made.written,
        "left_out": {
            "duplicate": made.duplicates,
            "identical": made.identical,
            "over_limit": made.over_limit,
        },
    }


def _tell(made: "Made", out: str) -> None:
    tell("method           pairs")
    for method, count in made.written.items():
        tell(f"{method:<13} {count:>8,}")
        for pair in made.examples.get(method, ()):
            tell(f"  {_cut(pair.query)}")
            tell(f"    -> {_cut(pair.positive)}")
    tell(
        f"left out: {made.duplicates:,} that came before, {made.identical:,} of equal texts, "
        f"{made.over_limit:,} above the limit"
    )
    total = sum(made.written.values())
    tell(f"{out}: {total:,} pairs of {made.documents:,} documents")


def _cut(text: str) -> str:
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"
