"""max(x, 0) and its leaky form."""

from math import inf

import numpy as np

from nexort.activations import Array, Function, KnownExpectations


def _relu(x: Array) -> Array:
    value: Array = np.maximum(x, 0)
    return value


def _leaky_relu(x: Array, a: Array) -> Array:
    value: Array = np.maximum(x, 0) + a * np.minimum(x, 0)
    return value


FUNCTIONS = (
    Function(
        "relu",
        _relu,
        ("step(x)",),
        r"\mathrm{{relu}}({x})",
        "np.maximum({x}, 0)",
        "max(x, 0)",
        kinks=(0.0,),
        degree=1,
        bounds=(0.0, inf),
        vanishes=True,
        at_most_linear=True,
    ),
    Function(
        "leaky_relu",
        _leaky_relu,
        ("step(x) + y * step(-x)", "min(x, 0)"),
        r"\mathrm{{relu}}_{{{y}}}({x})",
        "(np.maximum({x}, 0) + {y} * np.minimum({x}, 0))",
        "x for x > 0, a * x for x < 0; the slope a is the second argument",
        kinks=(0.0,),
        degree=1,
        vanishes=True,
        at_most_linear=True,
    ),
)

EXPECTATIONS = (
    KnownExpectations(
        "relu",
        "0.5 * (x + abs(x))",
        "Cho and Saul, Kernel methods for deep learning, 2009",
    ),
    KnownExpectations(
        "leaky_relu",
        "relu(x) + y * (x - relu(x))",
        "Tsuchida et al., Invariance of weight distributions in rectified MLPs, 2018",
        "y * c + (1 - y)^2 * (sqrt(p * q - c^2) + c * (pi - arccos(c / sqrt(p * q)))) / (2 * pi)",
    ),
)
