"""How figures and names are written in a report."""

import math
import re

MISSING = "–"
LONGEST_NAME = 40  # characters of a system's name in a picture or a terminal
_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_LEADING_ZERO = re.compile(r"^([+-]?)0\.")


def decimal(value: float, places: int = 3, *, sign: bool = False) -> str:
    """Write a figure without the zero before its point, as in .042."""
    return _LEADING_ZERO.sub(r"\1.", fixed(value, places, sign=sign))


def fixed(value: float, places: int = 4, *, sign: bool = False) -> str:
    """Write a figure with so many decimals, and zero never as minus zero."""
    if not math.isfinite(value):
        return MISSING
    rounded = round(value, places) + 0.0  # -0.0 + 0.0 is 0.0
    return f"{rounded:{'+' if sign and rounded else ''}.{places}f}"


def probability(value: float) -> str:
    """Write a p-value with two or three significant digits: .41, .024, .0003, <.0001."""
    if not math.isfinite(value):
        return MISSING
    if value < 0.0001:
        return "<.0001"
    places = 2 if value >= 0.1 else 3 if value >= 0.001 else 4
    return decimal(value, places)


def probability_phrase(value: float) -> str:
    """Write `p=.41` or `p<.0001`."""
    text = probability(value)
    return f"p{text}" if text.startswith("<") else f"p={text}"


def three_digits(value: float | None) -> str:
    """Write a rate or a time with three significant digits and never an exponent."""
    if value is None or not math.isfinite(value):
        return MISSING
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.{2 if abs(value) < 10 else 1}f}"


def size(count: int | None) -> str:
    """Write a number of bytes in the largest binary unit that it fills."""
    if count is None:
        return MISSING
    power = min(max(count.bit_length() - 1, 0) // 10, len(_UNITS) - 1)
    return f"{three_digits(count / 1024**power)} {_UNITS[power]}" if power else f"{count} B"


def plural(count: int, one: str, many: str) -> str:
    """Write a count with its noun."""
    return f"{count:,} {one if count == 1 else many}"


def printable(text: str) -> str:
    """Put a text on one line: white space is one space, what can't be printed or encoded is �.

    Characters that turn the direction of what follows them are left out: they would reach into
    the report's own words.
    """
    return _UNPRINTABLE.sub("�", " ".join(_TURNS.sub("", text).split()))


def judged_on(collection: str, split: str) -> str:
    """Write a collection with its split, where it has one."""
    return ", ".join(filter(None, (printable(collection), printable(split))))


def cut(text: str, length: int) -> str:
    """Make a text printable and end it with … where it is longer than that."""
    # Printable text is shorter only by white space; a long text is not read to its end.
    text = printable(text[: 4 * length + 1000])
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def elide(name: str, length: int = LONGEST_NAME) -> str:
    """Make a name printable and take out its middle where it is too long; both ends tell more."""
    name = printable(name)
    if len(name) <= length:
        return name
    end = (length - 1) // 2
    return f"{name[: length - 1 - end]}…{name[-end:]}"
