"""The square and the square root."""

from math import inf

import numpy as np

from nexort.activations import Function, KnownExpectations

FUNCTIONS = (
    Function(
        "square",
        np.square,
        ("2 * x",),
        r"({x})^2",
        "np.square({x})",
        "x^2",
        parity="even",
        bounds=(0.0, inf),
        vanishes=True,
    ),
    Function(
        "sqrt",
        np.sqrt,
        ("1 / (2 * sqrt(x))",),
        r"\sqrt{{{x}}}",
        "np.sqrt({x})",
        "square root, of x >= 0",
        bounds=(0.0, inf),
        vanishes=True,
    ),
)

EXPECTATIONS = (
    KnownExpectations(
        "square",
        citation="Isserlis, On a formula for the product-moment coefficient, 1918",
    ),
)
