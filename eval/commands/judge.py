"""`cloze judge`: judge the documents of several systems in the terminal."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from indexer.commands.console import (
    Device,
    IndexFolder,
    Threads,
    notice,
    progress_bar,
    resolve_device,
    tell,
)

if TYPE_CHECKING:
    from rich.text import Text

    from eval.judging import Item, Session
    from eval.pooling import Pool
    from eval.terminal import Keys
    from search.index import Index

_KEYS = "0 no  1 relevant  2 highly  3 perfect  m more  s skip  u undo  n next  q quit  ?"
# Lines of the screen that an extract or a page leaves free.
_AROUND_EXTRACT = 10
_AROUND_PAGE = 3
_HELP = """\
0  not relevant: does not help to answer the query
1  relevant: answers it in part
2  highly relevant: answers it
3  perfect: answers it fully and is about nothing else
m  more of the document, page by page, from its beginning
s  skip the document for now; the next run shows it again
u  undo the last step
n  leave the rest of this query for now
q  quit; what was judged is kept, and the same command continues"""


def judge(
    index: IndexFolder,
    queries: Annotated[
        Path, typer.Option(help="Queries: .jsonl or .tsv, or .txt with a question a line")
    ],
    qrels: Annotated[
        Path, typer.Option(help="Where judgements go: .tsv as BEIR has them, else as TREC has them")
    ],
    depth: Annotated[int, typer.Option(min=1, help="Judge the first so many of each system")] = 10,
    systems: Annotated[
        str | None,
        typer.Option(help="Whose answers: of lexical,dense,hybrid [default: all the index has]"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed, another order")] = 0,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Judge by hand what the systems find for your queries; run it again to go on."""
    from indexer.threads import budget

    budget(threads)
    from eval.judgement_file import JudgementFile, judged_here
    from eval.judging import Session
    from search.index import Index

    with (
        judged_here(qrels),
        Index.open(index, device=resolve_device(device), threads=threads) as opened,
    ):
        file = JudgementFile(qrels)
        names = None if systems is None else tuple(name.strip() for name in systems.split(","))
        session = Session(_pools(opened, queries, names, depth, seed), file)
        _Sitting(opened, session).run()
        for line in opened.notices:
            notice(line)
    _tell_summary(session, qrels)
    _tell_next(session, index, queries, qrels)


def _pools(
    index: "Index", queries: Path, names: tuple[str, ...] | None, depth: int, seed: int
) -> "list[Pool]":
    from eval.collections.topics import read_questions
    from eval.pooling import choose_systems, pool_documents
    from indexer.errors import ClozeError
    from indexer.progress import Step

    systems = choose_systems(index, names)
    asked = list(read_questions(queries))
    if not asked:
        raise ClozeError(f"{queries} has no query; write one a line")
    pools: list[Pool] = []
    with progress_bar(lambda: len(pools) / len(asked), quiet=False, unit="queries") as progress:
        for query in asked:
            pools.append(pool_documents(index, query, systems, depth=depth, seed=seed))
            progress(Step(phase="search", documents=len(pools)))
    return pools


