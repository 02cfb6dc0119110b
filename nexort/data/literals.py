"""Values of ``--set NAME=VALUE``: numbers, ratios and nested lists, parsed by hand."""

from __future__ import annotations

import math
import re
from fractions import Fraction

from nexort.support.diagnostics import NexortError, Source, Span, fail

Literal = int | float | list["Literal"]

MAX_DEPTH = 16
_INTEGER = re.compile(r"[+-]?\d{1,400}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_RATIO = re.compile(rf"({_NUMBER.pattern})\s*/\s*({_NUMBER.pattern})", re.ASCII)
_CELL = re.compile(r"[^\[\],]*")
_HELP = "a value is a number such as 3, 0.2, 1e-4 or 1/2, or a list such as [[1, 0.5], [0.5, 1]]"


def literal_array(text: str) -> Literal:
    """The number or nested list that ``text`` stands for; a ratio such as 1/3 is a float.

    Raises NexortError, also for lists that are empty or not rectangular.
    """
    parser = _Parser(Source("--set", text))
    value = parser.value(0)
    parser.blanks()
    if parser.position < len(text):
        raise parser.error(f"found '{text[parser.position :]}' after the value")
    return value


class _Parser:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.text = source.text
        self.position = 0

    def error(self, message: str, start: int | None = None, end: int | None = None) -> NexortError:
        begin = self.position if start is None else start
        span = Span(self.source, begin, len(self.text) if end is None else end)
        return fail("bad-literal", message, span, help=_HELP)

    def blanks(self) -> None:
        while self.position < len(self.text) and self.text[self.position].isspace():
            self.position += 1

    def value(self, depth: int) -> Literal:
        self.blanks()
        if self.text.startswith("[", self.position):
            return self.list_(depth + 1)
        match = _CELL.match(self.text, self.position)
        assert match is not None
        start, self.position = self.position, match.end()
        return self.number(match.group().strip(), start)

    def list_(self, depth: int) -> list[Literal]:
        start = self.position
        if depth > MAX_DEPTH:
            raise self.error(f"lists are nested deeper than {MAX_DEPTH}")
        self.position += 1
        items = [self.value(depth)]
        while self.text.startswith(",", self._after_blanks()):
            self.position += 1
            items.append(self.value(depth))
            if _shape(items[-1]) != _shape(items[0]):
                message = "the items of a list are alike: all numbers, or lists of one length"
                raise self.error(message, start, self.position)
        if not self.text.startswith("]", self.position):
            raise self.error("found no ']' that closes this list", start)
        self.position += 1
        return items

    def _after_blanks(self) -> int:
        self.blanks()
        return self.position

    def number(self, text: str, start: int) -> int | float:
        end = max(start + 1, start + len(text))
        if not text:
            raise self.error("found nothing, expected a number", start, end)
        if _INTEGER.fullmatch(text):
            return int(text)
        ratio = _RATIO.fullmatch(text)
        if ratio is None and _NUMBER.fullmatch(text) is None:
            raise self.error(f"found '{text}', expected a number", start, end)
        try:
            found = float(text) if ratio is None else _quotient(*ratio.groups())
        except ZeroDivisionError:
            raise self.error(f"'{text}' divides by zero", start, end) from None
        except OverflowError:
            found = math.inf
        if not math.isfinite(found):
            raise self.error(f"'{text}' is too large", start, end)
        return found


def _quotient(above: str, below: str) -> float:
    """The float nearest to a ratio of integers; otherwise a division of floats."""
    if _INTEGER.fullmatch(above) and _INTEGER.fullmatch(below):
        return float(Fraction(int(above), int(below)))
    return float(above) / float(below)


def _shape(value: Literal) -> tuple[int, ...]:
    """Of a rectangular list."""
    return (len(value), *_shape(value[0])) if isinstance(value, list) else ()
