"""Exponential linear units."""

from math import inf

import numpy as np

from nexort.activations import Array, Function


def _elu(x: Array) -> Array:
    value: Array = np.maximum(x, 0) + np.expm1(np.minimum(x, 0))
    return value


FUNCTIONS = (
    Function(
        "elu",
        _elu,
        ("step(x) + step(-x) * exp(min(x, 0))",),
        r"\mathrm{{elu}}({x})",
        "(np.maximum({x}, 0) + np.expm1(np.minimum({x}, 0)))",
        "x for x > 0, exp(x) - 1 for x < 0",
        kinks=(0.0,),
        bounds=(-1.0, inf),
        vanishes=True,
        at_most_linear=True,
    ),
)
