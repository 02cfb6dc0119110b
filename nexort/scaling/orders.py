"""Orders: how a size depends on width, n^-order, as min-plus expressions in exponents.

An order is a linear form, with a constant, in symbols (exponents) and in minima and maxima of other
orders; or ZERO, the order of what is exactly 0. A sum of terms has the least of their orders, a
product their sum. Equal minima are one object, so that shared parts are found once.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from math import lcm
from typing import Any, Literal

import numpy as np

Array = np.ndarray[Any, Any]
Symbol = tuple[str, str]
"""An exponent: whose, and which: ('W[2]', 'c')."""

Kind = Literal["least", "most"]
SHORT = 8
"""Minima of at most so many parts are merged into the minima they stand in."""


@dataclass(frozen=True, slots=True, eq=False)
class Join:
    """A minimum or maximum of orders; ``serial`` grows in order of creation, ``length`` is how many
    symbols it has when written out."""

    kind: Kind
    parts: tuple[Order, ...]
    serial: int
    length: int


Atom = Symbol | Join
Number = int | Fraction
Terms = tuple[tuple[Atom, Number], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """A sum of coefficient * atom; equal ones are one object."""

    terms: Terms

    @property
    def join(self) -> Join | None:
        """The minimum or maximum that is all of it."""
        if len(self.terms) == 1 and self.terms[0][1] == 1 and isinstance(self.terms[0][0], Join):
            return self.terms[0][0]
        return None


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """``form`` plus ``constant``; ``form`` is None for ZERO. Made by :func:`_order`: equal orders
    are one object."""

    form: Form | None
    constant: Number

    @property
    def is_zero(self) -> bool:
        """Whether this is the order of what is exactly 0."""
        return self.form is None

    @property
    def terms(self) -> Terms:
        """The coefficients of atoms."""
        return () if self.form is None else self.form.terms

    def __add__(self, other: Order | Number) -> Order:
        """The order of a product."""
        if not isinstance(other, Order):
            return self if self.form is None else _order(self.form, self.constant + other)
        if self.form is None or other.form is None:
            return ZERO
        known = _sums.get((self, other))
        if known is None:
            known = _sums[self, other] = _added(self, other)
        return known

    def times(self, factor: Number) -> Order:
        """The order of a power."""
        if self.form is None:
            return self
        terms = tuple((atom, _exact(c * factor)) for atom, c in self.terms) if factor else ()
        return _order(_form(terms), self.constant * factor)

    @property
    def length(self) -> int:
        """How many symbols it has when written out: shared parts count every time."""
        return sum(atom.length if isinstance(atom, Join) else 1 for atom, _ in self.terms)

    def __str__(self) -> str:
        if self.form is None:
            return "none"
        texts = [_term(atom, c) for atom, c in self.terms]
        if self.constant or not texts:
            texts.append(str(self.constant))
        return " + ".join(texts).replace("+ -", "- ")


def _rank(atom: Atom) -> tuple[int, int, Symbol]:
    return (1, atom.serial, ("", "")) if isinstance(atom, Join) else (0, 0, atom)


def _exact(value: Number) -> Number:
    """Whole numbers as integers, whose hashes are cheap."""
    return int(value) if value.denominator == 1 else value


_forms: dict[Terms, Form] = {}
_orders: dict[tuple[Form | None, Number], Order] = {}
_sums: dict[tuple[Order, Order], Order] = {}
_joins: dict[tuple[Kind, tuple[Order, ...]], Join] = {}
_found: dict[tuple[Kind, tuple[Order, ...]], Order] = {}
_serial = itertools.count()
MOST = 2_000_000
"""Orders that are kept at a time."""


def _form(terms: Terms) -> Form:
    """The one form of its terms."""
    found = _forms.get(terms)
    if found is None:
        found = _forms[terms] = Form(terms)
    return found


def _order(form: Form | None, constant: Number) -> Order:
    """The one order of its content."""
    key = form, _exact(constant)
    found = _orders.get(key)
    if found is None:
        found = _orders[key] = Order(*key)
    return found


def _added(x: Order, y: Order) -> Order:
    constant = x.constant + y.constant
    if not x.terms or not y.terms:
        return _order(x.form if x.terms else y.form, constant)
    found = dict(x.terms)
    for atom, c in y.terms:
        found[atom] = _exact(found.get(atom, 0) + c)
    kept = [(atom, c) for atom, c in found.items() if c]
    return _order(_form(tuple(sorted(kept, key=lambda x: _rank(x[0])))), constant)


ZERO = _order(None, 0)
ONE = _order(_form(()), 0)
"""The order of what has size 1."""

HALF = Fraction(1, 2)


def forget() -> None:
    """Let go of all orders where there are too many; those in use stay what they are."""
    if len(_orders) + len(_sums) + len(_found) > MOST:
        for table in (_forms, _orders, _sums, _joins, _found):
            table.clear()
        _forms[()] = ONE.form or Form(())
        for x in (ZERO, ONE):
            _orders[x.form, x.constant] = x


def symbol(owner: str, exponent: str) -> Order:
    """An exponent as an order."""
    return _order(_form((((owner, exponent), 1),)), 0)


def constant(value: Number) -> Order:
    """A number."""
    return _order(ONE.form, value)


def least(*orders: Order) -> Order:
    """The order of a sum."""
    return _join("least", [x for x in orders if x.form is not None])


def most(*orders: Order) -> Order:
    """The largest of some orders: of what is bounded by each of them."""
    return ZERO if any(x.form is None for x in orders) else _join("most", orders)


def _join(kind: Kind, orders: Iterable[Order]) -> Order:
    key = kind, tuple(dict.fromkeys(orders))
    known = _found.get(key)
    if known is None:
        known = _found[key] = _joined(*key)
    return known


def _joined(kind: Kind, orders: Iterable[Order]) -> Order:
    """Parts that differ by a number are one part, short minima in a minimum are merged."""
    better = min if kind == "least" else max
    found: dict[Form, Number] = {}
    stack = list(orders)
    if not stack:
        return ZERO
    while stack:
        x = stack.pop()
        assert x.form is not None
        inner = x.form.join
        if inner is not None and inner.kind == kind and len(inner.parts) <= SHORT:
            stack.extend(p + x.constant for p in inner.parts)
        else:
            known = found.get(x.form)
            found[x.form] = x.constant if known is None else better(known, x.constant)
    kept = [_order(f, c) for f, c in found.items() if not _absorbed(kind, f, c, found)]
    if len(kept) == 1:
        return kept[0]
    kept.sort(key=lambda x: (len(x.terms), [_rank(atom) for atom, _ in x.terms]))
    # the constant of the first part goes outside, so that shifted minima share one object
    first = kept[0].constant
    parts = tuple(p + -first for p in kept)
    made = _joins.get((kind, parts))
    if made is None:
        length = sum(p.length for p in parts)
        made = _joins[kind, parts] = Join(kind, parts, next(_serial), length)
    return _order(_form(((made, 1),)), first)


def _absorbed(kind: Kind, form: Form, number: Number, found: Mapping[Form, Number]) -> bool:
    """Whether min(x, max(x, y)) = x or max(x, min(x, y)) = x drops this part."""
    inner = form.join
    if inner is None or inner.kind == kind or len(inner.parts) > SHORT:
        return False
    for p in inner.parts:
        if p.form is not None and p.form in found:
            value, known = p.constant + number, found[p.form]
            if value >= known if kind == "least" else value <= known:
                return True
    return False


# ---- values --------------------------------------------------------------------------------------


def evaluate(
    orders: Sequence[Order], exponents: Mapping[Symbol, Array], unit: int | Fraction, count: int
) -> list[Array | None]:
    """Orders on many tables: arrays of shape (count,) in units of 1/unit; None for ZERO.

    ``exponents`` has integers in units of 1/unit, or rationals, with the unit Fraction(1).
    """
    joins = _joins_under(orders)
    whole = isinstance(unit, int)
    # with halves of exponents integers stay integers in units of 1/(fine * unit)
    fine = _denominator(orders, joins) if whole else 1
    done: dict[Atom, Array] = {s: v * fine for s, v in exponents.items()}

    def value(x: Order) -> Array:
        number = x.constant * unit * fine
        kind = np.int64 if whole else object
        total: Array = np.full(count, int(number) if whole else number, dtype=kind)
        for atom, c in x.terms:
            part = done[atom]
            if c != 1:
                part = part * c.numerator // c.denominator if whole else part * c
            total = total + part
        return total

    def coarse(values: Array) -> Array:
        if fine == 1 or not (values % fine).any():
            return values // fine if fine > 1 else values
        return np.array([Fraction(int(v), fine) for v in values], dtype=object)

    for join in joins:
        best = np.minimum if join.kind == "least" else np.maximum
        done[join] = reduce(best, map(value, join.parts))
    return [None if x.form is None else coarse(value(x)) for x in orders]


def _denominator(orders: Sequence[Order], joins: Sequence[Join]) -> int:
    """A number whose multiples all values are, of integer exponents and constants."""
    found: dict[Atom, int] = {}

    def of(x: Order) -> int:
        return lcm(*(c.denominator * found.get(atom, 1) for atom, c in x.terms))

    for join in joins:
        found[join] = lcm(*map(of, join.parts))
    return lcm(*map(of, orders))


def _joins_under(orders: Sequence[Order]) -> list[Join]:
    """Every minimum and maximum that some orders are made of, inner ones first."""
    seen: set[Join] = set()
    stack = list(orders)
    while stack:
        for atom, _ in stack.pop().terms:
            if isinstance(atom, Join) and atom not in seen:
                seen.add(atom)
                stack.extend(atom.parts)
    return sorted(seen, key=lambda x: x.serial)


# ---- text ----------------------------------------------------------------------------------------


def _term(atom: Atom, c: Number) -> str:
    if isinstance(atom, Join):
        name = f"{'min' if atom.kind == 'least' else 'max'}({', '.join(map(str, atom.parts))})"
    else:
        name = f"{atom[1]}_{atom[0]}" if atom[1] else atom[0]
    if c == 1:
        return name
    return f"-{name}" if c == -1 else f"{c} {name}"
