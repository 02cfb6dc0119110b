"""The larger and the smaller of two numbers."""

import numpy as np

from nexort.functions import Function

ENTRIES = (
    Function("max", np.maximum, ("step(x - y)", "step(y - x)"), r"\max({x}, {y})", "the larger"),
    Function("min", np.minimum, ("step(y - x)", "step(x - y)"), r"\min({x}, {y})", "the smaller"),
)
