"""Sizes of vectors and scalars with their sign symmetries, and what entrywise functions do to them.

The law of all vectors is unchanged when one initial object, a weight's matrix say, changes sign.
Of every vector the part that stays (even) and the part that changes its sign (odd) with each of
these flips have an order of their own. The average of a product of two vectors obeys the law of
large numbers only where the product has an even part for every flip; else what is left is the
central limit's n^-1/2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce

import numpy as np

from nexort import functions
from nexort.program.nodes import Node, Op
from nexort.scaling.orders import HALF, ONE, ZERO, Order, least, most


@dataclass(frozen=True, slots=True)
class Size:
    """The order of a value, and of its even and odd part by every flip."""

    total: Order
    even: tuple[Order, ...]
    odd: tuple[Order, ...]

    def __add__(self, order: Order | Fraction | int) -> Size:
        """The value times a number of that order."""
        return Size(
            self.total + order,
            tuple(x + order for x in self.even),
            tuple(x + order for x in self.odd),
        )

    @property
    def is_zero(self) -> bool:
        """Whether the value is exactly 0."""
        return self.total.is_zero

    def flipped(self, k: int) -> Size:
        """The value times something that is odd by flip k."""
        even, odd = list(self.even), list(self.odd)
        even[k], odd[k] = odd[k], even[k]
        return Size(self.total, tuple(even), tuple(odd))


def plain(total: Order, flips: int) -> Size:
    """A value that no flip changes."""
    return Size(total, (total,) * flips, (ZERO,) * flips)


def added(*sizes: Size) -> Size:
    """The size of a sum without cancellation."""
    if len(sizes) == 1:
        return sizes[0]
    return Size(
        least(*(x.total for x in sizes)),
        tuple(least(*parts) for parts in zip(*(x.even for x in sizes), strict=True)),
        tuple(least(*parts) for parts in zip(*(x.odd for x in sizes), strict=True)),
    )


def product(x: Size, y: Size) -> Size:
    """The size of an entrywise product."""
    pairs = list(zip(x.even, x.odd, y.even, y.odd, strict=True))
    return Size(
        x.total + y.total,
        tuple(least(xe + ye, xo + yo) for xe, xo, ye, yo in pairs),
        tuple(least(xe + yo, xo + ye) for xe, xo, ye, yo in pairs),
    )


def average(x: Size, flips: Sequence[int]) -> Order:
    """The order of the average over an index: the law of large numbers where the value has a part
    that is even by each of these flips, and in any case the central limit's."""
    return least(most(x.total, *(x.even[k] for k in flips)), x.total + HALF)


def power(x: Size, exponent: Fraction | int) -> Size:
    """x^exponent: of a positive x, or an integer exponent."""
    exponent = Fraction(exponent)
    if exponent.denominator == 1 and 0 <= exponent <= 4:
        return reduce(product, [x] * int(exponent), plain(ONE, len(x.even)))
    total = x.total.times(exponent)
    rest = x.total.times(exponent - 1)
    if exponent == -1:
        return Size(total, *(tuple(p + rest + rest for p in part) for part in (x.even, x.odd)))
    return Size(total, (total,) * len(x.even), tuple(p + rest for p in x.odd))


# ---- entrywise functions -------------------------------------------------------------------------

LINEAR = frozenset(("add", "sub", "neg"))
KINKED = frozenset(("relu", "leaky_relu"))
JUMPING = frozenset(("sign", "step"))


def nonlinear(name: str) -> bool:
    """Whether a function sees the size of its argument: it is not a sum, a product or a power."""
    return name not in LINEAR and name not in ("mul", "div", "pow", "sqrt", "square", "abs")


def applied(x: Node, args: Sequence[Size]) -> Size:
    """The size of a function's value; its arguments' are at most 1."""
    name, first = str(x.attr), args[0]
    match name:
        case "add" | "sub":
            return added(*args)
        case "neg":
            return first
        case "mul":
            return product(*args)
        case "div":
            return product(first, power(args[1], -1))
        case "pow" if isinstance(_exponent(x), Fraction):
            return power(first, _exponent(x) or 0)
        case "sqrt":
            return power(first, HALF)
        case "square":
            return product(first, first)
        case "max" | "min":
            whole = added(*args)
            return added(whole, product(whole, _sign(whole)))
        case "relu" | "leaky_relu":
            return product(first, _step(first))
        case "abs":
            return product(first, _sign(first))
        case "sign":
            return _sign(first)
        case "step":
            return _step(first)
        case _:
            return _smooth(name, args)


