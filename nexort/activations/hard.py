"""Piecewise linear and quadratic functions that saturate."""

from math import inf

import numpy as np

from nexort.activations import Array, Function


def _relu6(x: Array) -> Array:
    value: Array = np.clip(x, 0, 6)
    return value


def _hardtanh(x: Array) -> Array:
    value: Array = np.clip(x, -1, 1)
    return value


def _hardswish(x: Array) -> Array:
    """x clip(x + 3, 0, 6) / 6; x >= -3 in the product keeps out infinity times 0."""
    value: Array = np.maximum(x, -3) * (np.clip(x, -3, 3) + 3) / 6
    return value


FUNCTIONS = (
    Function(
        "relu6",
        _relu6,
        ("step(x) * step(6 - x)",),
        r"\mathrm{{relu6}}({x})",
        "np.clip({x}, 0, 6)",
        "min(max(x, 0), 6)",
        definition="min(max(x, 0), 6)",
        kinks=(0.0, 6.0),
        bounds=(0.0, 6.0),
        vanishes=True,
        at_most_linear=True,
    ),
    Function(
        "hardtanh",
        _hardtanh,
        ("step(x + 1) * step(1 - x)",),
        r"\mathrm{{hardtanh}}({x})",
        "np.clip({x}, -1, 1)",
        "max(min(x, 1), -1)",
        definition="max(min(x, 1), -1)",
        parity="odd",
        kinks=(-1.0, 1.0),
        bounds=(-1.0, 1.0),
        vanishes=True,
        at_most_linear=True,
    ),
    Function(
        "hardswish",
        _hardswish,
        ("min(max(x + 3, 0), 6) / 6 + x / 6 * step(x + 3) * step(3 - x)",),
        r"\mathrm{{hardswish}}({x})",
        "({x} * np.clip({x} + 3, 0, 6) / 6)",
        "x * min(max(x + 3, 0), 6) / 6",
        definition="x * min(max(x + 3, 0), 6) / 6",
        kinks=(-3.0, 3.0),
        bounds=(-0.375, inf),
        at_most_linear=True,
    ),
)
