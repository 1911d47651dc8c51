"""Read the text form of a metadata filter.

    or         = and {"or" and}
    and        = not {"and" not}
    not        = "not" not | "(" or ")" | comparison
    comparison = field ("=" | "==" | "!=" | "<" | "<=" | ">" | ">=") value
               | field ["not"] ("in" "(" value {"," value} ")" | "prefix" value | "exists")

A string stands between quotes of either kind, with JSON's escapes; a word of letters, digits and
_ . - / needs none, nor does an ISO 8601 date: 2020-01, 2020-01-31, 2020-01-31T09:30:00Z. Numbers as
JSON has them, true, false and null are themselves (2020 is a number, 007 a string). Keywords may be
in capitals. A field whose name is no such word is quoted.
"""

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple, NoReturn

from indexer.filters.tree import (
    And,
    Budget,
    Comparison,
    Filter,
    FilterError,
    Not,
    Or,
    Scalar,
    check_level,
    shorten,
    unknown,
)

_LEXEME = re.compile(
    r"""\s*+(?:
        (?P<string>"[^"\\]*+(?:\\.[^"\\]*+)*+" | '[^'\\]*+(?:\\.[^'\\]*+)*+')
      | (?P<date>[0-9]{4}-[0-9]{2}(?:-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?
          (?:Z|[+-][0-9]{2}:?[0-9]{2})?)?)?(?![\w./:+-]))
      | (?P<number>-?(?:(?:0|[1-9][0-9]*+)(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?(?![\w./-]))
      | (?P<word>[\w./-]++)
      | (?P<sign>==|!=|<=|>=|[=<>(),])
      | (?P<end>\Z)
    )""",
    re.VERBOSE | re.DOTALL,
)
_COMPARING = {"=": "eq", "==": "eq", "<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
_OPERATORS = ("==", "!=", "<", "<=", ">", ">=", "in", "not in", "exists", "prefix")
_LITERALS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_MAX_INTEGER_DIGITS = 400  # more than any float has


class _Lexeme(NamedTuple):
    kind: str  # string, date, number, word, sign, end
    text: str  # as written
    at: int  # code points before it

    def says(self, keyword: str) -> bool:
        """Tell whether this is the keyword, in any case and without quotes."""
        return self.kind in ("word", "sign") and self.text.lower() == keyword


def parse_text(expression: str) -> Filter:
    """Read a filter from its text form; a mistake is a FilterError that says where it is."""
    return _Parser(expression).filter()


class _Parser:
    """Read lexemes one ahead, one method for each rule of the grammar."""

    def __init__(self, expression: str) -> None:
        self._expression = expression
        self._budget = Budget()
        self._next = self._read(0)

    def filter(self) -> Filter:
        tree = self._or(1)
        if self._next.kind != "end":
            self._fail("'and', 'or' or the end")
        return tree

    def _or(self, level: int) -> Filter:
        return self._chain("or", Or, self._and, level)

    def _and(self, level: int) -> Filter:
        return self._chain("and", And, self._not, level)

    def _chain(
        self,
        keyword: str,
        connective: type[And] | type[Or],
        operand: Callable[[int], Filter],
        level: int,
    ) -> Filter:
        parts = [operand(level)]
        while self._accept(keyword):
            parts.append(operand(level))
        if len(parts) == 1:
            return parts[0]
        self._budget.node()
        return connective(tuple(parts))

    def _not(self, level: int) -> Filter:
        check_level(level)
        if self._accept("not"):
            self._budget.node()
            return Not(self._not(level + 1))
        if self._accept("("):
            tree = self._or(level + 1)
            self._expect(")")
            return tree
        return self._comparison()

    def _comparison(self) -> Filter:
        self._budget.node()
        field = self._field()
        sign = self._next
        if sign.kind == "sign" and sign.text in _COMPARING:
            self._advance()
            return Comparison(field, _COMPARING[sign.text], self._value())
        if self._accept("!="):
            return Not(Comparison(field, "eq", self._value()))
        if self._accept("not"):
            return Not(self._word_comparison(field))
        return self._word_comparison(field)

    def _word_comparison(self, field: str) -> Comparison:
        if self._accept("in"):
            return Comparison(field, "in", self._values())
        if self._accept("prefix"):
            return Comparison(field, "prefix", self._value())
        if self._accept("exists"):
            return Comparison(field, "exists", True)
        if self._next.kind == "word":
            message = unknown("operator", self._next.text, _OPERATORS)
            raise FilterError(f"at character {self._next.at + 1} of the filter: {message}")
        self._fail(f"an operator ({', '.join(_OPERATORS)})")

    def _field(self) -> str:
        lexeme = self._next
        if lexeme.kind not in ("word", "string") or lexeme.says("and") or lexeme.says("or"):
            self._fail("the name of a field")
        self._advance()
        return lexeme.text if lexeme.kind == "word" else _unquote(lexeme)

    def _values(self) -> tuple[Scalar, ...]:
        self._expect("(")
        values = [self._listed_value()]
        while self._accept(","):
            values.append(self._listed_value())
        self._expect(")")
        return tuple(values)

    def _listed_value(self) -> Scalar:
        self._budget.values(1)
        return self._value()

    def _value(self) -> Scalar:
        lexeme = self._next
        if lexeme.kind not in _READ:
            self._fail("a value")
        self._advance()
        return _READ[lexeme.kind](lexeme)

    def _accept(self, keyword: str) -> bool:
        """Move past a keyword or sign if it comes next."""
        found = self._next.says(keyword)
        if found:
            self._advance()
        return found

    def _expect(self, sign: str) -> None:
        if not self._accept(sign):
            self._fail(repr(sign))

    def _advance(self) -> None:
        self._next = self._read(self._next.at + len(self._next.text))

    def _read(self, position: int) -> _Lexeme:
        match = _LEXEME.match(self._expression, position)
        if match is None:
            rest = self._expression[position:].lstrip()
            at = len(self._expression) - len(rest) + 1
            if rest[0] in "\"'":
                raise FilterError(f"at character {at} of the filter: the string has no end")
            raise FilterError(
                f"at character {at} of the filter: unexpected {rest[0]!r}; what holds it is put in "
                "quotes"
            )
        kind = str(match.lastgroup)
        return _Lexeme(kind, match[kind], match.start(kind))

    def _fail(self, wanted: str) -> NoReturn:
        found = "its end" if self._next.kind == "end" else shorten(self._next.text)
        raise FilterError(
            f"at character {self._next.at + 1} of the filter: expected {wanted}, found {found}"
        )


def _date(lexeme: _Lexeme) -> str:
    """Return a date as it is written; one that no calendar has is a mistake."""
    month = f"{lexeme.text}-01" if len(lexeme.text) == len("2020-01") else lexeme.text
    try:
        datetime.fromisoformat(month)
    except ValueError:
        raise FilterError(
            f"at character {lexeme.at + 1} of the filter: {lexeme.text} is no date of the "
            "calendar; put it in quotes if it is meant as a string"
        ) from None
    return lexeme.text


def _number(lexeme: _Lexeme) -> int | float:
    text = lexeme.text
    if text.lstrip("-").isdigit() and len(text) <= _MAX_INTEGER_DIGITS:
        return int(text)
    return float(text)


def _unquote(lexeme: _Lexeme) -> str:
    """Undo the escapes of a quoted string: JSON's, and the backslash before either quote."""
    body = lexeme.text[1:-1]
    if "\\" not in body:
        return body

    def character(escape: re.Match[str]) -> str:
        return "'" if escape[0] == "\\'" else '\\"' if escape[0] == '"' else escape[0]

    try:
        text = re.sub(r"\\.|\"", character, body, flags=re.DOTALL)
        return str(json.loads(f'"{text}"', strict=False))
    except json.JSONDecodeError:
        raise FilterError(
            f"at character {lexeme.at + 1} of the filter: the string has an unknown escape; "
            r"a backslash is written \\"
        ) from None


_READ: dict[str, Callable[[_Lexeme], Scalar]] = {
    "string": _unquote,
    "date": _date,
    "number": _number,
    "word": lambda lexeme: _LITERALS.get(lexeme.text.lower(), lexeme.text),
}
