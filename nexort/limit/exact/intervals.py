"""Errors of entrywise functions, from the ends of their arguments' intervals."""

from __future__ import annotations

from typing import Any

import numpy as np

from nexort import activations

EPS = float(np.finfo(float).eps)
ROUNDINGS = 8
"""Of a closed form of atoms without powers, and of a function, in its own size."""


def error_of(name: str, args: list[Any], errors: list[Any], found: Any) -> Any:
    """The largest change over the interval's ends, and its middle 0, one argument at a time."""
    evaluate = activations.registry()[name].evaluate
    total: Any = ROUNDINGS / 2 * EPS * np.abs(found)
    for k, (x, e) in enumerate(zip(args, errors, strict=True)):
        if not np.any(e):
            continue
        largest = np.full(np.shape(found), -1.0)
        for moved in (x + e, x - e, np.where(np.abs(x) < e, 0.0, x)):
            change = np.abs(evaluate(*args[:k], moved, *args[k + 1 :]) - found)
            largest = np.fmax(largest, change)
        # a function that has no value at either end may have none in between
        total = total + np.where(largest < 0, np.inf, largest)
    return total
