"""Hyperbolic functions."""

from math import inf

import numpy as np

from nexort.activations import Function, KnownExpectations

FUNCTIONS = (
    Function(
        "tanh",
        np.tanh,
        ("1 - tanh(x)^2",),
        r"\tanh({x})",
        "np.tanh({x})",
        "hyperbolic tangent",
        parity="odd",
        bounds=(-1.0, 1.0),
        vanishes=True,
        at_most_linear=True,
    ),
    Function(
        "sinh",
        np.sinh,
        ("cosh(x)",),
        r"\sinh({x})",
        "np.sinh({x})",
        "hyperbolic sine",
        parity="odd",
        vanishes=True,
    ),
    Function(
        "cosh",
        np.cosh,
        ("sinh(x)",),
        r"\cosh({x})",
        "np.cosh({x})",
        "hyperbolic cosine",
        parity="even",
        bounds=(1.0, inf),
    ),
)

EXPECTATIONS = (
    KnownExpectations("sinh", "0.5 * (exp(x) - exp(-x))", "the Gaussian integral"),
    KnownExpectations("cosh", "0.5 * (exp(x) + exp(-x))", "the Gaussian integral"),
)
