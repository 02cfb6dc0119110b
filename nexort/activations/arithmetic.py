"""The arithmetic that operators stand for: ``+ - * / ^`` and unary minus."""

import numpy as np

from nexort.activations import Function

FUNCTIONS = (
    Function("add", np.add, ("1", "1"), "{x} + {y}", "({x} + {y})", "x + y"),
    Function("sub", np.subtract, ("1", "-1"), "{x} - {y}", "({x} - {y})", "x - y"),
    Function("mul", np.multiply, ("y", "x"), r"{x} {y}", "({x} * {y})", "x * y"),
    Function(
        "div",
        np.divide,
        ("1 / y", "-x / y^2"),
        r"\frac{{{x}}}{{{y}}}",
        "({x} / {y})",
        "x / y",
    ),
    Function("neg", np.negative, ("-1",), "-{x}", "(-{x})", "-x", parity="odd", vanishes=True),
    Function(
        "pow",
        np.power,
        ("y * x^(y - 1)", "log(x) * x^y"),
        "{x}^{{{y}}}",
        "np.power({x}, {y})",
        "x ^ y",
    ),
)
