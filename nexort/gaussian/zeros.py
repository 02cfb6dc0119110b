"""Zeros of functions in a graph, and functions next to them, where floats have lost what is left of
a difference, as of exp(z) - 1 at 0.

On either side of a zero p of order k such a function is (z - p)^k times a polynomial.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from mpmath import mp, mpf

from nexort.activations import Array
from nexort.gaussian.precise import Undefined, value
from nexort.gaussian.removable import DIGITS, Patch, patch_at
from nexort.gaussian.variable import SLOT, slope
from nexort.program.nodes import Node

NEWTON = 60
CONVERGED = mpf(10) ** -150
NEAR = 1e-4
"""How far a zero may be from where floats find it."""

CLOSE, LOST = 1e-6, 1e-9
"""Next to a zero, and the part of a function that floats lose there."""

MOST_OF_ORDER = 8


@lru_cache(4096)
def refine_zero(node: Node, p: float) -> Any | None:
    """The zero next to p in many digits, by Newton's method for f / f', whose zeros are simple;
    None where that does not converge."""
    first = slope(node)
    second = slope(first)
    with mp.workdps(DIGITS):
        z = mpf(p)
        try:
            for _ in range(NEWTON):
                f, d, dd = (value(x, {SLOT: z}) for x in (node, first, second))
                if f == 0:
                    return z
                scale = d * d - f * dd
                if d == 0 or scale == 0:
                    return None
                step = f * d / scale
                z -= step
                if abs(z - p) > NEAR * (1 + abs(p)):
                    return None
                if abs(step) < CONVERGED:
                    return z
        except Undefined:
            return None
    return None


def patch_of_zero(node: Node, exact: Any, others: Sequence[float]) -> Patch | None:
    """The patch at a zero in many digits, if it is of one order from both sides."""
    with mp.workdps(DIGITS):
        try:
            order = _order(node, exact)
            if order is None:
                return None

            def f(t: Any) -> Any:
                return value(node, {SLOT: exact + t}) / t**order

            return patch_at(f, exact, others, order)
        except Undefined:
            return None


def loses(node: Node, run: Callable[[Array], Array], p: float) -> bool:
    """Whether floats lose digits next to a zero of a graph, which ``run`` evaluates."""
    places = p + np.array([-1.0, 1.0, -CLOSE, CLOSE]) * CLOSE * (1 + abs(p))
    with np.errstate(all="ignore"):
        shown = run(places)
    try:
        with mp.workdps(60):
            true = [float(value(node, {SLOT: mpf(z)})) for z in places]
    except Undefined:
        return False
    return bool((np.abs(shown - true) > LOST * np.abs(true)).any())


def _order(node: Node, p: Any) -> int | None:
    """Of a zero, the same from both sides."""
    ends = mpf(10) ** -20, mpf(10) ** -30
    orders = set()
    for side in (-1, 1):
        sizes = [abs(value(node, {SLOT: p + side * t})) for t in ends]
        if 0 in sizes:
            return None
        found = mp.log(sizes[0] / sizes[1]) / mp.log(ends[0] / ends[1])
        order = int(mp.nint(found))
        if abs(found - order) > mpf(10) ** -9:
            return None
        orders.add(order)
    [order, *more] = orders
    return order if not more and 1 <= order <= MOST_OF_ORDER else None