def moved(x: Node, args: Sequence[Size], moves: Sequence[Size]) -> Size:
    """The size of a function's change where its arguments, of sizes ``args``, change by ``moves``,
    to the second order."""
    name = str(x.attr)
    if all(m.is_zero for m in moves):
        return plain(ZERO, len(args[0].even))
    if name in LINEAR:
        return added(*moves)
    if name == "mul":
        return added(
            product(args[0], moves[1]), product(moves[0], args[1]), product(moves[0], moves[1])
        )
    if name == "div":
        inverse = power(args[1], -1)
        change = product(moves[1], product(inverse, inverse))
        return added(
            product(args[0], change), product(moves[0], inverse), product(moves[0], change)
        )
    if name in ("max", "min"):
        whole = added(*moves)
        return added(whole, product(whole, _sign(added(*args))))
    found = []
    for k, move in enumerate(moves):
        if not move.is_zero:
            slope, bend = _derivatives(x, args, k)
            found += [product(slope, move), product(bend, product(move, move))]
    return added(*found)


def _derivatives(x: Node, args: Sequence[Size], k: int) -> tuple[Size, Size]:
    """The sizes of the first and second derivative by argument k."""
    name, first = str(x.attr), args[k]
    flips = len(first.even)
    per = power(first, -1)
    exponent = {"sqrt": HALF, "square": Fraction(2)}.get(name)
    if name == "pow" and k == 0:
        exponent = _exponent(x)
    if exponent is not None:
        if exponent == 1:
            return plain(ONE, flips), plain(ZERO, flips)
        return power(first, exponent - 1), power(first, exponent - 2)
    if name in KINKED and k == 0:
        return _step(first), per
    if name == "abs":
        return _sign(first), per
    if name in JUMPING:
        return per, product(per, per)
    generic = _generic(args)
    match _parity(name):
        case "odd":
            return _even_of(first), first
        case "even":
            return first, _even_of(first)
        case _:
            return generic, generic


def _smooth(name: str, args: Sequence[Size]) -> Size:
    """A smooth function of arguments that are at most 1."""
    first = args[0]
    if len(args) == 1:
        match _parity(name):
            case "odd":
                return first
            case "even":
                return _even_of(first) if _at_zero(name) else product(first, first)
            case _ if not _at_zero(name):
                square = product(first, first)
                return Size(
                    first.total,
                    tuple(map(least, first.even, square.even)),
                    tuple(map(least, first.odd, square.odd)),
                )
    return _generic(args)


def _generic(args: Sequence[Size]) -> Size:
    """A function that is not 0 at 0 and has no symmetry."""
    flips = len(args[0].even)
    odd = tuple(least(*(x.odd[k] for x in args)) for k in range(flips))
    return Size(ONE, (ONE,) * flips, odd)


def _even_of(x: Size) -> Size:
    """An even function of x that is not 0 at 0."""
    return Size(ONE, (ONE,) * len(x.even), tuple(map(Order.__add__, x.even, x.odd)))


def _sign(x: Size) -> Size:
    return x + x.total.times(-1)


def _step(x: Size) -> Size:
    """(1 + sign(x)) / 2."""
    if x.is_zero:
        return plain(ONE, len(x.even))
    flips = len(x.even)
    return Size(ONE, (ONE,) * flips, _sign(x).odd)


def _parity(name: str) -> str | None:
    entry = functions.lookup(name)
    return None if entry is None else entry.parity


def _at_zero(name: str) -> bool:
    """Whether f(0) is not 0."""
    entry = functions.lookup(name)
    if entry is None or entry.arity != 1:
        return True
    with np.errstate(all="ignore"):
        return bool(entry.evaluate(np.float64(0.0)) != 0)


def _exponent(x: Node) -> Fraction | None:
    """A literal exponent."""
    value = x.args[1]
    if value.op is Op.CONST and isinstance(value.attr, int | float):
        return Fraction(value.attr).limit_denominator(10**6)
    return None
