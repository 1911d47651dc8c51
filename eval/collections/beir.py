"""BEIR's layout: queries, qrels by split, and perhaps a corpus, in one folder."""

from pathlib import Path

from eval.collections.collection import (
    Collection,
    assemble,
    choose_split,
    files_source,
    split_files,
)
from eval.judgements import read_qrels
from indexer.errors import ClozeError
from search.queries import read_queries

_QUERIES = tuple(
    f"queries{suffix}{gz}" for suffix in (".jsonl", ".tsv", ".txt") for gz in ("", ".gz")
)
_CORPUS = ("corpus.jsonl", "corpus.jsonl.gz")
_QRELS = (".tsv", ".txt", ".qrels")


def is_beir(folder: Path) -> bool:
    """Tell whether there is a file of queries and a folder of judgements."""
    return _first(folder, _QUERIES) is not None and (folder / "qrels").is_dir()


def open_beir(folder: Path, split: str | None) -> Collection:
    """Open `queries.jsonl` (or `.tsv`, `.txt`), `qrels/SPLIT.tsv` and perhaps `corpus.jsonl`.

    Judgements may also be in TREC's format, in `qrels/SPLIT.txt` or `.qrels`; every file may end
    in `.gz`.

    Raises:
        ClozeError: there is no such split, or none at all, or a line of a file is wrong; file and
            line are named.
    """
    name = folder.resolve().name
    splits = split_files(filter(_holds_qrels, (folder / "qrels").iterdir()), _split)
    if not splits:
        raise ClozeError(
            f"{folder / 'qrels'} holds no SPLIT.tsv, such as test.tsv (nor .txt or .qrels); "
            "put the judgements of a split there"
        )
    chosen = choose_split(f"{folder}", list(splits), split)
    queries = _first(folder, _QUERIES)
    corpus = _first(folder, _CORPUS)
    return assemble(
        name=name,
        split=chosen,
        queries=read_queries(str(queries)),
        qrels=read_qrels(splits[chosen]),
        source=None if corpus is None else files_source(str(corpus)),
    )


def _first(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _holds_qrels(path: Path) -> bool:
    return path.is_file() and Path(path.name.removesuffix(".gz")).suffix in _QRELS


def _split(name: str) -> str:
    return Path(name.removesuffix(".gz")).stem
