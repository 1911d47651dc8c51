"""The table of file formats: a suffix, and what reads it."""

import os
import re
from collections.abc import Mapping

from indexer.corpus.delimited import read_csv, read_tsv
from indexer.corpus.entries import Reader
from indexer.corpus.isolated import read_html, read_parquet, read_pdf
from indexer.corpus.json_values import read_json
from indexer.corpus.jsonl import read_json_lines
from indexer.corpus.sgml import read_sgml
from indexer.corpus.text import read_markdown, read_text

READERS: Mapping[str, Reader] = {
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json-lines": read_json_lines,
    ".json": read_json,
    ".parquet": read_parquet,
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".txt": read_text,
    ".md": read_markdown,
    ".html": read_html,
    ".htm": read_html,
    ".pdf": read_pdf,
    ".sgml": read_sgml,
    ".sgm": read_sgml,
}
# Those read from a folder, where each file is a document.
FOLDER_SUFFIXES = (".txt", ".md", ".html", ".htm", ".pdf")
# JSON lines as wikiextractor names them, below folders AA, AB and so on.
WIKI = "wiki_NN"
_WIKI = re.compile(r"wiki_[0-9]+(\.gz)?")


def is_in_folder(name: str) -> bool:
    """Tell whether a file of this bare name is read where the user names its folder."""
    return _WIKI.fullmatch(name) is not None or suffix_of(name) in FOLDER_SUFFIXES


def suffix_of(name: str) -> str:
    """Return a file name's suffix in lower case, with that of gzip taken off first.

    A file of wikiextractor's has no suffix, and is taken for JSON lines.
    """
    if _WIKI.fullmatch(os.path.basename(name)):
        return ".jsonl"
    return os.path.splitext(name.lower().removesuffix(".gz"))[1]
