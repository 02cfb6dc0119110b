"""Syntax trees made by a program: they have no place in a text."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from nexort.program.declarations import Note
from nexort.program.index import Affine, Interval, Loop
from nexort.program.types import Axis
from nexort.support.diagnostics import Source, Span
from nexort.syntax import tree as t

NOWHERE = Span(Source("<program>", ""), 0, 0)


_EXPONENT = re.compile(r"e(-?)[+0]*")
"""What stands before the digits of an exponent: 1e-08 is 1e-8."""


def name_tree(text: str) -> t.Name:
    """``x``."""
    return t.Name(text, NOWHERE)


def number_tree(value: object) -> t.Expr:
    """A literal, or a list of them."""
    if isinstance(value, tuple):
        return t.ListLiteral(tuple(number_tree(v) for v in value), NOWHERE)
    assert isinstance(value, int | float)
    if value == math.pi:
        return name_tree("pi")
    literal = t.Number(_EXPONENT.sub(r"e\1", repr(abs(value))), NOWHERE)
    negative = math.copysign(1, value) < 0 if isinstance(value, float) else value < 0
    return t.Negative(literal, NOWHERE) if negative else literal


def binary(op: str, left: t.Expr, right: t.Expr) -> t.Binary:
    """``left op right``."""
    return t.Binary(op, left, right, NOWHERE)


def call_tree(callee: t.Expr, *args: t.Expr) -> t.Call:
    """``f(x, y)``."""
    return t.Call(callee, tuple(argument(a) for a in args), NOWHERE)


def argument(
    value: t.Expr, keyword: str | None = None, loops: tuple[t.Binder, ...] = ()
) -> t.Argument:
    """An argument of a call."""
    return t.Argument(value, keyword, loops, NOWHERE)


def beside(*factors: t.Expr) -> t.Juxtaposed:
    """Factors side by side."""
    return t.Juxtaposed(factors, NOWHERE)


def axis(of: Axis) -> t.Item:
    """An axis of a declaration."""
    return name_tree(of.name) if of.size is None else number_tree(of.size)


def attach_notes(made: t.Statement, notes: Iterable[Note]) -> t.Statement:
    """A statement with comments: one of several beside it, the others above."""
    beside = [note.beside for note in notes if note.beside]
    above = [line for note in notes for line in note.above] + beside[:-1]
    if not above and not beside:
        return made
    return t.Noted(made, tuple(above), "".join(beside[-1:]), bool(above), NOWHERE)


# ---- indices -------------------------------------------------------------------------------------


def index(value: Affine) -> t.Expr:
    """An index expression: the constant last, and a positive term first where there is one."""
    found: t.Expr | None = None
    for variable, c in sorted(value.terms, key=lambda x: x[1] < 0):
        term: t.Expr = name_tree(variable)
        if abs(c) != 1:
            term = binary("*", number_tree(abs(c)), term)
        found = _signed(found, term, negative=c < 0)
    if value.constant or found is None:
        found = _signed(found, number_tree(abs(value.constant)), negative=value.constant < 0)
    return found


def _signed(left: t.Expr | None, term: t.Expr, *, negative: bool) -> t.Expr:
    if left is None:
        return t.Negative(term, NOWHERE) if negative else term
    return binary("-" if negative else "+", left, term)


def items(
    key: Iterable[Affine | None], picks: Sequence[Affine | int | None] = ()
) -> tuple[t.Item, ...]:
    """Family indices, and selections along axes: those behind the last one go without saying."""
    kept = [*key, *picks]
    while kept and kept[-1] is None:
        kept.pop()
    return tuple(
        t.FullSlice(NOWHERE) if p is None else index(p if isinstance(p, Affine) else Affine(p))
        for p in kept
    )


def range_of(interval: Interval) -> t.Range:
    """``first..last``, with the step where it is not the one that the ends tell."""
    step = None if interval.step == direction(interval) else number_tree(interval.step)
    return t.Range(index(interval.first), index(interval.last), step, NOWHERE)


def direction(interval: Interval) -> int:
    """The step of a range without ``by``: a symbolic end is taken to lie above a literal one."""
    difference = interval.last - interval.first
    if not difference.terms:
        return 1 if difference.constant >= 0 else -1
    return -1 if interval.first.terms and not interval.last.terms else 1


def binder_tree(loop: Loop) -> t.Binder:
    """``k in first..last``."""
    return t.Binder(loop.var, range_of(loop.interval), NOWHERE)
