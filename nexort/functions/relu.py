"""max(x, 0) and its leaky form."""

import numpy as np

from nexort.functions import Array, Function


def _relu(x: Array) -> Array:
    value: Array = np.maximum(x, 0)
    return value


def _leaky_relu(x: Array, a: Array) -> Array:
    value: Array = np.maximum(x, 0) + a * np.minimum(x, 0)
    return value


ENTRIES = (
    Function("relu", _relu, ("step(x)",), r"\mathrm{{relu}}({x})", "max(x, 0)"),
    Function(
        "leaky_relu",
        _leaky_relu,
        ("step(x) + y * step(-x)", "min(x, 0)"),
        r"\mathrm{{relu}}_{{{y}}}({x})",
        "x for x > 0, a * x for x < 0; the slope a is the second argument",
    ),
)
