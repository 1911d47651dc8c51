"""The table of file formats: a suffix, and what reads it."""

import os
from collections.abc import Mapping

from indexer.corpus.delimited import read_csv, read_tsv
from indexer.corpus.entries import Reader
from indexer.corpus.jsonl import read_json_lines
from indexer.corpus.sgml import read_sgml
from indexer.corpus.text import read_markdown, read_text

READERS: Mapping[str, Reader] = {
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json-lines": read_json_lines,
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".txt": read_text,
    ".md": read_markdown,
    ".sgml": read_sgml,
    ".sgm": read_sgml,
}
# Those read from a folder, where each file is a document.
FOLDER_SUFFIXES = (".txt", ".md")


def suffix_of(name: str) -> str:
    """Return a file name's suffix in lower case, with that of gzip taken off first."""
    return os.path.splitext(name.lower().removesuffix(".gz"))[1]
