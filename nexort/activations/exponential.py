"""The exponential and the logarithm."""

from math import inf

import numpy as np

from nexort.activations import Function, KnownExpectations

FUNCTIONS = (
    Function(
        "exp",
        np.exp,
        ("exp(x)",),
        r"e^{{{x}}}",
        "np.exp({x})",
        "exponential",
        bounds=(0.0, inf),
    ),
    Function(
        "log",
        np.log,
        ("1 / x",),
        r"\log({x})",
        "np.log({x})",
        "natural logarithm, of x > 0",
    ),
)

EXPECTATIONS = (KnownExpectations("exp", citation="the Gaussian integral"),)
