"""What a hostile corpus line or filter may do: be read, or be refused in one line; nothing else."""

import json
from collections.abc import Sequence
from pathlib import Path

from indexer.analysis import Analyzer
from indexer.corpus import Corpus
from indexer.creation import Settings
from indexer.documents import Document
from indexer.errors import ClozeError
from indexer.filters import facets, parse, to_json
from indexer.index import Index

# Formats that one line of text can be of; a seed of fuzzing begins with the number of one.
SUFFIXES = (".jsonl", ".csv", ".tsv", ".json", ".txt", ".md", ".sgml")
LIMIT_MIB = 0.25
SEEDS: tuple[bytes, ...] = (
    b'\x00{"_id": "a", "title": "t", "text": "fox", "metadata": {"n": 1, "s": "x", "l": [1, "a"]}}',
    b'\x00{"_id": 7, "text": "\\ud800", "year": 1e400, "d": "2020-01-02", "b": true, "z": null}',
    b'\x01id,title,text,year\n1,"a ""b""",fox,1999\n2,,,\n',
    b"\x02id\ttext\tyear\n1\tfox\t1999\n2\triver\t\n",
    b'\x03[{"id": "a", "text": "fox"}, {"id": "b", "text": ["x"]}]',
    "\x04the old stone house\n\nby the river 搜索\x00".encode(),
    b"\x05# fox\n\nriver\n",
    b"\x06<doc id=1 title='a'>fox</doc>\n<doc><docno>2</docno><text>a</text></doc>",
)
FILTERS: tuple[str, ...] = (
    "n >= 2 and s != 'x'",
    "not (n in (1, 2.5, null) or s = true)",
    "d > 2020-01-02 and d < '2021-01-01T00:00:00Z'",
    'l = "a" or l in (3, 4)',
    '{"and": [{"field": "n", "op": ">=", "value": 2}, {"not": {"field": "s"}}]}',
    '{"n": {"$gte": 1}, "s": ["a", "b"]}',
    "n = 9223372036854775808 or n = -1e308 or `odd name` = 1",
)


def documents() -> list[Document]:
    """Documents whose metadata have every type, and mixed ones under one name."""
    values: Sequence[object] = (
        1, 2.5, -3, "x", "2020-06-01", True, None, [1, "a", None], 2**53, "搜索", [], "",
    )  # fmt: skip
    return [
        Document(
            id=f"d{number}",
            text=f"fox {number}",
            metadata={name: values[(number * step) % len(values)] for name, step in _STEPS},
        )
        for number in range(60)
    ]


_STEPS = (("n", 1), ("s", 5), ("d", 7), ("l", 11), ("odd name", 3))


class Ground:
    """A folder to read hostile corpora in, and an index to put hostile filters to."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.analyzer = Analyzer("english")
        self.index = Index.open(home / "index", Settings(lexical_only=True))
        self.index.add(documents())
        self.refused = 0

    def read(self, content: bytes, suffix: str) -> list[Document]:
        """Read a file of this content; what comes is fit to be stored and printed.

        Raises:
            Exception: anything but a ClozeError came, which is counted.
        """
        path = self.home / f"hostile{suffix}"
        path.write_bytes(content)
        found: list[Document] = []
        try:
            found = list(Corpus([str(path)], skip_bad=True, max_document_mib=LIMIT_MIB))
            list(Corpus([str(path)], max_document_mib=LIMIT_MIB))
        except ClozeError as error:
            _assert_line(error)
            self.refused += 1
        for document in found:
            assert document.id and not document.id.isspace()
            whole = json.dumps([document.id, document.title, document.text, document.metadata],
                               ensure_ascii=False, allow_nan=False)  # fmt: skip
            assert "\ud800" not in whole and whole.encode()
            facets(document.metadata)
            self.analyzer.terms(document.text)
        return found

    def ask(self, text: str) -> None:
        """Put a filter to the index; what is understood means the same when written as JSON.

        Raises:
            Exception: anything but a ClozeError came, which is counted.
        """
        store, sequence = self.index.store, self.index.sequence
        try:
            condition = parse(text)
            numbers = store.matching(condition, sequence).tolist()
        except ClozeError as error:
            _assert_line(error)
            self.refused += 1
            return
        again = parse(json.dumps(to_json(condition)))
        assert store.matching(again, sequence).tolist() == numbers

    def close(self) -> None:
        """Free the index."""
        self.index.close()


def _assert_line(error: ClozeError) -> None:
    text = str(error)
    assert text and "\n" not in text and len(text) < 2000, text[:3000]
