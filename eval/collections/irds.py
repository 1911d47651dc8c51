"""The collections of ir_datasets, by their ids: beir/scifact/test, msmarco-passage/dev/small."""

import hashlib
import importlib
import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from eval.collections.collection import Collection, Documents, Source, assemble, choose_split
from eval.judgements import Qrels
from indexer.documents import Document
from indexer.errors import ClozeError
from search.runs import column


def open_irds(name: str, split: str | None) -> Collection:
    """Open the data set of this id; what of it is not on this machine ir_datasets downloads.

    An id that has judgements is a split itself, named by what follows the id of its documents
    (beir/scifact/test is `test`; where nothing follows, `test`). Below every other id the splits
    are the ids that have judgements.

    Raises:
        ClozeError: the package or the id is not there, there is no such split, or a file can't be
            downloaded; the error names it, where to get it and where to put it.
    """
    irds = _package(name)
    chosen, label = _choose(irds, name, split)
    dataset = irds.load(chosen)
    with _named_downloads(irds, chosen, dataset):
        queries = [(query.query_id, query.default_text()) for query in dataset.queries_iter()]
        qrels = _qrels(chosen, dataset)
    return assemble(
        name=name.removesuffix(f"/{label}"),
        split=label,
        queries=queries,
        qrels=qrels,
        source=_source(irds, chosen, dataset),
    )


def _package(name: str) -> Any:  # noqa: ANN401 - the package has no types
    try:
        return importlib.import_module("ir_datasets")
    except ModuleNotFoundError as error:
        if error.name != "ir_datasets":
            raise
        raise ClozeError(
            f"there is no folder {name}; if it is a data set of ir_datasets: "
            'pip install "cloze-search[datasets]"'
        ) from None


def _choose(irds: Any, name: str, split: str | None) -> tuple[str, str]:  # noqa: ANN401
    """Return the id of the split, and its name."""
    try:
        dataset = irds.load(name)
    except KeyError:
        nearest = get_close_matches(name, list(irds.registry), n=1)
        hint = f"; did you mean {nearest[0]}?" if nearest else ""
        raise ClozeError(
            f"there is no folder {name}, and no data set of ir_datasets has this id{hint}"
        ) from None
    splits = _below(irds, name)
    if _is_judged(dataset):
        corpus = irds.docs_parent_id(name) if dataset.has_docs() else name
        own = name.removeprefix(corpus).strip("/") or "test"
        if split is None:
            return name, own
        splits[own] = name
    if not splits:
        raise ClozeError(f"{name} has no queries with judgements in ir_datasets; name another id")
    label = choose_split(name, list(splits), split)
    return splits[label], label


def _below(irds: Any, name: str) -> dict[str, str]:  # noqa: ANN401
    ids = sorted(each for each in irds.registry if each.startswith(f"{name}/"))
    return {each.removeprefix(f"{name}/"): each for each in ids if _is_judged(irds.load(each))}


def _is_judged(dataset: Any) -> bool:  # noqa: ANN401
    return bool(dataset.has_queries() and dataset.has_qrels())


def _qrels(name: str, dataset: Any) -> Qrels:  # noqa: ANN401
    qrels: dict[str, dict[str, int]] = {}
    for judgement in dataset.qrels_iter():
        query, document = column(judgement.query_id), column(judgement.doc_id)
        grade = getattr(judgement, "relevance", None)
        if not isinstance(grade, int):
            raise ClozeError(
                f"{name}: its judgements have no grade, but {', '.join(judgement._fields)}; "
                "name another id"
            )
        # ir_datasets' own dictionary keeps the last of several grades, and so does its evaluation.
        qrels.setdefault(query, {})[document] = grade
    return qrels


