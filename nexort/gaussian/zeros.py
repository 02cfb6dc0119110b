"""Zeros of functions in a graph, and functions next to them, where floats have lost what is left of
a difference, as of exp(z) - 1 at 0.

On either side of a zero p of order k such a function is (z - p)^k times a polynomial.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from mpmath import mp, mpf

from nexort.gaussian.precise import Undefined, value
from nexort.gaussian.removable import DIGITS, Patch, patch_at
from nexort.gaussian.terms import ONE, Atom, normal_form
from nexort.gaussian.univariate import SLOT, Univariate, _compiled
from nexort.program.nodes import Node, Op, walk

NEWTON = 60
CONVERGED = mpf(10) ** -150
NEAR = 1e-4
"""How far a zero may be from where floats find it."""

CLOSE, LOST = 1e-6, 1e-9
"""Next to a zero, and the part of a function that floats lose there."""

MOST_OF_ORDER = 8


@lru_cache(4096)
def refined(node: Node, p: float) -> Any | None:
    """The zero next to p in many digits, by Newton's method for f / f', whose zeros are simple;
    None where that does not converge."""
    slope = Univariate(node).derivative().node
    bend = Univariate(slope).derivative().node
    with mp.workdps(DIGITS):
        z = mpf(p)
        try:
            for _ in range(NEWTON):
                f, d, dd = (value(x, {SLOT: z}) for x in (node, slope, bend))
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


def losing(node: Node) -> dict[Node, tuple[Patch, ...]]:
    """The arguments of functions that are singular at 0 that floats lose digits of next to their
    zeros."""
    from nexort.gaussian.kinks import arguments

    found = {x: zeros(x) for x in arguments(node) if x is not SLOT}
    return {x: known for x, known in found.items() if known}


@lru_cache(4096)
def zeros(node: Node) -> tuple[Patch, ...]:
    """Those of a graph next to which floats lose digits."""
    from nexort.gaussian.kinks import roots, smooth_but_at

    differs = any(x.op is Op.CALL and x.attr in ("add", "sub") for x in walk([node]))
    if not differs or set(normal_form(node)) <= {ONE, Atom(1)}:
        return ()
    points = roots(node)
    others = sorted({*points, *smooth_but_at(node)})
    found = (_zero(node, p, [q for q in others if q != p]) for p in points)
    return tuple(x for x in found if x is not None)


def _zero(node: Node, p: float, others: list[float]) -> Patch | None:
    exact = refined(node, p)
    if exact is None or not _loses(node, p):
        return None
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


def _loses(node: Node, p: float) -> bool:
    """Whether floats lose digits next to a zero."""
    places = p + np.array([-1.0, 1.0, -CLOSE, CLOSE]) * CLOSE * (1 + abs(p))
    with np.errstate(all="ignore"):
        shown = _compiled(node)(places)
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
