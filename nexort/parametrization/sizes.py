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
from functools import cache, reduce

import numpy as np

from nexort import activations
from nexort.parametrization.orders import (
    HALF,
    ONE,
    ZERO,
    Order,
    bound_order,
    most,
    order_inverse,
    order_of_sum,
    order_times,
)
from nexort.program.nodes import Node, Op


@dataclass(frozen=True, slots=True, eq=False)
class Size:
    """The order of a value, shape (tables,), and of its even and odd part by every flip, shape
    (2, flips, tables); a single table stands for all."""

    total: Order
    parts: Order

    def __add__(self, order: Order | float) -> Size:
        """The value times a number of that order."""
        return Size(bound_order(self.total + order), bound_order(self.parts + order))

    @property
    def is_zero(self) -> bool:
        """Whether the value is exactly 0 on all tables."""
        return bool(np.isinf(self.total).all())

    def flipped(self, k: int) -> Size:
        """The value times something that is odd by flip k."""
        parts = self.parts.copy()
        parts[:, k] = self.parts[::-1, k]
        return Size(self.total, parts)

    def same(self, other: Size) -> Order:
        """On which tables two sizes are equal."""
        parts = (self.parts == other.parts).all(axis=(0, 1))
        return np.asarray((self.total == other.total) & parts)


def plain_size(total: Order, flips: int) -> Size:
    """A value that no flip changes."""
    parts = np.full((2, flips, len(total)), np.inf)
    parts[0] = total
    return Size(total, parts)


def sum_size(*sizes: Size) -> Size:
    """The size of a sum without cancellation."""
    if len(sizes) == 1:
        return sizes[0]
    return Size(order_of_sum(*(x.total for x in sizes)), order_of_sum(*(x.parts for x in sizes)))


def product_size(x: Size, y: Size) -> Size:
    """The size of an entrywise product."""
    same = np.minimum(x.parts[0] + y.parts[0], x.parts[1] + y.parts[1])
    mixed = np.minimum(x.parts[0] + y.parts[1], x.parts[1] + y.parts[0])
    return Size(bound_order(x.total + y.total), bound_order(np.stack([same, mixed])))


def average_size(x: Size, flips: slice) -> Order:
    """The order of the average over an index: the law of large numbers where the value has a part
    that is even by each of these flips, and in any case the central limit's."""
    even = x.parts[0, flips]
    law = most(x.total, even.max(axis=0)) if len(even) else x.total
    return order_of_sum(law, x.total + HALF)


def power_size(x: Size, exponent: float) -> Size:
    """x^exponent: of a positive x, or an integer exponent."""
    if exponent in (0, 1, 2, 3, 4):
        return reduce(product_size, [x] * int(exponent), plain_size(ONE, x.parts.shape[1]))
    total = bound_order(order_times(x.total, exponent))
    rest = order_times(x.total, exponent - 1)
    if exponent == -1:
        return Size(total, bound_order(x.parts + (rest + rest)))
    even = np.broadcast_to(total, x.parts.shape[1:])
    return Size(total, np.stack([even, bound_order(x.parts[1] + rest)]))


def cap_size(size: Size, bound: Order) -> Size:
    """The size of what is no larger than a bound."""
    return Size(most(size.total, bound), most(size.parts, bound))


# ---- entrywise functions -------------------------------------------------------------------------

LINEAR = frozenset(("add", "sub", "neg"))


def nonlinear(name: str) -> bool:
    """Whether a function sees the size of its argument: it is not a sum, a product or a power."""
    return name not in LINEAR and name not in ("mul", "div", "pow", "sqrt", "square", "abs")


def homogeneous(name: str) -> bool:
    """Whether f(c x) is f(x) or c f(x) for c > 0, with a jump or a kink at 0."""
    return activations.registry()[name].degree is not None


def is_kinked(name: str) -> bool:
    """Whether f(c x) = c f(x) for c > 0, with a kink at 0."""
    return activations.registry()[name].degree == 1


@cache
def bends(name: str) -> bool:
    """Whether f is 0 at 0 and its slope jumps there, so that f(h) + f(-h) is no less than h."""
    entry = activations.registry()[name]
    if 0.0 not in entry.kinks or entry.jumps:
        return False
    h, second = 1e-6, [np.float64(0.5)] * (entry.arity - 1)
    both = entry.evaluate(np.float64(h), *second) + entry.evaluate(np.float64(-h), *second)
    return bool(abs(both) > 0.1 * h)


def jumping(name: str) -> bool:
    """Whether f(c x) = f(x) for c > 0, with a jump at 0."""
    return activations.registry()[name].degree == 0


def value_size(x: Node, args: Sequence[Size]) -> Size:
    """The size of a function's value; its arguments' are at most 1."""
    name, first = str(x.attr), args[0]
    exponent = _exponent(x)
    match name:
        case "add" | "sub":
            return sum_size(*args)
        case "neg":
            return first
        case "mul":
            return product_size(*args)
        case "div":
            return product_size(first, power_size(args[1], -1))
        case _ if exponent is not None:
            return power_size(first, exponent)
        case "max" | "min":
            whole = sum_size(*args)
            return sum_size(whole, product_size(whole, _sign(whole)))
        case _ if bends(name):
            return product_size(first, _sign(first) if _parity(name) == "even" else _step(first))
        case "sign":
            return _sign(first)
        case "step":
            return _step(first)
        case _:
            return _smooth(name, args)


