"""Hyperbolic functions."""

import numpy as np

from nexort.functions import Function

ENTRIES = (
    Function("tanh", np.tanh, ("1 - tanh(x)^2",), r"\tanh({x})", "hyperbolic tangent", "odd"),
    Function("sinh", np.sinh, ("cosh(x)",), r"\sinh({x})", "hyperbolic sine", "odd"),
    Function("cosh", np.cosh, ("sinh(x)",), r"\cosh({x})", "hyperbolic cosine", "even"),
)
