"""The exponential linear unit."""

import numpy as np

from nexort.functions import Array, Function


def _elu(x: Array) -> Array:
    value: Array = np.maximum(x, 0) + np.expm1(np.minimum(x, 0))
    return value


ENTRIES = (
    Function(
        "elu",
        _elu,
        ("step(x) + step(-x) * exp(min(x, 0))",),
        r"\mathrm{{elu}}({x})",
        "x for x > 0, exp(x) - 1 for x < 0",
    ),
)
