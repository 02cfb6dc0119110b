"""Sine, cosine and the inverse tangent."""

import numpy as np

from nexort.functions import Function

ENTRIES = (
    Function("sin", np.sin, ("cos(x)",), r"\sin({x})", "sine", "odd"),
    Function("cos", np.cos, ("-sin(x)",), r"\cos({x})", "cosine", "even"),
    Function("arctan", np.arctan, ("1 / (1 + x^2)",), r"\arctan({x})", "inverse tangent", "odd"),
)
