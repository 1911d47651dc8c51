"""`cloze demo`."""

from typing import Annotated

import typer

from indexer.commands.console import Device, Threads, notice, progress_bar, resolve_device, tell

_QUERIES = (
    ("compute the distance between every pair of points", None),
    ("run a function in another thread and wait for its result", "package = stdlib"),
    ("nearest neighbour search that fits in less memory", "package in (faiss, scipy)"),
)


def demo(
    port: Annotated[
        int, typer.Option(envvar="CLOZE_PORT", help="Where the page is served at last")
    ] = 8000,
    packages: Annotated[
        str, typer.Option(help="Index the docstrings of these packages instead, e.g. torch,pandas")
    ] = "",
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Index the docstrings of this Python's packages, ask three questions, and serve the page."""
    from indexer.threads import budget

    budget(threads)
    from indexer.caches import cache_home
    from indexer.corpus import Corpus
    from indexer.creation import Settings
    from search.api.server import bound
    from search.api.settings import ApiSettings
    from search.commands.serve import run
    from search.index import Index
    from search.service.settings import ServiceSettings
    from search.telling import tell_results

    api = ApiSettings(port=port)
    bound(api).close()  # a port that is taken is told before minutes of work
    corpus = Corpus([f"docstrings:{packages}" if packages else "docstrings"])
    folder = cache_home() / "demo"
    notice(f"Indexing the docstrings of installed packages into {folder}: minutes, the first time")
    with (
        progress_bar(corpus.position, quiet=False) as progress,
        Index.open(
            folder, Settings(), device=resolve_device(device), threads=threads, progress=progress
        ) as opened,
    ):
        changes = opened.add(corpus, sync=True, progress=progress)
        counts = opened.store.counts()
        notice(f"{changes.documents:,} docstrings, {counts['passages']:,} passages")
        for query, condition in _QUERIES:
            suffix = f"  --filter '{condition}'" if condition else ""
            tell(f'\n$ cloze search {folder} "{query}"{suffix} --top 3')
            tell_results(opened.search(query, top=3, filter=None if packages else condition))
    tell(f"\n$ cloze serve {folder} --port {port}")
    run(folder, ServiceSettings(device=resolve_device(device), threads=threads), api)
