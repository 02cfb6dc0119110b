"""Orders: how a size depends on width, n^-order, as min-plus expressions in exponents.

An order is a linear form, with a constant, in symbols (exponents) and in minima and maxima of other
orders; or ZERO, the order of what is exactly 0. A sum of terms has the least of their orders, a
product their sum. Equal minima are one object, so that shared parts are found once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
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
Terms = tuple[tuple[Atom, Fraction], ...]


@dataclass(frozen=True, slots=True)
class Order:
    """sum of coefficient * atom, plus ``constant``; ``terms`` is None for ZERO."""

    terms: Terms | None
    constant: Fraction

    @property
    def is_zero(self) -> bool:
        """Whether this is the order of what is exactly 0."""
        return self.terms is None

    def __add__(self, other: Order | Fraction | int) -> Order:
        """The order of a product."""
        if not isinstance(other, Order):
            return self if self.terms is None else Order(self.terms, self.constant + other)
        if self.terms is None or other.terms is None:
            return ZERO
        constant = self.constant + other.constant
        if not self.terms or not other.terms:
            return Order(self.terms or other.terms, constant)
        found = dict(self.terms)
        for atom, c in other.terms:
            found[atom] = found.get(atom, Fraction(0)) + c
        return Order(_sorted(found), constant)

    def times(self, factor: Fraction | int) -> Order:
        """The order of a power."""
        if self.terms is None:
            return self
        factor = Fraction(factor)
        terms = tuple((atom, c * factor) for atom, c in self.terms) if factor else ()
        return Order(terms, self.constant * factor)

    @property
    def length(self) -> int:
        """How many symbols it has when written out: shared parts count every time."""
        return sum(atom.length if isinstance(atom, Join) else 1 for atom, _ in self.terms or ())

    def __str__(self) -> str:
        if self.terms is None:
            return "none"
        texts = [_term(atom, c) for atom, c in self.terms]
        if self.constant or not texts:
            texts.append(str(self.constant))
        return " + ".join(texts).replace("+ -", "- ")


def _sorted(found: Mapping[Atom, Fraction]) -> Terms:
    kept = [(atom, c) for atom, c in found.items() if c]
    return tuple(sorted(kept, key=lambda x: _rank(x[0])))


def _rank(atom: Atom) -> tuple[int, int, Symbol]:
    return (1, atom.serial, ("", "")) if isinstance(atom, Join) else (0, 0, atom)


ZERO = Order(None, Fraction(0))
ONE = Order((), Fraction(0))
"""The order of what has size 1."""

HALF = Fraction(1, 2)


def symbol(owner: str, exponent: str) -> Order:
    """An exponent as an order."""
    return Order((((owner, exponent), Fraction(1)),), Fraction(0))


def constant(value: Fraction | int) -> Order:
    """A number."""
    return Order((), Fraction(value))


def least(*orders: Order) -> Order:
    """The order of a sum."""
    return _join("least", [x for x in orders if x.terms is not None])


def most(*orders: Order) -> Order:
    """The largest of some orders: of what is bounded by each of them."""
    return ZERO if any(x.terms is None for x in orders) else _join("most", orders)


_joins: dict[tuple[Kind, tuple[Order, ...]], Join] = {}


def _join(kind: Kind, orders: Iterable[Order]) -> Order:
    """Parts that differ by a number are one part, short minima in a minimum are merged."""
    better = min if kind == "least" else max
    found: dict[Terms, Fraction] = {}
    stack = list(orders)
    if not stack:
        return ZERO
    while stack:
        x = stack.pop()
        assert x.terms is not None
        inner = x.terms[0][0] if len(x.terms) == 1 and x.terms[0][1] == 1 else None
        if isinstance(inner, Join) and inner.kind == kind and len(inner.parts) <= SHORT:
            stack.extend(p + x.constant for p in inner.parts)
        else:
            known = found.get(x.terms)
            found[x.terms] = x.constant if known is None else better(known, x.constant)
    kept = [Order(t, c) for t, c in found.items() if not _absorbed(kind, t, c, found)]
    if len(kept) == 1:
        return kept[0]
    kept.sort(key=lambda x: (len(x.terms or ()), [_rank(atom) for atom, _ in x.terms or ()]))
    # the constant of the first part goes outside, so that shifted minima share one object
    first = kept[0].constant
    parts = tuple(p + -first for p in kept)
    made = _joins.get((kind, parts))
    if made is None:
        made = _joins[kind, parts] = Join(kind, parts, len(_joins), sum(p.length for p in parts))
    return Order(((made, Fraction(1)),), first)


def _absorbed(kind: Kind, terms: Terms, number: Fraction, found: Mapping[Terms, Fraction]) -> bool:
    """Whether min(x, max(x, y)) = x or max(x, min(x, y)) = x drops this part."""
    inner = terms[0][0] if len(terms) == 1 and terms[0][1] == 1 else None
    if not isinstance(inner, Join) or inner.kind == kind or len(inner.parts) > SHORT:
        return False
    for p in inner.parts:
        if p.terms is not None and p.terms in found:
            value, known = p.constant + number, found[p.terms]
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
    done: dict[Join, Array] = {}

    def value(x: Order) -> Array:
        number = x.constant * unit
        kind = np.int64 if isinstance(unit, int) else object
        total: Array = np.full(count, int(number) if isinstance(unit, int) else number, dtype=kind)
        for atom, c in x.terms or ():
            part = done[atom] if isinstance(atom, Join) else exponents[atom]
            total = total + (part if c == 1 else part * (int(c) if c.denominator == 1 else c))
        return total

    for join in _joins_under(orders):
        best = np.minimum if join.kind == "least" else np.maximum
        done[join] = reduce(best, map(value, join.parts))
    return [None if x.terms is None else value(x) for x in orders]


def _joins_under(orders: Sequence[Order]) -> list[Join]:
    """Every minimum and maximum that some orders are made of, inner ones first."""
    seen: set[Join] = set()
    stack = list(orders)
    while stack:
        for atom, _ in stack.pop().terms or ():
            if isinstance(atom, Join) and atom not in seen:
                seen.add(atom)
                stack.extend(atom.parts)
    return sorted(seen, key=lambda x: x.serial)


# ---- text ----------------------------------------------------------------------------------------


def _term(atom: Atom, c: Fraction) -> str:
    if isinstance(atom, Join):
        name = f"{'min' if atom.kind == 'least' else 'max'}({', '.join(map(str, atom.parts))})"
    else:
        name = f"{atom[1]}_{atom[0]}" if atom[1] else atom[0]
    if c == 1:
        return name
    return f"-{name}" if c == -1 else f"{c} {name}"
