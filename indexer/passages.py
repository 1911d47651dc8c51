"""Documents cut into passages: windows of whole sentences that the encoder can read."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from indexer.documents import Document, Passage

Offsets: TypeAlias = Sequence[tuple[int, int]]

# A sentence ends after its punctuation and closing quotes where white space and no lower-case
# letter follow, at a line break, or right after full-width punctuation. The set in front, which
# each way to end begins with, is what the search is fast by.
_SENTENCE_END = re.compile(
    r"[.!?\n。！？](?:(?<=[.!?])[\"'”’)\]]*\s+(?=[^\Wa-z_]|[\"'“‘(\[])|(?<=\n)\s*"
    r"|(?<=[。！？])[。！？]*[”’」』）]*)"
)
# Of a window, at most this share is the title's, so that the text always has room.
_TITLE_SHARE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class PassageRule:
    """How documents are cut: `tokens` a window with special tokens, `overlap` tokens repeated."""

    tokens: int
    overlap: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A document's passages, its tokens, and how many tokens of its title no passage holds."""

    passages: tuple[Passage, ...]
    tokens: int
    dropped: int


def cut(
    document: Document, title: Offsets, text: Offsets, rule: PassageRule, special_tokens: int
) -> Cut:
    """Cut a document into passages, the title in front of each.

    `title` and `text` are the code points [start, end) of the tokens. An empty text gives one
    passage of the title alone; a sentence longer than a window is cut between two tokens.
    """
    kept_title = min(len(title), (rule.tokens - special_tokens) // _TITLE_SHARE)
    shown_title = (
        document.title
        if kept_title == len(title)
        else (document.title[: title[kept_title - 1][1]] if kept_title else "")
    )
    room = rule.tokens - special_tokens - kept_title
    spans = _windows(document.text, text, room, min(rule.overlap, room // 2))
    if not spans and shown_title.strip():
        spans = [(0, 0)]
    passages = tuple(
        Passage(start=start, end=end, text=_join(shown_title, document.text[start:end]))
        for start, end in spans
    )
    return Cut(passages=passages, tokens=len(title) + len(text), dropped=len(title) - kept_title)


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a text, without the space around them."""
    start = 0
    for end in sentence_ends(text):
        yield text[start:end].strip()
        start = end
    yield text[start:].strip()


def sentence_ends(text: str) -> Iterator[int]:
    """Yield where a text's sentences end, the space behind each included, but for the last one."""
    return (match.end() for match in _SENTENCE_END.finditer(text))


def _join(title: str, text: str) -> str:
    return f"{title} {text}" if title and text else title or text


def _windows(text: str, tokens: Offsets, room: int, overlap: int) -> list[tuple[int, int]]:
    """Pack whole sentences into windows of at most `room` tokens, as code points [start, end)."""
    if not tokens:
        return []
    if len(tokens) <= room:
        return [(0, len(text))]
    pieces = [
        piece
        for sentence in _sentences(text, tokens)
        for piece in _pieces(text, tokens, *sentence, room)
    ]
    windows = []
    first = 0
    while True:
        last = first
        while last < len(pieces) and pieces[last][1] - pieces[first][0] <= room:
            last += 1
        windows.append((tokens[pieces[first][0]][0], tokens[pieces[last - 1][1] - 1][1]))
        if last == len(pieces):
            return windows
        first = _step_back(pieces, first, last, overlap, room)


def _step_back(
    pieces: list[tuple[int, int]], first: int, last: int, overlap: int, room: int
) -> int:
    """Return where the next window begins: as many whole pieces back as the overlap allows.

    The next window must reach beyond this one, so its first new piece has to fit as well.
    """
    start = last
    while start - 1 > first:
        begin = pieces[start - 1][0]
        if pieces[last - 1][1] - begin > overlap or pieces[last][1] - begin > room:
            break
        start -= 1
    return start


def _sentences(text: str, tokens: Offsets) -> Iterator[tuple[int, int]]:
    """Yield the sentences as token indices [start, end)."""
    start = 0
    token = 0
    for match in _SENTENCE_END.finditer(text):
        while token < len(tokens) and tokens[token][0] < match.end():
            token += 1
        if token > start:
            yield start, token
            start = token
    if start < len(tokens):
        yield start, len(tokens)


def _pieces(
    text: str, tokens: Offsets, start: int, end: int, room: int
) -> Iterator[tuple[int, int]]:
    """Cut a sentence that exceeds the room, between words where there are any.

    A piece that began inside a word would be other tokens, and perhaps more, when read again.
    """
    while end - start > room:
        cut_at = start + room
        while cut_at > start and _inside_word(text, tokens, cut_at):
            cut_at -= 1
        cut_at = cut_at if cut_at > start else start + room
        yield start, cut_at
        start = cut_at
    yield start, end


def _inside_word(text: str, tokens: Offsets, at: int) -> bool:
    before, after = tokens[at - 1][1], tokens[at][0]
    return before == after and text[before - 1].isalnum() and text[after].isalnum()
