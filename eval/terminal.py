"""A person at a terminal: single keys, and text that can do nothing to the screen."""

import os
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from select import select
from typing import TYPE_CHECKING, NoReturn, Protocol

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from search.highlight import Span

# Controls (tab and line feed apart), line and paragraph separators, overrides of the writing's
# direction, halves of characters.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
# What arrow and function keys and Alt send is one key, also where its end is missing: else the
# digits in it would be keys of their own.
_KEY = re.compile("\x1b+(?:\\[[0-?]*[ -/]*[@-~]?|O.?|[^\x1b])?|.", re.DOTALL)
_BEGUN = re.compile(b"\x1b(?:\\[[0-?]*[ -/]*|O)?\\Z")
_REST_SECONDS = 0.05  # of what one key sends, the rest comes within this time
_SIGNAL_SECONDS = 0.1
_END_OF_INPUT = "\x04"  # Ctrl-D, once the terminal no longer reads lines
_LEAST_LINES = 4  # of a page, however small the screen is


def visible(text: str) -> str:
    """Write control characters as escapes, so that no text moves the cursor or hides another."""
    return _UNSEEN.sub(
        lambda match: match[0].encode("unicode_escape").decode(), text.replace("\r\n", "\n")
    )


def marked(text: str, spans: "Sequence[Span]", start: int, end: int) -> Text:
    """Return text[start:end] made visible, with the spans of the text in bold."""
    shown, last = Text(), start
    for span in spans:
        if last <= span.start and span.end <= end:
            shown.append(visible(text[last : span.start]))
            shown.append(visible(text[span.start : span.end]), style="bold yellow")
            last = span.end
    shown.append(visible(text[last:end]))
    shown.rstrip()
    return shown


def pages(text: Text, console: Console, *, free: int) -> Iterator[Text]:
    """Cut a text into pages that leave `free` lines of the screen to other things."""
    lines = iter(text.wrap(console, console.width))
    height = max(console.height - free, _LEAST_LINES)
    while page := list(islice(lines, height)):
        yield Text("\n").join(page)


class Keys(Protocol):
    """Where keys come from."""

    def read(self) -> str | None:
        """Return the next key, None at the end of the input."""


@contextmanager
def open_keys() -> Iterator[Keys]:
    """Read standard input: key by key from a terminal, else a line for each key.

    The terminal is as it was when this ends, by an error or a signal that can be caught too.
    """
    if sys.stdin.isatty():
        with _key_by_key(sys.stdin.fileno()):
            yield _Pressed(sys.stdin.fileno())
    else:
        yield _Lines()


class _Lines:
    """A key is a line."""

    def read(self) -> str | None:
        line = sys.stdin.readline()
        return line.strip() if line else None


class _Pressed:
    """A key is what the terminal sends when one is pressed."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._waiting: list[str] = []

    def read(self) -> str | None:
        if not self._waiting:
            sent = self._sent().decode(errors="replace")
            self._waiting = _KEY.findall(sent) or [_END_OF_INPUT]
        key = self._waiting.pop(0)
        return None if key == _END_OF_INPUT else key

    def _sent(self) -> bytes:
        """Wait for a key; where what it sends has only begun, wait a moment for the rest."""
        # A signal that came to another thread, which ends no call of this one, is answered between.
        while not select([self._descriptor], [], [], _SIGNAL_SECONDS)[0]:
            continue
        sent = os.read(self._descriptor, 1024)
        while _BEGUN.search(sent) and select([self._descriptor], [], [], _REST_SECONDS)[0]:
            more = os.read(self._descriptor, 1024)
            if not more:
                break
            sent += more
        return sent


@contextmanager
def _key_by_key(descriptor: int) -> Iterator[None]:
    import termios
    import tty

    def read_keys(*_: object) -> None:
        with suppress(termios.error):  # as a background process of a group without a shell
            tty.setcbreak(descriptor, termios.TCSANOW)

    before = termios.tcgetattr(descriptor)
    handlers = {each: signal.signal(each, _leave) for each in (signal.SIGTERM, signal.SIGHUP)}
    # While this was stopped, the shell has set the terminal to read lines.
    handlers[signal.SIGCONT] = signal.signal(signal.SIGCONT, read_keys)
    try:
        tty.setcbreak(descriptor)
        yield
    finally:
        with suppress(termios.error):  # the terminal may be gone
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        for each, handler in handlers.items():
            signal.signal(each, handler)


def _leave(number: int, frame: object) -> NoReturn:
    sys.exit(128 + number)
