"""Rows of pairs as every format writes them, and what reading them has to give, by brute force."""

import csv
import gzip
import json
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from hypothesis import strategies as st

# A query, its positives, its negatives.
Written: TypeAlias = tuple[str, list[str], list[str]]

# It makes every list one that can be learned from, and the first line of triples plainly texts.
ANCHOR: Written = ("where does the anchor lie", ["on the ground"], ["in the air above"])


def texts(exclude: str = "") -> st.SearchStrategy[str]:
    """Texts that often differ in case, white space or Unicode form alone."""
    alike = st.sampled_from(
        ["Fish swim", "fish  swim", "FISH SWIM", "ﬁsh swim", "Straße", "STRASSE"]
    )
    free = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=f"\0{exclude}"))
    return st.one_of(alike, free.map(str.strip).filter(bool))


def rows(exclude: str = "") -> st.SearchStrategy[list[Written]]:
    """Rows, the anchor first; passages may be repeated, and be positive here and negative there."""
    text = texts(exclude)
    row = st.tuples(text, st.lists(text, min_size=1, max_size=3), st.lists(text, max_size=3))
    return st.lists(row, max_size=6).map(lambda listed: [ANCHOR, *listed])


def key(text: str) -> str:
    """What texts are compared by."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def merged(written: Sequence[Written]) -> list[tuple[str, list[str], list[str]]]:
    """Merge rows by query, slowly: keys of query, positives and negatives in order."""
    found: list[tuple[str, list[str], list[str]]] = []
    for query in dict.fromkeys(key(each[0]) for each in written):
        own = [each for each in written if key(each[0]) == query]
        positives = list(dict.fromkeys(key(text) for each in own for text in each[1]))
        negatives = dict.fromkeys(key(text) for each in own for text in each[2])
        found.append((query, positives, [text for text in negatives if text not in positives]))
    return found


def write_lines(path: Path, lines: Sequence[Any]) -> str:
    """Write values as JSON lines, compressed if the name says so."""
    content = "".join(json.dumps(line) + "\n" for line in lines)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(content.encode()))
    else:
        path.write_text(content)
    return str(path)


def lists(path: Path, written: Sequence[Written]) -> str:
    return write_lines(path, [{"query": q, "positives": p, "negatives": n} for q, p, n in written])


def labels(path: Path, written: Sequence[Written]) -> str:
    return write_lines(
        path,
        [
            {"query": q, "passage": text, "label": label}
            for q, p, n in written
            for label, texts_ in ((1, p), (0, n))
            for text in texts_
        ],
    )


def columns(path: Path, written: Sequence[Written]) -> str:
    """TSV with a column for each passage there may be."""
    most = [max(len(each[place]) for each in written) for place in (1, 2)]
    header = ["query", *["positive"] * most[0], *["negative"] * most[1]]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writerow(header)
        for query, positives, negatives in written:
            cells = [
                *positives, *[""] * (most[0] - len(positives)),
                *negatives, *[""] * (most[1] - len(negatives)),
            ]  # fmt: skip
            writer.writerow([query, *cells])
    return str(path)


def triples_of(written: Sequence[Written]) -> list[Written]:
    """Rows as triples can hold them: each positive beside each negative."""
    return [(q, [positive], [negative]) for q, p, n in written for positive in p for negative in n]


def triples(path: Path, written: Sequence[Written]) -> str:
    path.write_text("".join(f"{q}\t{p[0]}\t{n[0]}\n" for q, p, n in written), newline="\n")
    return str(path)


def id_triples(path: Path, written: Sequence[Written]) -> str:
    """Triples of ids, with the files of texts beside them."""
    queries = list(dict.fromkeys(q for q, _, _ in written))
    passages = list(dict.fromkeys(text for _, p, n in written for text in (*p, *n)))
    for name, listed in (("queries.train.tsv", queries), ("collection.tsv", passages)):
        lines = (f"{number}\t{text}\n" for number, text in enumerate(listed))
        path.with_name(name).write_text("".join(lines), newline="\n")
    path.write_text(
        "".join(
            f"{queries.index(q)}\t{passages.index(p[0])}\t{passages.index(n[0])}\n"
            for q, p, n in written
        )
    )
    return str(path)


def beir(folder: Path, written: Sequence[Written], split: str = "train") -> str:
    """A BEIR folder; a row is a query of its own, whatever its text."""
    passages = list(dict.fromkeys(text for _, p, n in written for text in (*p, *n)))
    (folder / "qrels").mkdir(parents=True)
    write_lines(
        folder / "corpus.jsonl",
        [{"_id": f"d{number}", "text": text} for number, text in enumerate(passages)],
    )
    write_lines(
        folder / "queries.jsonl",
        [{"_id": f"q{number}", "text": row[0]} for number, row in enumerate(written)],
    )
    graded = (
        (number, text, grade)
        for number, (_, p, n) in enumerate(written)
        # A document has one grade of a query.
        for text, grade in (dict.fromkeys(p, 2) | {text: 0 for text in n if text not in p}).items()
    )
    (folder / "qrels" / f"{split}.tsv").write_text(
        "query-id\tcorpus-id\tscore\n"
        + "".join(
            f"q{number}\td{passages.index(text)}\t{grade}\n" for number, text, grade in graded
        )
    )
    return str(folder)


def squad(path: Path, written: Sequence[Written]) -> str:
    """SQuAD's JSON, laid out over many lines: a paragraph a positive."""
    paragraphs = [
        {"context": text, "qas": [{"question": q, "id": "1"}]} for q, p, _ in written for text in p
    ]
    content = {"version": "1", "data": [{"paragraphs": paragraphs}]}
    path.write_text(json.dumps(content, indent=1))
    return str(path)


Writer: TypeAlias = Callable[[Path, Sequence[Written]], str]
