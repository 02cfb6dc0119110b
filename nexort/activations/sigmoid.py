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


def _mish(x: Array) -> Array:
    """x tanh(softplus(x)), bounded likewise."""
    value: Array = np.maximum(x, -1000) * np.tanh(_softplus(x))
    return value


def _quick_gelu(x: Array) -> Array:
    """x sigmoid(1.702 x), bounded likewise."""
    value: Array = np.maximum(x, -1000) * _sigmoid(1.702 * x)
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
    Function(
        "swish",
        _silu,
        ("sigmoid(x) + x * sigmoid(x) * sigmoid(-x)",),
        r"\mathrm{{swish}}({x})",
        "({x} * special.expit({x}))",
        "silu(x), by its other name",
        definition="silu(x)",
        bounds=(-0.27846454276107379, inf),
        vanishes=True,
        at_most_linear=True,
    ),
    Function(
        "mish",
        _mish,
        ("tanh(softplus(x)) + x * (1 - tanh(softplus(x))^2) * sigmoid(x)",),
        r"\mathrm{{mish}}({x})",
        "({x} * np.tanh(np.logaddexp({x}, 0)))",
        "x * tanh(softplus(x))",
        definition="x * tanh(softplus(x))",
        bounds=(-0.3088434130172504, inf),
        vanishes=True,
        at_most_linear=True,
    ),
    Function(
        "quick_gelu",
        _quick_gelu,
        ("sigmoid(1.702 * x) + 1.702 * x * sigmoid(1.702 * x) * sigmoid(-1.702 * x)",),
        r"\mathrm{{quick\_gelu}}({x})",
        "({x} * special.expit(1.702 * {x}))",
        "x * sigmoid(1.702 * x)",
        definition="x * sigmoid(1.702 * x)",
        bounds=(-0.16361018963635358, inf),
        vanishes=True,
        at_most_linear=True,
    ),
)
