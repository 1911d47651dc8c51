"""`cloze delete`, `compact` and `reindex`: an index changed without its corpus."""

from typing import Annotated

import typer

from indexer.commands.console import (
    AsJson,
    Device,
    IndexFolder,
    Precision,
    Threads,
    emit,
    notice,
    progress_bar,
    resolve_device,
    tell,
)


def delete(
    index: IndexFolder,
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID...", help="Ids to delete")] = None,
    filter: Annotated[
        str | None, typer.Option(help="Delete what this filter passes, e.g. 'year < 2000'")
    ] = None,
    threads: Threads = None,
    json: AsJson = False,
) -> None:
    """Delete documents by id or by filter; searches see it at once."""
    from indexer.errors import ClozeError
    from indexer.threads import budget

    budget(threads)
    if bool(ids) == (filter is not None):
        raise ClozeError("delete takes ids or --filter, one of the two; see cloze delete --help")
    from indexer.filters import parse
    from indexer.index import Index

    with Index.open(index, threads=threads) as opened:
        if filter is not None:
            condition = parse(filter)
            if condition == parse("{}"):
                raise ClozeError(f"--filter {filter} passes every document; delete the folder then")
            if misfits := opened.store.misfits(condition, opened.sequence):
                raise ClozeError(f"nothing was deleted: {misfits[0]}")
            deleted = opened.delete_matching(condition)
        else:
            deleted = opened.delete(list(dict.fromkeys(ids or [])))
        missing = 0 if filter is not None else len(set(ids or [])) - deleted
    if missing:
        notice(f"{missing} of the ids are not in {index}")
    if json:
        emit({"deleted": deleted, "missing": missing})
    else:
        tell(f"{index}: {deleted:,} documents deleted")


def compact(
    index: IndexFolder,
    faiss: Annotated[
        str | None,
        typer.Option(help="From now on this kind of FAISS index, e.g. HNSW32,SQ8; auto: by size"),
    ] = None,
    recall: Annotated[
        float | None, typer.Option(help="From now on this share of the exact ten best; 1 is exact")
    ] = None,
    threads: Threads = None,
) -> None:
    """Rebuild what is derived and drop deleted documents for good, as a fresh build would."""
    from indexer.threads import budget

    budget(threads)
    from indexer.commands.look import vectors_line
    from indexer.index import Index
    from indexer.vectors import vectors_report

    with (
        progress_bar(lambda: None, quiet=False) as progress,
        Index.open(index, threads=threads) as opened,
    ):
        dead = opened.store.dead()
        opened.compact(faiss=faiss, recall=recall, progress=progress)
        vectors = vectors_report(opened)
    tell(f"{index}: compacted, {dead:,} dead documents removed")
    if vectors is not None:
        tell(f"  vectors     {vectors_line(vectors, opened.manifest.faiss)}")


def reindex(
    index: IndexFolder,
    model: Annotated[str, typer.Option(help="Checkpoint folder or hub id of the new encoder")],
    passage_tokens: Annotated[
        int | None, typer.Option(help="Tokens of a passage [default: 128]")
    ] = None,
    overlap: Annotated[
        int | None, typer.Option(help="Tokens that neighbouring passages share [default: 32]")
    ] = None,
    token_vectors: Annotated[
        bool | None,
        typer.Option(
            "--token-vectors/--no-token-vectors",
            help="Store a vector for each token, or none [default: as before]",
        ),
    ] = None,
    device: Device = "auto",
    precision: Precision = None,
    threads: Threads = None,
) -> None:
    """Encode an index anew with another model, beside the old one, and swap at the end.

    The old index answers until then; after a crash the same command continues.
    """
    from indexer.threads import budget

    budget(threads)
    from indexer.creation import Settings
    from indexer.reindexing import Reindexing

    work = Reindexing(
        index,
        Settings(
            model=model,
            passage_tokens=passage_tokens,
            passage_overlap=overlap,
            token_vectors=token_vectors,
        ),
        device=resolve_device(device),
        threads=threads,
        precision=precision,
    )
    with progress_bar(work.position, quiet=False) as progress:
        documents = work.run(progress)
    for line in work.notices:
        notice(line)
    tell(f"{index}: {documents:,} documents encoded by {model}")
