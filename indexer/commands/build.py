"""`cloze index`: documents in, an index out."""

from itertools import chain, islice
from typing import TYPE_CHECKING, Annotated, Any

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

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from indexer.changes import Changes
    from indexer.corpus import Corpus
    from indexer.documents import Document
    from indexer.index import Index


# Of at least so many documents, a run that wrote less than this share does not count them all.
_LARGE = 100_000
_LITTLE = 0.01


def index(
    index: IndexFolder,
    corpus: Annotated[
        list[str],
        typer.Argument(
            metavar="CORPUS...",
            help="A BEIR folder; .jsonl, .json, .parquet, .csv, .tsv, .txt, .md, .html or .pdf "
            "files; a folder of the last four; quoted patterns; msmarco:FILE; sgml:PATH; - for "
            "JSON lines on standard input; docstrings[:PACKAGE,...]",
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(help="Checkpoint folder or hub id [default: all-MiniLM-L6-v2]"),
    ] = None,
    lexical_only: Annotated[bool, typer.Option("--lexical-only", help="BM25 only")] = False,
    sync: Annotated[
        bool, typer.Option("--sync", help="Delete documents that the corpus no longer has")
    ] = False,
    where: Annotated[
        str | None, typer.Option(help="Read only documents whose metadata this filter passes")
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Skip and count bad lines instead of stopping")
    ] = False,
    id: Annotated[str | None, typer.Option(help="The field that holds the id")] = None,
    title: Annotated[str | None, typer.Option(help="The field that holds the title")] = None,
    text: Annotated[str | None, typer.Option(help="The field that holds the text")] = None,
    passage_tokens: Annotated[
        int | None, typer.Option(help="Tokens of a passage [default: 128]")
    ] = None,
    overlap: Annotated[
        int | None, typer.Option(help="Tokens that neighbouring passages share [default: 32]")
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(help="Stemming of a Snowball language, or none [default: english]"),
    ] = None,
    title_weight: Annotated[
        int | None,
        typer.Option(min=0, help="How often BM25 counts a word of the title [default: 1]"),
    ] = None,
    faiss: Annotated[
        str | None,
        typer.Option(help="Kind of FAISS index, e.g. Flat, IVF1024,SQ8 [default: by size]"),
    ] = None,
    recall: Annotated[
        float | None,
        typer.Option(help="Share of the exact ten best to find; 1 is exact [default: 0.98]"),
    ] = None,
    token_vectors: Annotated[
        bool,
        typer.Option(
            "--token-vectors",
            help="Store a vector for each token too, for --rerank late: about 12 kB a passage",
        ),
    ] = False,
    max_document_mib: Annotated[
        float, typer.Option(min=0.001, help="A document above this size is bad")
    ] = 64,
    device: Device = "auto",
    precision: Precision = None,
    threads: Threads = None,
    json: AsJson = False,
) -> None:
    """Index a corpus, or bring an index up to date with it.

    Run the same command again after a crash or a change: what is unchanged is neither encoded nor
    written again.
    """
    from indexer.threads import budget

    budget(threads)
    from indexer.corpus import Corpus, Fields
    from indexer.creation import Settings
    from indexer.filters import parse
    from indexer.index import Index

    documents = Corpus(
        corpus,
        fields=Fields(id=id, title=title, text=text),
        skip_bad=skip_bad,
        max_document_mib=max_document_mib,
        where=None if where is None else parse(where),
    )
    settings = Settings(
        model=model,
        lexical_only=lexical_only,
        passage_tokens=passage_tokens,
        passage_overlap=overlap,
        language=language,
        title_weight=title_weight,
        faiss=faiss,
        recall=recall,
        token_vectors=token_vectors or None,
    )
    duplicates = _Duplicates(documents, skip=skip_bad)
    # Read before the index is made, so that an input that can't be read leaves no empty index.
    first = list(islice(documents, 1))
    stream = chain(first, documents)
    with (
        progress_bar(documents.position, quiet=json) as progress,
        Index.open(
            index,
            settings,
            device=resolve_device(device),
            threads=threads,
            precision=precision,
            progress=progress,
        ) as opened,
    ):
        changes = opened.add(
            _whole(stream, documents) if sync else stream,
            sync=sync,
            duplicate=duplicates,
            progress=progress,
        )
        report = _report(opened, documents, changes, duplicates.count)
        _tell_notices(opened, documents, changes)
    if json:
        emit(report)
    else:
        _tell(index, report)


def _whole(documents: "Iterable[Document]", corpus: "Corpus") -> "Iterator[Document]":
    """Yield the documents, and fail at the end where some were skipped: sync deletes none then."""
    from indexer.errors import ClozeError

    yield from documents
    if corpus.counts.skipped:
        raise ClozeError(
            f"--sync deleted nothing: {corpus.counts.skipped} bad lines were skipped, and what "
            "they hold may still be in the index; mend them, or run without --sync"
        )


class _Duplicates:
    """What to do with an id that comes twice in one run."""

    def __init__(self, corpus: "Corpus", *, skip: bool) -> None:
        self.corpus = corpus
        self.skip = skip
        self.count = 0

    def __call__(self, document: "Document") -> None:
        from indexer.errors import ClozeError

        if not self.skip:
            raise ClozeError(
                f"{self.corpus.where()}: the id {document.id!r} came before in this run; make ids "
                "unique, or pass --skip-bad to keep the first"
            )
        self.count += 1


def _report(
    index: "Index", corpus: "Corpus", changes: "Changes", duplicates: int
) -> dict[str, Any]:
    """Return what the run did, and what the index then holds: None where that was not counted."""
    import resource

    counts = _counts(index, changes)
    seconds = _process_seconds()
    return {
        "documents": changes.documents,
        "passages": counts.get("passages"),
        "tokens": counts.get("tokens"),
        "added": changes.added,
        "updated": changes.updated,
        "unchanged": changes.unchanged,
        "deleted": changes.deleted,
        "skipped": corpus.counts.skipped + duplicates,
        "left_out": corpus.counts.left_out,
        "repeated_files": corpus.counts.repeated,
        "control_characters": corpus.counts.control_characters,
        "empty": counts.get("empty"),
        "duplicate_texts": counts.get("duplicate_texts"),
        "near_duplicates": counts.get("near_duplicates"),
        "truncated_documents": counts.get("truncated_documents"),
        "dropped_tokens": counts.get("dropped_tokens"),
        "seconds": round(seconds, 3),
        "documents_per_second": round(changes.documents / seconds, 1),
        "peak_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def _counts(index: "Index", changes: "Changes") -> dict[str, int]:
    """Count all of an index; nothing of a large one of which little was written: it takes long."""
    written = changes.added + changes.updated + changes.deleted
    held = index.lexical.count
    if held >= _LARGE and written < held * _LITTLE:
        return {}
    return index.store.counts()


def _process_seconds() -> float:
    """Return the wall clock time since this process was started, by the kernel's account."""
    import os
    import time
    from pathlib import Path

    started = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK")


def _tell_notices(index: "Index", corpus: "Corpus", changes: "Changes") -> None:
    if corpus.counts.left_out and not corpus.counts.read:
        notice("--where passed no document; is its value of the kind that the field holds?")
    for line in [*index.notices, *changes.notices, *corpus.counts.skipped_examples]:
        notice(line)


def _tell(folder: str, report: dict[str, Any]) -> None:
    tell(
        f"{folder}: {report['documents']:,} documents read, {report['added']:,} added, "
        f"{report['updated']:,} updated, {report['unchanged']:,} unchanged, "
        f"{report['deleted']:,} deleted, in {report['seconds']:.1f} s "
        f"({report['documents_per_second']:,.0f}/s, peak {report['peak_rss_mib']:,.0f} MiB)"
    )
    if report["passages"] is None:
        tell(f"What it holds was not counted after so small a change; see: cloze info {folder}")
    elif report["passages"]:
        tell(f"It holds {report['passages']:,} passages and {report['tokens']:,} tokens.")
    remarks = {
        "skipped": "bad lines skipped",
        "left_out": "documents left out by --where",
        "repeated_files": "files came by two inputs and were read once",
        "control_characters": "documents had control characters replaced",
        "empty": "documents have no text",
        "duplicate_texts": "documents repeat the text of another",
        "near_duplicates": "documents are near-duplicates of another",
        "truncated_documents": "documents lost the end of a long title to the encoder",
    }
    for name, remark in remarks.items():
        if report[name]:
            tell(f"{report[name]:,} {remark}.")
