"""Functions next to removable singularities, as (1 - cos z) / z^2 at 0, where floats have lost what
is left of numerator and denominator.

On either side of such a point p the function is a polynomial of degree 15 in z - p there, through
values in many digits. What is no polynomial next to p, as its powers and logarithms, is left alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from mpmath import mp, mpf

from nexort.functions import Array
from nexort.gaussian.precise import Undefined, value
from nexort.gaussian.univariate import SLOT
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
    """p, the distance up to which polynomials stand for the function, and their coefficients in
    Chebyshev polynomials of 2 t / radius - 1, t = |z - p|, below p and above."""

    place: float
    radius: float
    below: Array
    above: Array


@lru_cache(4096)
def patches(node: Node) -> tuple[Patch, ...]:
    """Of the points where a graph divides by 0 or the like, those where it is smooth from both
    sides."""
    from nexort.gaussian.kinks import singularities, smooth_but_at

    points = singularities(node)
    if not points:
        return ()
    others = sorted({*points, *smooth_but_at(node)})
    found = (_patch(node, p, [q for q in others if q != p]) for p in points)
    return tuple(x for x in found if x is not None)


def patched(node: Node, run: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """The function of an array, by polynomials where those stand for it."""
    known = patches(node)
    if not known:
        return run

    def careful(z: Array) -> Array:
        found = np.array(np.broadcast_to(run(z), z.shape))
        for x in known:
            t = z - x.place
            for side, coefficients in ((-1, x.below), (1, x.above)):
                near = (np.abs(t) < x.radius) & ((t <= 0) if side < 0 else (t >= 0))
                if near.any():
                    place = 2 * np.abs(t[near]) / x.radius - 1
                    found[near] = np.polynomial.chebyshev.chebval(place, coefficients)
        return found

    return careful


def _patch(node: Node, p: float, others: list[float]) -> Patch | None:
    def f(t: Any) -> Any:
        return value(node, {SLOT: mpf(p) + t})

    radius = min([FARTHEST, *(abs(q - p) / 2 for q in others)])
    with mp.workdps(DIGITS):
        try:
            for side in (-1, 1):
                ends = [f(side * d) for d in (CLOSEST, CLOSEST**0.5)]
                if not all(map(mp.isfinite, ends)) or abs(ends[0] - ends[1]) > mpf("1e-5"):
                    return None
            for _ in range(HALVINGS):
                below, above = (polynomial_at(f, side, radius) for side in (-1, 1))
                if below is not None and above is not None:
                    return Patch(p, radius, below, above)
                radius /= 2
        except Undefined:
            return None
    return None


def polynomial_at(f: Callable[[Any], Any], side: int, radius: float) -> Array | None:
    """Coefficients in Chebyshev polynomials; None where those do not fit."""
    x = np.polynomial.chebyshev.chebpts1(ORDER)
    values = np.array([float(f(side * mpf(radius * (1 + a) / 2))) for a in x])
    fit = np.polynomial.chebyshev.chebfit(x, values, ORDER - 1)
    between = np.array(CHECKS)
    known = np.array([float(f(side * mpf(radius * c))) for c in between])
    differences = np.abs(np.polynomial.chebyshev.chebval(2 * between - 1, fit) - known)
    return fit if (differences <= ALIKE * np.abs(values).max()).all() else None
