"""From named fields to a row: which names are known, and what their values may be."""

import difflib
import math
from collections.abc import Iterable, Mapping
from typing import Any

from indexer.corpus.fields import BadRecord, quoted
from search.files import is_utf8
from training.pairs.example import titled
from training.pairs.row import Row

KNOWN = (
    "query", "positive", "positives", "passage", "label", "negative", "negatives", "scores",
    "title", "split",
)  # fmt: skip
SHAPES = "query with positive, positives, or passage and label"
_POSITIVE = ("positive", "positives", "passage")
_ONE_OF = (_POSITIVE, ("negative", "negatives"), ("passage", "negative"), ("passage", "negatives"))
_ALIKE = 0.8  # a slip of the keyboard is above it, a field such as `position` below


def check_names(names: Iterable[str]) -> None:
    """Check that the fields of a row say what it is.

    Raises:
        BadRecord: one is missing, two exclude each other, or one is all but a known name.
    """
    found = list(names)
    _check_slips(found)
    if "query" not in found:
        raise BadRecord(f"no field query among {_listed(found)}", f"name the fields {SHAPES}")
    if ("passage" in found) != ("label" in found):
        there, missing = ("passage", "label") if "passage" in found else ("label", "passage")
        raise BadRecord(f"the field {there} without {missing}", "give both")
    for group in _ONE_OF:
        both = [name for name in group if name in found]
        if len(both) > 1:
            raise BadRecord(f"both of the fields {both[0]} and {both[1]}", "keep one of the two")
    # Negatives alone are a row, which needs its positives from another.
    if not any(name in found for name in (*_POSITIVE, "negative", "negatives")):
        raise BadRecord(f"no positive among the fields {_listed(found)}", f"name them {SHAPES}")


def unread(names: Iterable[str]) -> list[str]:
    """Return the names that nothing is read from."""
    return [name for name in names if name not in KNOWN]


def read_row(values: Mapping[str, Any]) -> Row:
    """Read a row from the values of fields that `check_names` let pass.

    Raises:
        BadRecord: a value is not what its field holds.
    """
    title = _title(values.get("title"))
    positives = tuple(titled(title, text) for text in _texts(values, "positive", "positives"))
    negatives = _texts(values, "negative", "negatives")
    if "passage" in values:
        passage = (titled(title, _text("passage", values["passage"])),)
        positives, negatives = (passage, ()) if _label(values["label"]) > 0 else ((), passage)
    return Row(
        query=_text("query", values["query"]),
        positives=positives,
        negatives=negatives,
        scores=_scores(values.get("scores"), len(positives), len(negatives)),
        split=_split(values.get("split")),
        judged="passage" in values,
    )


def _check_slips(found: list[str]) -> None:
    wanted = [name for name in KNOWN if name not in found]
    for name in unread(found):
        # `query_id` is a field of its own.
        if name.startswith(tuple(f"{known}_" for known in KNOWN)):
            continue
        if near := difflib.get_close_matches(name.strip().lower(), wanted, n=1, cutoff=_ALIKE):
            raise BadRecord(f"the field {quoted(name)} is not known, {near[0]} is", "rename it")


def _listed(names: list[str]) -> str:
    return ", ".join(quoted(name) for name in names[:8]) or "none"


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        problem = f"the {name} is {_kind(value)} where a string is due"
        raise BadRecord(problem, "write it as a string")
    if not value.isascii() and not is_utf8(value):
        problem = f"half of an escaped character (\\ud800 to \\udfff) in the {name}"
        raise BadRecord(problem, "write the whole character")
    if "\0" in value:
        raise BadRecord(f"a NUL character in the {name}, so this is no text", "remove it")
    if not (text := value.strip()):
        raise BadRecord(f"the {name} is empty", "fill it or leave the line out")
    return text


def _texts(values: Mapping[str, Any], one: str, several: str) -> tuple[str, ...]:
    """Return the texts of a field that holds one, or of that which holds a list, else none."""
    if values.get(one) is not None:
        return (_text(one, values[one]),)
    listed = values.get(several)
    if listed is None:
        return ()
    if not isinstance(listed, list):
        problem = f"the field {several} is {_kind(listed)} where a list is due"
        raise BadRecord(problem, f"write a list, or name the field {one}")
    return tuple(_text(f"{one} of {several}", text) for text in listed)


def _title(value: object) -> str:
    return "" if value is None or value == "" else _text("title", value)


def _split(value: object) -> str | None:
    return None if value is None else _text("split", value)


def _label(value: object) -> int:
    if not isinstance(value, int):
        raise BadRecord(f"the label is {value!r:.40}", "write a whole number, above 0 if relevant")
    return value


def _scores(value: object, positives: int, negatives: int) -> tuple[float, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(map(_is_number, value)):
        raise BadRecord("the scores are no list of finite numbers", "write one a passage")
    if len(value) != positives + negatives:
        problem = (
            f"{len(value)} scores where there are {positives} positives and {negatives} negatives"
        )
        raise BadRecord(problem, "give one a passage, of the positives first")
    return tuple(float(score) for score in value)


def _is_number(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    # An integer may be too large for a float.
    return abs(value) < 1e300 and math.isfinite(value)


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    return "a string" if isinstance(value, str) else "a number"