def change_size(
    x: Node, args: Sequence[Size], moves: Sequence[Size], *, second: bool = True
) -> Size:
    """The size of a function's change where its arguments, of sizes ``args``, change by ``moves``,
    never more than the function itself: to the second order, or the first alone."""
    name = str(x.attr)
    flips = args[0].parts.shape[1]
    if all(m.is_zero for m in moves):
        return plain_size(ZERO, flips)
    match name:
        case "add" | "sub" | "neg":
            return sum_size(*moves)
        case "mul":
            parts = [product_size(args[0], moves[1]), product_size(moves[0], args[1])]
            return sum_size(*parts, *([product_size(*moves)] if second else []))
        case "div":
            # x / y - x0 / y0 = (x - x0) / y - x0 (y - y0) / (y0 y)
            start = power_size(args[1], -1)
            now = power_size(sum_size(args[1], moves[1]), -1) if second else start
            change = product_size(product_size(args[0], moves[1]), product_size(start, now))
            return sum_size(product_size(moves[0], now), change)
        case "max" | "min":
            whole = sum_size(*moves)
            return sum_size(whole, product_size(whole, _sign(sum_size(*args))))
        case _:
            several = [(k, m) for k, m in enumerate(moves) if not m.is_zero]
            return sum_size(*(_by_one(x, args, k, m, second=second) for k, m in several))


def _by_one(x: Node, args: Sequence[Size], k: int, move: Size, *, second: bool) -> Size:
    """The change by argument k."""
    name, exponent = str(x.attr), _exponent(x)
    slope, bend = _derivatives(x, args, k)
    found = product_size(slope, move)
    if second:
        found = sum_size(found, product_size(bend, product_size(move, move)))
    if k > 0 or (exponent is None and not homogeneous(name)):
        return found
    # homogeneous functions: from 0 they move by f(move) - f(0), else by no more than f
    first = args[0]
    whole = _sign(move) if jumping(name) else value_size(x, [move, *args[1:]])
    bound = move.total if is_kinked(name) else order_of_sum(value_size(x, args).total, whole.total)
    zero = np.isinf(first.total)
    found = cap_size(found, bound)
    return Size(np.where(zero, whole.total, found.total), np.where(zero, whole.parts, found.parts))


def _derivatives(x: Node, args: Sequence[Size], k: int) -> tuple[Size, Size]:
    """The sizes of the first and second derivative by argument k."""
    name, first = str(x.attr), args[k]
    flips = first.parts.shape[1]
    per = power_size(first, -1)
    exponent = _exponent(x)
    if exponent is not None and k == 0:
        if exponent == 1:
            return plain_size(ONE, flips), plain_size(ZERO, flips)
        return power_size(first, exponent - 1), power_size(first, exponent - 2)
    if name == "abs":
        return _sign(first), per
    if bends(name) and k == 0:
        return _step(first), per
    if jumping(name):
        return per, product_size(per, per)
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
                return _even_of(first) if _at_zero(name) else product_size(first, first)
            case _ if not _at_zero(name):
                square = product_size(first, first)
                return Size(first.total, order_of_sum(first.parts, square.parts))
    return _generic(args)


def _generic(args: Sequence[Size]) -> Size:
    """A function that is not 0 at 0 and has no symmetry."""
    return _one_with(order_of_sum(*(x.parts[1] for x in args)))


def _even_of(x: Size) -> Size:
    """An even function of x that is not 0 at 0."""
    return _one_with(x.parts[0] + x.parts[1])


def _one_with(odd: Order) -> Size:
    """Of size 1, with these odd parts."""
    return Size(np.zeros(odd.shape[1]), np.stack([np.zeros(odd.shape), bound_order(odd)]))


def _sign(x: Size) -> Size:
    return x + order_inverse(x.total)


def _step(x: Size) -> Size:
    """(1 + sign(x)) / 2."""
    return _one_with(_sign(x).parts[1])


def _parity(name: str) -> str | None:
    entry = activations.lookup(name)
    return None if entry is None else entry.parity


def _at_zero(name: str) -> bool:
    """Whether f(0) is not 0."""
    entry = activations.lookup(name)
    if entry is None or entry.arity != 1:
        return True
    with np.errstate(all="ignore"):
        return bool(entry.evaluate(np.float64(0.0)) != 0)


def _exponent(x: Node) -> float | None:
    """Of a power with a literal exponent."""
    match str(x.attr):
        case "sqrt":
            return 0.5
        case "square":
            return 2.0
        case "pow" if x.args[1].op is Op.CONST and isinstance(x.args[1].attr, int | float):
            return float(x.args[1].attr)
        case _:
            return None
