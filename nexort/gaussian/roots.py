"""Roots of polynomials, and of functions on a grid."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from nexort.activations import Array

REACH = 64.0
"""Roots of functions are looked for in [-REACH, REACH]."""

CLOSE = 1e-7
"""Roots of functions that are closer than this count once."""


def of_polynomial(dense: list[float]) -> set[float]:
    """The real roots, from the coefficients, highest first."""
    polynomial, slope = np.poly1d(dense), np.poly1d(dense).deriv()
    found = set()
    for root in np.roots(dense):
        if abs(root.imag) > 1e-6 * (1 + abs(root)):
            continue
        z = float(root.real)
        for _ in range(4):
            step = slope(z)
            z -= float(polynomial(z) / step) if step else 0.0
        found.add(z + 0.0)
    return found


def sign_changes(run: Callable[[Array], Array], inner: Iterable[float]) -> tuple[float, ...]:
    """Sign changes on a fine grid, bisected to neighbouring floats, and the points ``inner``; the
    grid is denser near 0."""
    fine = np.linspace(-REACH, REACH, 2**16 + 1)
    near = np.sort(np.concatenate([s * np.geomspace(1e-12, 1e-2, 2000) for s in (-1, 1)]))
    grid = np.unique(np.concatenate([fine, near, [0.0]]))
    with np.errstate(all="ignore"):
        signs = np.sign(run(grid))
    found = {float(z) for z in grid[signs == 0]} if (signs == 0).sum() < 4096 else set()
    low, high = grid[:-1], grid[1:]
    change = (signs[:-1] * signs[1:]) < 0
    low, high, sign = low[change], high[change], signs[:-1][change]
    for _ in range(70):
        middle = (low + high) / 2
        with np.errstate(all="ignore"):
            same = np.sign(run(middle)) == sign
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    found.update(float(z) for z in _middle(low, high))
    return _apart(sorted(found.union(inner)))


def _apart(points: list[float]) -> tuple[float, ...]:
    """One of points closer than CLOSE: where a function touches 0 its sign is that of roundings."""
    groups: list[list[float]] = []
    for z in points:
        if groups and z - groups[-1][-1] < CLOSE:
            groups[-1].append(z)
        else:
            groups.append([z])
    return tuple(0.0 if 0.0 in g else g[len(g) // 2] for g in groups)


def _middle(low: Array, high: Array) -> Array:
    return np.where(np.abs(low) < np.abs(high), low, high)
