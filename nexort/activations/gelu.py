"""The Gaussian error linear unit (Hendrycks and Gimpel 2016) and its approximation by tanh."""

from math import inf

import numpy as np

from nexort.activations import Array, Function, KnownExpectations


def _gelu(x: Array) -> Array:
    """x Phi(x); below -100 Phi is 0, and the bound keeps out infinity times 0."""
    from scipy.special import ndtr

    value: Array = np.maximum(x, -100) * ndtr(x)
    return value


def _gelu_tanh(x: Array) -> Array:
    """x (1 + tanh(w / 2)) / 2 = x / (1 + exp(-w)), bounded likewise."""
    x = np.maximum(x, -100)
    with np.errstate(over="ignore"):
        w = RATE * (x + 0.044715 * (x * x * x))
        value: Array = x / (1 + np.exp(-w))
    return value


RATE = 1.5957691216057308
"""2 (2 / pi)^(1/2)"""

_W = f"({RATE} * (x + 0.044715 * x^3))"

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
    Function(
        "gelu_tanh",
        _gelu_tanh,
        (f"sigmoid({_W}) + {RATE} * x * (1 + 0.134145 * x^2) * sigmoid({_W}) * sigmoid(-{_W})",),
        r"\mathrm{{gelu\_tanh}}({x})",
        f"({{x}} * special.expit({RATE} * ({{x}} + 0.044715 * {{x}}**3)))",
        "x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))) / 2, an approximation of gelu",
        definition=f"x * sigmoid({_W})",
        bounds=(-0.17004075057125412, inf),
        vanishes=True,
        at_most_linear=True,
    ),
)

EXPECTATIONS = (
    KnownExpectations(
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