class _Sitting:
    """A person before the screen: shows documents, and does what the keys say."""

    def __init__(self, index: "Index", session: "Session") -> None:
        from rich.console import Console

        self._index = index
        self._session = session
        self._console = Console(stderr=True, highlight=False, emoji=False)
        self._rest: Iterator[Text] = iter(())

    def run(self) -> None:
        """Go on until nothing is left or the person quits."""
        from eval.terminal import open_keys

        with open_keys() as keys:
            while (item := self._session.current) is not None or self._session.started:
                if item is None:
                    if not self._end(keys):
                        return
                else:
                    self._show(item)
                    if not self._answer(keys):
                        return

    def _end(self, keys: "Keys") -> bool:
        """Offer to undo the last step; tell whether the person did."""
        self._console.print("\nThat was the last one: u undoes it, any other key ends.")
        return keys.read() == "u" and self._session.undo()

    def _show(self, item: "Item") -> None:
        from rich.text import Text

        from eval.pooling import extract
        from eval.terminal import marked, pages, visible

        self._console.print()
        self._console.rule(self._position(item), align="left", characters="─", style="dim")
        self._console.print(Text(visible(item.pool.text), style="bold"), end="\n\n")
        self._rest = iter(())
        found = extract(self._index, item.pool.text, item.document)
        if found is None:
            self._console.print("(the index has this document no more: s skips it)")
            return
        title = Text(visible(found.title), style="underline")
        name = Text(f"[{visible(item.document)}]", style="dim")
        self._console.print(*([title] if found.title else []), name)
        best = marked(found.text, found.highlights, found.start, found.end)
        self._console.print(next(pages(best, self._console, free=_AROUND_EXTRACT), ""))
        whole = marked(found.text, found.highlights, 0, len(found.text))
        self._rest = pages(whole, self._console, free=_AROUND_PAGE)
        self._console.print(f"\n{_KEYS}", style="dim")

    def _position(self, item: "Item") -> "Text":
        from rich.text import Text

        progress = self._session.progress()
        parts = [
            f"query {item.query_number} of {item.queries}",
            f"document {item.place} of {len(item.pool.documents)}",
            f"judged {progress.judged} of {progress.documents}",
        ]
        if progress.seconds_left is not None:
            parts.append(f"about {max(round(progress.seconds_left / 60), 1)} min left")
        return Text(", ".join(parts))

    def _answer(self, keys: "Keys") -> bool:
        """Do what keys say until it is the next document's turn; tell whether to go on."""
        while (key := keys.read()) not in (None, "q"):
            assert key is not None
            if self._moved(key):
                return True
        return False

    def _moved(self, key: str) -> bool:
        """Do what one key says; tell whether another document is to be shown."""
        if key in ("0", "1", "2", "3"):
            self._session.judge(int(key))
        elif key == "s":
            self._session.skip()
        elif key == "n":
            self._session.next_query()
        elif key != "u" or not self._session.undo():
            self._remark(key)
            return False
        return True

    def _remark(self, key: str) -> None:
        """Say what a key that leads nowhere asks for."""
        from eval.terminal import visible

        match key:
            case "m":
                self._console.print(next(self._rest, "(the document ends here)"))
            case "u":
                self._console.print("(nothing to undo in this session)")
            case "?":
                self._console.print(_HELP, markup=False)
            case "":
                pass
            case _:
                self._console.print(f"({visible(key)!r} is no key; ? lists them)", markup=False)


def _tell_summary(session: "Session", qrels: Path) -> None:
    from eval.terminal import visible

    counts = session.counts()
    judged, documents = (sum(c.judged for c in counts), sum(c.documents for c in counts))
    tell(f"{qrels}: {judged} of {documents} pooled documents judged")
    tell("  judged      relevant  query")
    for each in counts:
        tell(f"  {each.judged:>4} of {each.documents:<4} {each.relevant:>8}  {visible(each.text)}")
    without = sum(not each.relevant for each in counts)
    if without:
        tell(f"{without} of {len(counts)} queries have no relevant document yet")


def _tell_next(session: "Session", index: str, queries: Path, qrels: Path) -> None:
    from shlex import quote

    progress = session.progress()
    if progress.judged < progress.documents:
        notice("the same command goes on with the rest")
    if not progress.judged:
        return
    folder = qrels.parent.parent
    if (qrels.parent.name, qrels.suffix) == ("qrels", ".tsv") and queries.parent == folder:
        split = "" if qrels.stem == "test" else f" --split {quote(qrels.stem)}"
        command = f"cloze eval {quote(str(folder))} --index {quote(index)}{split} --out report"
    else:
        command = (
            f"cloze search {quote(index)} --queries {quote(str(queries))} --run my.trec --top 1000"
            f" && cloze compare {quote(str(qrels))} my.trec"
        )
    tell(f"next: {command}")
