"""The larger and the smaller of two numbers."""

import numpy as np

from nexort.activations import Function, KnownExpectations

FUNCTIONS = (
    Function(
        "max",
        np.maximum,
        ("step(x - y)", "step(y - x)"),
        r"\max({x}, {y})",
        "np.maximum({x}, {y})",
        "the larger",
    ),
    Function(
        "min",
        np.minimum,
        ("step(y - x)", "step(x - y)"),
        r"\min({x}, {y})",
        "np.minimum({x}, {y})",
        "the smaller",
    ),
)

EXPECTATIONS = (
    KnownExpectations("max", "0.5 * ((x + y) + abs(x - y))"),
    KnownExpectations("min", "0.5 * ((x + y) - abs(x - y))"),
)
