"""The exponential and the logarithm."""

import numpy as np

from nexort.functions import Function

ENTRIES = (
    Function("exp", np.exp, ("exp(x)",), r"e^{{{x}}}", "exponential"),
    Function("log", np.log, ("1 / x",), r"\log({x})", "natural logarithm, of x > 0"),
)
