"""The Gaussian error linear unit."""

from math import inf

import numpy as np

from nexort.activations import Array, Expectations, Function


def _gelu(x: Array) -> Array:
    """x Phi(x); below -100 Phi is 0, and the bound keeps out infinity times 0."""
    from scipy.special import ndtr

    value: Array = np.maximum(x, -100) * ndtr(x)
    return value


FUNCTIONS = (
    Function(
        "gelu",
        _gelu,
        ("(1 + erf(x / sqrt(2))) / 2 + x * gauss(x) / sqrt(2 * pi)",),
        r"\mathrm{{gelu}}({x})",
        "({x} * special.ndtr({x}))",
        "x * (1 + erf(x / sqrt(2))) / 2",
        bounds=(-0.16997120747990369, inf),
        vanishes=True,
        at_most_linear=True,
    ),
)

EXPECTATIONS = (
    Expectations(
        "gelu",
        "x * (0.5 * (1 + erf(sqrt(0.5) * x)))",
        "Tsuchida et al., Avoiding kernel fixed points: computing with ELU and GELU, 2021",
        "c / 4 + c * arcsin(c / sqrt((1 + p) * (1 + q))) / (2 * pi)"
        " + (p * q + c^2 * (1 / (1 + p) + 1 / (1 + q) - 1))"
        " / (2 * pi * sqrt((1 + p) * (1 + q) - c^2))",
        "1 / 4 + (arcsin(c / sqrt((1 + p) * (1 + q)))"
        " + c * (1 / (1 + p) + 1 / (1 + q) + 1 / ((1 + p) * (1 + q) - c^2))"
        " / sqrt((1 + p) * (1 + q) - c^2)) / (2 * pi)",
    ),
)
