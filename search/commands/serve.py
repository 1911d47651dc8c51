"""`cloze serve`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from indexer.commands.console import (
    Device,
    IndexFolder,
    Precision,
    Threads,
    notice,
    resolve_device,
    tell,
)
from search.service.settings import Limits, ServiceSettings

if TYPE_CHECKING:
    from search.api.keys import Keys
    from search.api.settings import ApiSettings

_LIMITS = Limits()
_BUILT_IN = ServiceSettings()


def _most(what: str, variable: str) -> Any:  # noqa: ANN401 - what typer makes of an option
    return typer.Option(min=1, envvar=f"CLOZE_{variable}", help=f"{what}, at most")


def serve(
    index: IndexFolder,
    host: Annotated[
        str,
        typer.Option(
            envvar="CLOZE_HOST",
            help="Address to listen at; one that other machines reach needs keys, or --insecure",
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="CLOZE_PORT", help="Port; 0 is any free one")] = 8000,
    rerank: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL|late|none",
            envvar="CLOZE_RERANK",
            help="The reranker that requests may ask for, and that orders hits where they do not "
            "say; a cross-encoder (folder or hub id) also answers /v1/rerank "
            "[default: the index's, else none]",
        ),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            envvar="CLOZE_API_KEY_FILE",
            help="Keys, as `cloze key add` writes them; CLOZE_API_KEYS may hold some besides, as "
            "in 'read:KEY write:KEY'",
        ),
    ] = None,
    insecure: Annotated[
        bool,
        typer.Option("--insecure", envvar="CLOZE_INSECURE", help="Serve other machines unasked"),
    ] = False,
    read_only: Annotated[
        bool, typer.Option("--read-only", envvar="CLOZE_READ_ONLY", help="Refuse every write")
    ] = False,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(
            envvar="CLOZE_ALLOWED_HOST",
            help="A name that a Host header may have besides, such as a proxy's; * is any",
        ),
    ] = None,
    cors: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ORIGIN", envvar="CLOZE_CORS", help="An origin whose pages may ask; * is any"
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(envvar="CLOZE_RATE", help="Requests a second of a key, or of an address"),
    ] = None,
    max_connections: Annotated[
        int | None,
        typer.Option(
            min=1,
            envvar="CLOZE_MAX_CONNECTIONS",
            help="Connections, at most; the rest is told 503 [default: by the limit of open files]",
        ),
    ] = None,
    access_log: Annotated[
        bool,
        typer.Option(
            "--access-log/--no-access-log",
            envvar="CLOZE_ACCESS_LOG",
            help="A line of JSON for each request, on standard error",
        ),
    ] = True,
    queue: Annotated[
        int,
        typer.Option(
            min=1,
            envvar="CLOZE_QUEUE",
            help="Requests of a kind in flight, of writes four times as many; the rest is told 429",
        ),
    ] = _BUILT_IN.queue,
    timeout: Annotated[
        float, typer.Option(min=0.1, envvar="CLOZE_TIMEOUT", help="Seconds that a request may take")
    ] = _BUILT_IN.timeout,
    max_body: Annotated[int, _most("Bytes of a request", "MAX_BODY")] = _LIMITS.body,
    max_query: Annotated[int, _most("Characters of a query", "MAX_QUERY")] = _LIMITS.query,
    max_text: Annotated[int, _most("Characters of a text", "MAX_TEXT")] = _LIMITS.text,
    max_top: Annotated[int, _most("Hits of a page", "MAX_TOP")] = _LIMITS.top,
    max_reach: Annotated[int, _most("Offset and top together", "MAX_REACH")] = _LIMITS.reach,
    max_batch: Annotated[int, _most("Queries of a request", "MAX_BATCH")] = _LIMITS.batch,
    max_texts: Annotated[
        int, _most("Texts to embed or rank in a request", "MAX_TEXTS")
    ] = _LIMITS.texts,
    max_documents: Annotated[
        int, _most("Documents of a write", "MAX_DOCUMENTS")
    ] = _LIMITS.documents,
    max_filter_depth: Annotated[
        int, _most("Conditions of a filter inside each other", "MAX_FILTER_DEPTH")
    ] = _LIMITS.filter_depth,
    max_filter_terms: Annotated[
        int, _most("Conditions and values of a filter", "MAX_FILTER_TERMS")
    ] = _LIMITS.filter_terms,
    max_rerank_depth: Annotated[
        int, _most("Documents to rerank for a query", "MAX_RERANK_DEPTH")
    ] = _LIMITS.rerank_depth,
    max_facets: Annotated[int, _most("Facets of a search", "MAX_FACETS")] = _LIMITS.facets,
    max_passages: Annotated[int, _most("Passages of a hit", "MAX_PASSAGES")] = _LIMITS.passages,
    device: Device = "auto",
    precision: Precision = None,
    threads: Threads = None,
) -> None:
    """Serve an index: search page, JSON API, OpenAI embeddings and Cohere rerank."""
    from indexer.threads import budget

    budget(threads, blas=1)
    limits = Limits(
        body=max_body, query=max_query, text=max_text, top=max_top, reach=max_reach,
        batch=max_batch, texts=max_texts, documents=max_documents, filter_depth=max_filter_depth,
        filter_terms=max_filter_terms, rerank_depth=max_rerank_depth, facets=max_facets,
        passages=max_passages,
    )  # fmt: skip
    settings = ServiceSettings(
        rerank=rerank, device=resolve_device(device), threads=threads, precision=precision,
        queue=queue, timeout=timeout, limits=limits,
    )  # fmt: skip
    from search.api.settings import ApiSettings

    run(
        Path(index),
        settings,
        ApiSettings(
            host=host, port=port, keys=_keys(api_key), insecure=insecure, read_only=read_only,
            allowed_hosts=tuple(allowed_host or ()), cors=tuple(cors or ()), rate=rate,
            access_log=access_log, max_connections=max_connections,
        ),
    )  # fmt: skip


def run(index: Path, settings: ServiceSettings, api: "ApiSettings") -> None:
    """Serve an index until a signal, telling when it can be asked, and when it stops."""
    api.check()
    from search.api.server import serve as run_server

    notice(f"Loading {index} …")
    finished = run_server(
        index, settings, api,
        lambda address: tell(f"{address}  (Ctrl-C stops)"),
    )  # fmt: skip
    notice(
        "stopped; what was accepted is done"
        if finished
        else "stopped; some of what was accepted has no answer"
    )


def _keys(file: str | None) -> "Keys | None":
    import os

    from search.api.keys import read_keys

    return read_keys(Path(file) if file else None, os.environ.get("CLOZE_API_KEYS", ""))
