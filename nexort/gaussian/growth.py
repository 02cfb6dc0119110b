"""How fast a function grows: whether it has a Gaussian expectation."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from nexort.activations import Array
from nexort.gaussian.pointwise import array_evaluator
from nexort.program.nodes import Node, Op, walk

GRID = np.geomspace(1.0, 1e6, 4096)
"""Where functions are looked at."""

QUARTERS = np.array([0.5, 0.75, 1.0])


@lru_cache(4096)
def quadratic_growth(node: Node) -> float:
    """The largest q with |f| ~ exp(q z^2) at infinity, negative where f falls like that on both
    sides: 0 for less growth, inf for more."""
    if _polynomial(node):  # log |f| bends at the overflow of a high power
        return 0.0
    rate = max(_rate(node, 1.0), _rate(node, -1.0))
    return rate if abs(rate) > 1e-6 else 0.0


def _polynomial(node: Node) -> bool:
    """Whether a graph is a polynomial as it is written."""
    for x in walk([node]):
        match str(x.attr) if x.op is Op.CALL else "":
            case "" | "add" | "sub" | "neg" | "mul" | "square":
                continue
            case "div" if x.args[1].op is Op.CONST:
                continue
            case "pow" if isinstance(k := x.args[1].attr, int) and k >= 0:
                continue
        return False
    return True


def _rate(node: Node, side: float) -> float:
    """On one side, from log |f| at three points below the first overflow or underflow, exact for
    exponentials of quadratics."""
    with np.errstate(all="ignore"):
        logs = _logarithms(node, side * GRID)
        over = ~(logs < 700) & ~np.isneginf(logs)
        if not over.any():  # less than exp(1e-9 z^2)
            return _fall(node, side, logs)
        top = float(GRID[max(int(np.argmax(over)) - 1, 0)])
        a, b, c = _logarithms(node, side * top * QUARTERS)
    if not np.isfinite([a, b, c]).all() or c < 50:
        return 0.0
    if a > 1 and c / a > 5.5:
        return float(np.inf)
    return float((c - 2 * b + a) / (2 * (0.25 * top) ** 2))


def _fall(node: Node, side: float, logs: Array) -> float:
    """The rate of what falls to an underflow: the least of two scales, 0 where roundings of what
    cancels come before it."""
    under = np.flip(np.logical_and.accumulate(np.flip(logs < -600)))
    if not under.any():
        return 0.0
    top = float(GRID[max(int(np.argmax(under)) - 1, 0)])
    rates, least = [], 0.0
    for scale in (top, 0.7 * top):
        a, b, c = _logarithms(node, side * scale * QUARTERS)
        rates.append(float((c - 2 * b + a) / (2 * (0.25 * scale) ** 2)))
        least = float(c)
    first, second = rates
    alike = abs(first - second) < 0.05 * abs(first) and least < -200
    return min(max(rates), 0.0) if alike else 0.0


def _logarithms(node: Node, z: Array) -> Array:
    return np.asarray(np.log(np.abs(array_evaluator(node)(z))))
