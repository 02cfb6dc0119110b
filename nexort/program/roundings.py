"""Arithmetic of numbers with bounds on their errors; what is exact stays so.

The rounding of a sum is known without error (Knuth 1969), so that sums of integers, halves and
the like have none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

Known = tuple[float, float]
"""A float and a bound on its error."""

ZERO: Known = (0.0, 0.0)
ONE: Known = (1.0, 0.0)

UNIT = 2.0**-53
DIGITS = 2.0**20
"""Multiples of its inverse are taken for what was written, all other floats for decimals next to
it."""


def rounding(x: float) -> float:
    """Half a unit in the last place of a float that stands for a decimal fraction."""
    if not math.isfinite(x) or (abs(x) < 2.0**53 and (x * DIGITS).is_integer()):
        return 0.0
    return UNIT * abs(x)


def known_sum(a: Known, b: Known) -> Known:
    """The sum."""
    (x, e), (y, d) = map(float, a), map(float, b)
    total = x + y
    back = total - x
    rest = (x - (total - back)) + (y - back)
    return total, e + d + (abs(rest) if math.isfinite(rest) else 0.0)


def known_product(a: Known, b: Known) -> Known:
    """The product."""
    (x, e), (y, d) = map(float, a), map(float, b)
    product = x * y
    exact = 1.0 in (abs(x), abs(y)) or not math.isfinite(product) or _is_product(x, y, product)
    own = 0.0 if exact else UNIT * abs(product) + 5e-324
    return product, abs(x) * d + abs(y) * e + e * d + own


def known_quotient(a: Known, b: Known) -> Known:
    """The quotient, by a number that is not 0."""
    (x, e), (y, d) = map(float, a), map(float, b)
    found = x / y
    exact = not math.isfinite(found) or _is_product(found, y, x)
    own = 0.0 if exact else UNIT * abs(found) + 5e-324
    room = abs(y) - d
    return found, (e + abs(found) * d) / room + own if room > 0 else math.inf


MOST = 100
"""Operations that a number is remembered to come from, each as often as it is read."""


class Rounded(float):
    """A float with a bound on its error, not the decimal fraction next to it; ``how`` is the
    function and the numbers that it comes from, so that it is known to any number of digits, None
    where it is not. Equal to none that differs in these."""

    __slots__ = ("error", "how", "size")
    error: float
    how: How | None
    size: int

    def __new__(cls, value: float, error: float, how: How | None = None) -> Rounded:
        found = super().__new__(cls, value)
        found.error = error
        parts = () if how is None else how[1]
        known = all(not isinstance(a, Rounded) or a.how is not None for a in parts)
        found.size = 1 + sum(a.size for a in parts if isinstance(a, Rounded))
        found.how = how if known and found.size <= MOST else None
        return found

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rounded) and self._parts == other._parts

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((float(self), self.error))

    def __reduce__(self) -> tuple[Any, ...]:
        return Rounded, self._parts

    @property
    def _parts(self) -> tuple[float, float, How | None]:
        return float(self), self.error, self.how


How = tuple[str, tuple[float, ...]]


def has_error(x: object) -> bool:
    """Whether a number is only known up to its error."""
    return isinstance(x, Rounded) and x.how is None


def known_number(x: float) -> Known:
    """A number of a program, and its error."""
    return float(x), x.error if isinstance(x, Rounded) else rounding(float(x))


def rounded_number(value: float, error: float) -> float:
    """The number with an error that is not that of the decimal fraction next to it."""
    return Rounded(value, error) if error > rounding(value) else value


def known_call(function: Callable[..., Any], args: Sequence[float], value: float) -> float:
    """The error of an entrywise function's value: what each argument's error, at either end,
    changes it by, and some roundings."""
    error = 4 * UNIT * abs(value)
    for k, a in enumerate(args):
        x, e = known_number(a)
        ends = (x - e, x + e) if e else ()
        for end in ends:
            moved = float(function(*(np.float64(end if i == k else b) for i, b in enumerate(args))))
            error += abs(moved - value) if math.isfinite(moved) else math.inf
    return error


GRAINS = (1.0, 2.0**10)


def adds_exactly(factors: Sequence[Any], size: float) -> bool:
    """Whether products of entries, and their sums no larger than ``size``, have no roundings: of
    multiples of 1 / g, k at a time, they are multiples of 1 / g^k."""
    return any(
        size * grain ** len(factors) < 2.0**53
        and all(np.all(a * grain == np.rint(a * grain)) for a in factors)
        for grain in GRAINS
    )


def _is_product(x: float, y: float, product: float) -> bool:
    if not (math.isfinite(x) and math.isfinite(y)):
        return False
    return Fraction(x) * Fraction(y) == Fraction(product)
