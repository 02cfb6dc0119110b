"""Sine, cosine and the inverse tangent."""

from math import pi

import numpy as np

from nexort.activations import Function, KnownExpectations

FUNCTIONS = (
    Function(
        "sin",
        np.sin,
        ("cos(x)",),
        r"\sin({x})",
        "np.sin({x})",
        "sine",
        parity="odd",
        bounds=(-1.0, 1.0),
        at_most_linear=True,
    ),
    Function(
        "cos",
        np.cos,
        ("-sin(x)",),
        r"\cos({x})",
        "np.cos({x})",
        "cosine",
        parity="even",
        bounds=(-1.0, 1.0),
    ),
    Function(
        "arctan",
        np.arctan,
        ("1 / (1 + x^2)",),
        r"\arctan({x})",
        "np.arctan({x})",
        "inverse tangent",
        parity="odd",
        bounds=(-pi / 2, pi / 2),
        vanishes=True,
        at_most_linear=True,
    ),
)

_RAHIMI = "Rahimi and Recht, Random features for large-scale kernel machines, 2007"

EXPECTATIONS = (
    KnownExpectations("sin", citation=_RAHIMI),
    KnownExpectations("cos", citation=_RAHIMI),
)
