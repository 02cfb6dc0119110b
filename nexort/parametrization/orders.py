"""Orders: how sizes depend on width, n^-order, on many tables of exponents at once.

An order is an array of numbers, one a table (or one for all), infinite for what is exactly 0. A sum
of terms has the least of their orders, a product their sum. Numbers are exact for exponents whose
denominators are powers of 2, else right to 1e-9 (``DIGITS``), within which orders are equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np

Order = np.ndarray[Any, Any]
Symbol = tuple[str, str]
"""An exponent: whose, and which: ('W[2]', 'c')."""

Exponents = Mapping[Symbol, Order]
OUT: Symbol = ("", "a")
"""a_out, which is no weight's."""

ZERO: Order = np.array([np.inf])
"""The order of what is exactly 0."""

ONE: Order = np.array([0.0])
"""The order of what has size 1."""

HALF = 0.5
LOWEST = -float(2**20)
"""Sizes that outgrow every power of n stop there."""

DIGITS = 9


def order_of_sum(*orders: Order) -> Order:
    """The order of a sum."""
    return reduce(np.minimum, orders) if orders else ZERO


def most(*orders: Order) -> Order:
    """The largest of some orders: of what is bounded by each of them."""
    return reduce(np.maximum, orders)


def bound_order(order: Order) -> Order:
    """An order, LOWEST where it is below."""
    return np.maximum(order, LOWEST)


def order_times(order: Order, factor: float) -> Order:
    """The order of a power; of 0 it is 0."""
    return np.where(np.isinf(order), order, order * factor)


def order_inverse(order: Order) -> Order:
    """The order of 1 / x."""
    return order_times(order, -1.0)


def round_order(order: Order) -> Order:
    """Digits that rounding may have changed are left out."""
    return np.round(order, DIGITS)


def exact_order(order: float) -> Fraction:
    """The rational that an order stands for."""
    return Fraction(order).limit_denominator(10**6)
