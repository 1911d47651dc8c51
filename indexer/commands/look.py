"""`cloze show`, `export`, `info`, `verify` and `doctor`: what is in an index, and how it fares."""

from typing import Annotated, Any

import typer

from indexer.commands.console import AsJson, IndexFolder, Threads, emit, tell


def show(
    index: IndexFolder,
    id: Annotated[str, typer.Argument(metavar="ID", help="The document's id")],
) -> None:
    """Print one document as JSON."""
    from indexer.errors import ClozeError
    from indexer.index import Index

    with Index.open(index) as opened:
        row = opened.store.live([id]).get(id)
        if row is None:
            raise ClozeError(f"{index} has no document {id!r}; see its ids with: cloze export")
        emit(_record(opened.store.documents([row.number])[row.number]))


def export(index: IndexFolder) -> None:
    """Print every document as a line of JSON that `cloze index` reads back."""
    from indexer.index import Index

    with Index.open(index) as opened, opened.reading():
        for _, document in opened.store.all_live():
            emit(_record(document))


def _record(document: Any) -> dict[str, Any]:  # noqa: ANN401 - Document, imported only at run time
    return {
        "_id": document.id,
        "title": document.title,
        "text": document.text,
        "metadata": document.metadata,
    }


def info(index: IndexFolder, json: AsJson = False) -> None:
    """Tell what an index holds and what it was built with."""
    from dataclasses import asdict

    from indexer.index import Index

    with Index.open(index) as opened:
        counts = opened.store.counts()
        report: dict[str, Any] = {
            "folder": str(opened.folder),
            **counts,
            "sequence": opened.sequence,
            "fields": sorted(opened.store.fields()),
            "bytes": sum(p.stat().st_size for p in opened.folder.rglob("*") if p.is_file()),
            "manifest": asdict(opened.manifest),
            "notices": opened.notices,
        }
    if json:
        emit(report)
        return
    encoder = report["manifest"]["encoder"]
    tell(f"{report['folder']}: {counts['documents']:,} documents, {counts['passages']:,} passages")
    tell(f"  on disk     {report['bytes'] / 2**20:,.1f} MiB, {counts['dead']:,} dead documents")
    tell(f"  encoder     {_encoder_line(encoder)}")
    tell(f"  analyzer    {report['manifest']['language']}")
    tell(f"  searched    {_defaults_line(report['manifest']['defaults'])}")
    tell(f"  metadata    {', '.join(report['fields']) or 'none'}")
    tell(
        f"  coverage    {counts['empty']:,} without text, {counts['duplicate_texts']:,} repeated, "
        f"{counts['truncated_documents']:,} with a title cut"
    )


def _defaults_line(defaults: dict[str, Any]) -> str:
    stored = [f"{name} {value}" for name, value in defaults.items() if value is not None]
    return ", ".join(stored) if stored else "by the built-in defaults"


def _encoder_line(encoder: dict[str, Any] | None) -> str:
    if encoder is None:
        return "none (lexical only)"
    return (
        f"{encoder['name']} {encoder['content_hash'][:12]}, {encoder['dimension']} dimensions, "
        f"{encoder['pooling']} pooling, {encoder['precision']}"
    )


def verify(index: IndexFolder, threads: Threads = None, json: AsJson = False) -> None:
    """Check all of an index: exit 0 when clean, 1 with the damage listed."""
    from indexer.threads import budget

    budget(threads)
    from indexer.verification import verify as check

    found = check(index, threads)
    if json:
        emit({"folder": index, "clean": not found, "damage": found})
    else:
        for line in found or [f"{index}: clean"]:
            tell(line)
    if found:
        raise typer.Exit(1)


def doctor(threads: Threads = None, json: AsJson = False) -> None:
    """Look at this machine: packages, processor, threads, model and cache; exit 1 on trouble."""
    from indexer.diagnosis import diagnose
    from indexer.threads import budget

    diagnosis = diagnose(budget(threads))
    if json:
        emit(diagnosis)
    else:
        for name, value in diagnosis["facts"].items():
            tell(f"{name:>16}  {value}")
        for problem in diagnosis["problems"] or ["no trouble found"]:
            tell(problem)
    if diagnosis["problems"]:
        raise typer.Exit(1)
