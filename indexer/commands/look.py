"""`cloze show`, `export`, `info`, `verify` and `doctor`: what is in an index, and how it fares."""

from json import dumps
from typing import Annotated, Any

import typer

from indexer.commands.console import AsJson, IndexFolder, Threads, emit, tell

_ROWS = 50  # of the table of fields

_UNITS = {"ivf": "lists probed", "hnsw": "efSearch"}
# What recall was measured with: passages' own vectors where the encoder could not be had.
_QUESTIONS = {"sentences": "sentences", "passages": "passages themselves (the model was not there)"}


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
    from indexer.vectors import vectors_report

    with Index.open(index) as opened:
        counts = opened.store.counts()
        report: dict[str, Any] = {
            "folder": str(opened.folder),
            **counts,
            "sequence": opened.sequence,
            "fields": {name: asdict(held) for name, held in opened.store.field_report().items()},
            "bytes": sum(p.stat().st_size for p in opened.folder.rglob("*") if p.is_file()),
            "vectors": vectors_report(opened),
            "token_vectors": opened.store.token_report(),
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
    _tell_vectors(report["vectors"], report["manifest"]["faiss"])
    tell(f"  tokens      {_tokens_line(report['token_vectors'], report['manifest'])}")
    tell(f"  analyzer    {report['manifest']['language']}")
    tell(f"  searched    {_defaults_line(report['manifest']['defaults'])}")
    tell(
        f"  coverage    {counts['empty']:,} without text, {counts['duplicate_texts']:,} repeated, "
        f"{counts['near_duplicates']:,} near-duplicates, "
        f"{counts['truncated_documents']:,} with a title cut"
    )
    _tell_fields(report["fields"])


def vectors_line(vectors: dict[str, Any] | None, asked: str | None) -> str:
    """Return how vectors are searched; `asked` is the kind of index that was asked for."""
    if vectors is None:
        return "none on disk"
    if "factory" not in vectors:
        return "flat: exact" + (f"; too few yet for {asked}" if asked not in (None, "Flat") else "")
    missed = ", which it does not reach" if vectors["recall"] < vectors["wanted"] else ""
    return (
        f"{vectors['factory']}, {_effort(vectors)}: recall at ten "
        f"{vectors['recall']:.4f} on {vectors['queries']:,} {_QUESTIONS[vectors['asked']]}; "
        f"{vectors['wanted']:g} was asked for{missed}"
    )


def _tokens_line(held: dict[str, int], manifest: dict[str, Any]) -> str:
    """Return whether token vectors are stored, and what they take."""
    if manifest["encoder"] is None:
        return "none: BM25 only"
    if manifest["token_vectors"] is None:
        return "not stored: late interaction encodes what it reads"
    return (
        f"of {held['passages']:,} passages, {held['bytes'] / 2**20:,.1f} MiB "
        f"({manifest['token_vectors']['dimension']} bytes a token)"
    )


def _effort(vectors: dict[str, Any]) -> str:
    """Say how much is looked at: lists of IVF, efSearch of HNSW, all of a flat index of codes."""
    if vectors["kind"] == "flat":
        return "all codes compared"
    return f"{vectors['effort']:,} {_UNITS[vectors['kind']]}"


def _tell_vectors(vectors: dict[str, Any] | None, asked: str | None) -> None:
    """Tell how vectors are searched, with the recall that was measured by growing effort."""
    tell(f"  vectors     {vectors_line(vectors, asked)}")
    if vectors is None or vectors["kind"] == "flat":
        return
    tell(f"    {_UNITS[vectors['kind']]:>12}  recall  ms/query")
    for tried, recall, milliseconds in vectors["curve"]:
        tell(f"    {tried:>12,}  {recall:.4f}  {milliseconds:8.3f}")


def _tell_fields(fields: dict[str, Any]) -> None:
    """Tell the metadata fields as a table, a line for each type of a field's values."""
    tell(f"  metadata    {f'{len(fields):,} fields' if fields else 'none'}")
    rows = [("field", "documents", "type", "values", "distinct", "from", "to")]
    for name, field in fields.items():
        for type_, held in field["types"].items():
            counts = [
                f"{count:,}" for count in (field["documents"], held["values"], held["distinct"])
            ]
            ends = [_cut(held["min"]), _cut(held["max"])]
            rows.append((_cut(name), counts[0], type_, *counts[1:], *ends))
    shown = rows[: _ROWS + 1] if fields else []
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        tell(f"    {'  '.join(cells)}".rstrip())
    if len(rows) > len(shown) > 0:
        tell(f"    and {len(rows) - len(shown):,} more lines: see --json")


def _cut(value: object) -> str:
    """Return a value for a cell of a table: on one line, and short."""
    text = value if isinstance(value, str) and value.isprintable() else dumps(value)
    return text if len(text) <= 24 else f"{text[:23]}…"


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
