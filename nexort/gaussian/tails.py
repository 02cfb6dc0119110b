"""What is left of an integral next to a singularity, by the law that the function has there."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from nexort.activations import Array

STEP, FEWEST = 4.0, 8.0
"""Between the last s, and the least number of such steps up to there."""

SWINGS = 1e3
"""How much larger functions may be than where they are looked at."""

FLAT = 1e-6
"""r S up to which exp(-r s) is no part of a law."""


def beyond(f: Callable[[Array], Array], last: float) -> tuple[Array, Array]:
    """The integral beyond the last s of F ~ C exp(-r s) s^b, from the law that F has up to there;
    its error from that over a long way."""
    step = min(STEP, last / FEWEST)
    s = np.array([last / 4, last / 2, last - 2 * step, last - step, last])
    values = f(s)
    rows = values.reshape(-1, values.shape[-1])
    found = np.array([_tail_of(row, s) for row in rows]).reshape(*values.shape[:-1], 2)
    return found[..., 0], found[..., 1]


def _tail_of(values: Array, s: Array) -> tuple[float, float]:
    if values[-1] == 0:
        return 0.0, 0.0
    first, second = (values[-1] * _law(np.abs(values[k]), s[k]) for k in ([2, 3, 4], [0, 1, 4]))
    error = abs(first - second)
    if not np.isfinite(first):  # what swings has no law from one point to the next
        first, error = 0.0, SWINGS * abs(second)
    return (float(first), float(error)) if np.isfinite(error) else (0.0, math.inf)


def _law(values: Array, s: Array) -> float:
    """int_S^oo F ds / F(S) = S e^a E_n(a), a = r S, n = -b, of the law through three values."""
    import mpmath

    if not (np.isfinite(values) & (values > 0)).all():
        return math.inf
    rates = np.column_stack([-np.diff(s), np.diff(np.log(s))])
    r, b = np.linalg.solve(rates, np.diff(np.log(values)))
    a = float(r * s[-1])
    if abs(a) < FLAT:
        return float(s[-1] / (-b - 1)) if b < -1 else math.inf
    if a < 0:
        return math.inf
    return float(s[-1] * mpmath.exp(a) * mpmath.expint(float(-b), a))
