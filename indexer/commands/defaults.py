"""`cloze defaults`: what an index is searched with where a query does not say."""

from typing import Annotated, Any

import typer

from indexer.commands.console import AsJson, IndexFolder, emit, tell


def defaults(
    index: IndexFolder,
    fusion: Annotated[str | None, typer.Option(help="minmax or rrf")] = None,
    weight: Annotated[
        float | None, typer.Option(min=0, max=1, help="Share of the dense score in minmax")
    ] = None,
    depth: Annotated[
        int | None, typer.Option(min=1, help="Candidates that each retrieval fetches")
    ] = None,
    rerank: Annotated[
        str | None, typer.Option(help="A cross-encoder's folder or hub id, late or none")
    ] = None,
    rerank_depth: Annotated[
        int | None, typer.Option(min=1, help="Documents that are reranked")
    ] = None,
    rerank_weight: Annotated[
        float | None, typer.Option(min=0, max=1, help="Share of the reranker's score")
    ] = None,
    title_weight: Annotated[
        int | None,
        typer.Option(min=0, help="How often BM25 counts a word of the title; rebuilds postings"),
    ] = None,
    reset: Annotated[
        bool, typer.Option("--reset", help="First go back to all built-in ones")
    ] = False,
    json: AsJson = False,
) -> None:
    """Show what an index is searched with by default, or change it; nothing is encoded.

    `cloze tune` chooses these by judgements; this sets them by hand, or back.
    """
    from dataclasses import asdict, replace
    from pathlib import Path

    from indexer.defaults import change_defaults
    from indexer.errors import ClozeError
    from indexer.manifest import Defaults, read_manifest

    if fusion not in (None, "minmax", "rrf"):
        raise ClozeError(f"--fusion is {fusion!r}; choose minmax or rrf")
    asked = {
        "fusion": fusion, "weight": weight, "depth": depth, "rerank": rerank,
        "rerank_depth": rerank_depth, "rerank_weight": rerank_weight,
    }  # fmt: skip
    given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}

    def change(stored: Defaults) -> Defaults:
        return replace(Defaults() if reset else stored, **given)

    if given or reset or title_weight is not None:
        manifest = change_defaults(Path(index), change, title_weight=title_weight)
    else:
        manifest = read_manifest(Path(index))
    if json:
        emit(asdict(manifest.defaults) | {"title_weight": manifest.title_weight})
        return
    for name, value in asdict(manifest.defaults).items():
        tell(f"{name.replace('_', ' '):>13}  {'built-in' if value is None else value}")
    tell(f"{'title weight':>13}  {manifest.title_weight}")
