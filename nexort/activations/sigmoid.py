"""The logistic function and what is made of it, without overflow for any x."""

from math import inf

import numpy as np

from nexort.activations import Array, Function


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


FUNCTIONS = (
    Function(
        "sigmoid",
        _sigmoid,
        ("sigmoid(x) * sigmoid(-x)",),
        r"\mathrm{{sigmoid}}({x})",
        "special.expit({x})",
        "1 / (1 + exp(-x))",
        bounds=(0.0, 1.0),
    ),
    Function(
        "softplus",
        _softplus,
        ("sigmoid(x)",),
        r"\mathrm{{softplus}}({x})",
        "np.logaddexp({x}, 0)",
        "log(1 + exp(x))",
        bounds=(0.0, inf),
    ),
    Function(
        "silu",
        _silu,
        ("sigmoid(x) + x * sigmoid(x) * sigmoid(-x)",),
        r"\mathrm{{silu}}({x})",
        "({x} * special.expit({x}))",
        "x * sigmoid(x)",
        bounds=(-0.27846454276107379, inf),
        vanishes=True,
        at_most_linear=True,
    ),
)
