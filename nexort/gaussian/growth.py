"""How fast a function grows: whether it has a Gaussian expectation."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from nexort.gaussian.univariate import _compiled
from nexort.program.nodes import Node


@lru_cache(4096)
def quadratic_growth(node: Node) -> float:
    """The largest q with |f| ~ exp(q z^2) at infinity, negative where f falls like that on both
    sides: 0 for less growth, inf for more."""
    rate = max(_rate(node, 1.0), _rate(node, -1.0))
    return rate if abs(rate) > 1e-6 else 0.0


def _rate(node: Node, side: float) -> float:
    """On one side, from log |f| at three points below the first overflow or underflow, exact for
    exponentials of quadratics."""
    grid = np.geomspace(1.0, 1e6, 4096)
    with np.errstate(all="ignore"):
        logs = np.log(np.abs(_compiled(node)(side * grid)))
    bad = ~(logs < 700) & ~np.isneginf(logs)
    if not bad.any():  # no overflow up to 1e6: less than exp(1e-9 z^2)
        bad = np.flip(np.logical_and.accumulate(np.flip(logs < -600)))
        if not bad.any():
            return 0.0
    top = float(grid[max(int(np.argmax(bad)) - 1, 0)])
    with np.errstate(all="ignore"):
        a, b, c = np.log(np.abs(_compiled(node)(side * top * np.array([0.5, 0.75, 1.0]))))
    if not np.isfinite([a, b, c]).all() or abs(c) < 50:
        return 0.0
    if a > 1 and c / a > 5.5:
        return float(np.inf)
    return float((c - 2 * b + a) / (2 * (0.25 * top) ** 2))
