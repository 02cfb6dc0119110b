"""Functions next to removable singularities, as (1 - cos z) / z^2 at 0, where floats have lost what
is left of numerator and denominator.

On either side of such a point p the function is a polynomial of degree 15 in z - p there, through
values in many digits. What is no polynomial next to p, as its powers and logarithms, is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mpmath import mp, mpf

from nexort.activations import Array
from nexort.gaussian.precise import Undefined, value
from nexort.gaussian.variable import SLOT
from nexort.program.nodes import Node

ORDER = 16
DIGITS = 240
"""Ten orders of z - p may cancel at the closest point that is looked at."""

CLOSEST = mpf(10) ** -20
FARTHEST = 0.25
HALVINGS = 5
ALIKE = 1e-14
"""How well a polynomial fits, as a part of its largest value."""

CHECKS = (0.97, 0.6, 0.23, 0.04, 1e-3, 1e-6, 1e-12)


@dataclass(frozen=True)
class Patch:
    """p in two floats, the distance up to which polynomials stand for the function over
    (z - p)^order, and their coefficients in Chebyshev polynomials of 2 t / radius - 1,
    t = |z - p|, below p and above."""

    place: float
    radius: float
    below: Array
    above: Array
    rest: float = 0.0
    order: int = 0


def by_polynomials(found: Array, z: Array, known: tuple[Patch, ...]) -> Array:
    """A function's values, by polynomials where those stand for it."""
    found = np.array(np.broadcast_to(found, z.shape))
    for x in known:
        t = (z - x.place) - x.rest
        for below, coefficients in ((True, x.below), (False, x.above)):
            near = (np.abs(t) < x.radius) & ((t <= 0) if below else (t >= 0))
            if near.any():
                place = 2 * np.abs(t[near]) / x.radius - 1
                rest = np.polynomial.chebyshev.chebval(place, coefficients)
                found[near] = t[near] ** x.order * rest
    return found


def patch(node: Node, p: float, others: Sequence[float]) -> Patch | None:
    """The patch at a point where a graph divides by 0 or the like, if it is smooth there from both
    sides."""

    def f(t: Any) -> Any:
        return value(node, {SLOT: mpf(p) + t})

    with mp.workdps(DIGITS):
        try:
            for side in (-1, 1):
                ends = [f(side * d) for d in (CLOSEST, CLOSEST**0.5)]
                if not all(map(mp.isfinite, ends)) or abs(ends[0] - ends[1]) > mpf("1e-5"):
                    return None
            return patch_at(f, p, others)
        except Undefined:
            return None


def patch_at(
    f: Callable[[Any], Any], p: Any, others: Sequence[float], order: int = 0
) -> Patch | None:
    """The patch at p, which reaches half-way to ``others``, of f(t) at p + t over t^order, in the
    digits that are set. Raises Undefined."""
    place = float(p)
    radius = min([FARTHEST, *(abs(q - place) / 2 for q in others)])
    for _ in range(HALVINGS):
        below, above = (_polynomial(f, side, radius) for side in (-1, 1))
        if below is not None and above is not None:
            return Patch(place, radius, below, above, float(p - place), order)
        radius /= 2
    return None


def _polynomial(f: Callable[[Any], Any], side: int, radius: float) -> Array | None:
    """Coefficients in Chebyshev polynomials; None where those do not fit."""
    x = np.polynomial.chebyshev.chebpts1(ORDER)
    values = np.array([float(f(side * mpf(radius * (1 + a) / 2))) for a in x])
    fit = np.polynomial.chebyshev.chebfit(x, values, ORDER - 1)
    between = np.array(CHECKS)
    known = np.array([float(f(side * mpf(radius * c))) for c in between])
    differences = np.abs(np.polynomial.chebyshev.chebval(2 * between - 1, fit) - known)
    return fit if (differences <= ALIKE * np.abs(values).max()).all() else None
