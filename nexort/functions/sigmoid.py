"""The logistic function and what is made of it, without overflow for any x."""

import numpy as np

from nexort.functions import Array, Function


def _sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), the fraction expanded by exp(x) for x < 0."""
    value: Array = np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.absolute(x)))
    return value


def _softplus(x: Array) -> Array:
    value: Array = np.logaddexp(x, 0)
    return value


def _silu(x: Array) -> Array:
    """x sigmoid(x); below -1000 the sigmoid is 0, and the bound keeps out infinity times 0."""
    value: Array = np.maximum(x, -1000) * _sigmoid(x)
    return value


ENTRIES = (
    Function(
        "sigmoid",
        _sigmoid,
        ("sigmoid(x) * sigmoid(-x)",),
        r"\mathrm{{sigmoid}}({x})",
        "1 / (1 + exp(-x))",
    ),
    Function(
        "softplus", _softplus, ("sigmoid(x)",), r"\mathrm{{softplus}}({x})", "log(1 + exp(x))"
    ),
    Function(
        "silu",
        _silu,
        ("sigmoid(x) + x * sigmoid(x) * sigmoid(-x)",),
        r"\mathrm{{silu}}({x})",
        "x * sigmoid(x)",
    ),
)
