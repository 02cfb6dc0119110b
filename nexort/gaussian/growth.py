"""How fast a function grows: whether it has a Gaussian expectation."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from nexort.gaussian.univariate import _compiled
from nexort.program.nodes import Node


@lru_cache(4096)
def quadratic_growth(node: Node) -> float:
    """The largest q with |f| ~ exp(q z^2) at infinity: 0 for less growth, inf for more.

    From log |f| at three points below the first overflow, exact for exponentials of quadratics."""
    grid = np.geomspace(1.0, 1e6, 4096)
    rates = [0.0]
    for side in (1.0, -1.0):
        with np.errstate(all="ignore"):
            logs = np.log(np.abs(_compiled(node)(side * grid)))
        bad = ~(logs < 700)
        bad &= ~(np.isneginf(logs))
        if not bad.any():
            continue  # no overflow up to 1e6: less than exp(1e-9 z^2)
        last = max(int(np.argmax(bad)) - 1, 0)
        top = float(grid[last])
        points = side * top * np.array([0.5, 0.75, 1.0])
        with np.errstate(all="ignore"):
            a, b, c = np.log(np.abs(_compiled(node)(points)))
        if not np.isfinite([a, b, c]).all() or c < 50:
            continue
        if a > 1 and c / a > 5.5:
            rates.append(np.inf)
            continue
        rates.append(float((c - 2 * b + a) / (2 * (0.25 * top) ** 2)))
    rate = max(rates)
    return rate if rate > 1e-6 else 0.0