def _source(irds: Any, name: str, dataset: Any) -> Source | None:  # noqa: ANN401
    if not dataset.has_docs():
        return None
    corpus = irds.docs_parent_id(name)
    # The published count: the package's own may change once it has read all documents.
    count = dataset.docs_metadata().get("count")

    def seal() -> str:
        # A data set's files are fixed by its id; hashing what may be terabytes adds nothing.
        return hashlib.sha256(f"{corpus} {count}".encode()).hexdigest()

    def read() -> Documents:
        return _Documents(lambda: _documents(irds, name, dataset), count)

    return Source(read=read, seal=seal)


def _documents(irds: Any, name: str, dataset: Any) -> Iterator[Document]:  # noqa: ANN401
    with _named_downloads(irds, name, dataset):
        for document in dataset.docs_iter():
            # The default text begins with the title where there is one.
            if hasattr(document, "title") and hasattr(document, "text"):
                title, text = document.title or "", document.text or ""
            else:
                title, text = "", document.default_text()
            yield Document(id=document.doc_id, title=title, text=text)


class _Documents:
    """Stream documents and count them against how many there are."""

    def __init__(self, read: Callable[[], Iterator[Document]], total: int | None) -> None:
        self._read = read
        self._total = total
        self._done = 0

    def position(self) -> float | None:
        return min(self._done / self._total, 1.0) if self._total else None

    def __iter__(self) -> Iterator[Document]:
        self._done = 0
        for document in self._read():
            self._done += 1
            yield document


@dataclass(frozen=True, slots=True, kw_only=True)
class _Missing:
    """A file that ir_datasets wants: where it comes from, its MD5, and where it goes."""

    origin: str
    md5: str | None
    place: str

    def __str__(self) -> str:
        checked = f" (MD5 {self.md5})" if self.md5 else ""
        return f"{self.origin}{checked} to {self.place}"


@contextmanager
def _named_downloads(irds: Any, name: str, dataset: Any) -> Iterator[None]:  # noqa: ANN401
    """Turn the failure of a download into an error that names the files to put in place."""
    try:
        yield
    except Exception as error:
        failed = [frame.f_locals.get("self") for frame, _ in traceback.walk_tb(error.__traceback__)]
        kind = irds.util.Download
        if not any(isinstance(each, kind) for each in failed):
            raise
        parts = [dataset.queries_handler(), dataset.qrels_handler()]
        parts += [dataset.docs_handler()] if dataset.has_docs() else []
        reachable = [each for each in _downloads(parts, kind) if not _present(each)]
        wanted = [_missing(irds, each) for each in (*failed, *reachable) if isinstance(each, kind)]
        files = "; ".join(dict.fromkeys(map(str, wanted)))
        reason = " ".join(str(error).split())[:120]
        raise ClozeError(
            f"{name}: a file can't be downloaded ({type(error).__name__}: {reason}); get with "
            f"another machine {files}"
        ) from error


def _downloads(parts: list[Any], kind: type) -> Iterator[Any]:
    """Yield what a data set's parts download, as far as their attributes lead to it."""
    pending, seen = [*parts], set()
    while pending:
        each = pending.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, kind):
            yield each
        elif isinstance(each, list | tuple):
            pending.extend(each)
        elif type(each).__module__.startswith("ir_datasets."):
            pending.extend(getattr(each, "__dict__", {}).values())


def _present(download: Any) -> bool:  # noqa: ANN401
    return download._cache_path is not None and os.path.exists(download._cache_path)


def _missing(irds: Any, download: Any) -> _Missing:  # noqa: ANN401
    mirrors = download.mirrors
    urls = [mirror.url for mirror in mirrors if hasattr(mirror, "url")]
    messages = [mirror._message for mirror in mirrors if getattr(mirror, "_message", None)]
    # A file under its final name is taken as it is; one without goes by its MD5.
    downloads = os.path.join(irds.util.home_path(), "downloads", str(download.expected_md5))
    return _Missing(
        origin=urls[0] if urls else " ".join(" ".join(messages).split()),
        md5=download.expected_md5,
        place=str(download._cache_path or downloads),
    )
