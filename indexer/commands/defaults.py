"""`cloze defaults`: what an index is searched with where a query does not say."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from indexer.commands.console import AsJson, IndexFolder, emit, tell

if TYPE_CHECKING:
    from pathlib import Path


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
    if rerank is not None:
        rerank = _reranker(rerank, Path(index))
    asked = {
        "fusion": fusion, "weight": weight, "depth": depth, "rerank": rerank,
        "rerank_depth": rerank_depth, "rerank_weight": rerank_weight,
    }  # fmt: skip
    given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}

    def change(stored: Defaults) -> Defaults:
        kept = Defaults() if reset else stored
        if rerank not in (None, kept.rerank):  # these were the other one's
            kept = replace(kept, rerank_depth=None, rerank_weight=None)
        return replace(kept, **given)

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


def _reranker(name: str, folder: "Path") -> str:
    """Return a reranker's name as it is stored, of a folder the whole path, after checking it.

    Raises:
        ClozeError: there is no such reranker, or none for this index.
    """
    from difflib import get_close_matches
    from pathlib import Path

    from indexer.errors import ClozeError
    from indexer.manifest import read_manifest
    from indexer.models import find_classifier

    if name == "none":
        return name
    if name == "late":
        if read_manifest(folder).encoder is None:
            raise ClozeError(
                f"{folder} was built with --lexical-only, --rerank late needs an encoder; name a "
                f"cross-encoder, or: cloze reindex {folder} --model MODEL"
            )
        return name
    near = get_close_matches(name.strip().lower(), ("late", "none"), n=1)
    if not name.strip() or (near and "/" not in name and not Path(name).is_dir()):
        hint = f"did you mean {near[0]!r}? Choose" if near else "choose"
        raise ClozeError(
            f"--rerank is {name!r}, which is no reranker; {hint} late, none, a checkpoint folder "
            "or a hub id"
        )
    return find_classifier(name).name
