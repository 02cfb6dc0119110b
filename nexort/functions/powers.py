"""The square and the square root."""

import numpy as np

from nexort.functions import Function

ENTRIES = (
    Function("square", np.square, ("2 * x",), r"({x})^2", "x^2", "even"),
    Function("sqrt", np.sqrt, ("1 / (2 * sqrt(x))",), r"\sqrt{{{x}}}", "square root, of x >= 0"),
)
