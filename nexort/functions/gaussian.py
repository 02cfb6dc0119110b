"""Functions made of the Gaussian density."""

import numpy as np

from nexort.functions import Array, Function


def _erf(x: Array) -> Array:
    from scipy.special import erf

    value: Array = erf(x)
    return value


def _gelu(x: Array) -> Array:
    """x Phi(x); below -100 Phi is 0, and the bound keeps out infinity times 0."""
    from scipy.special import ndtr

    value: Array = np.maximum(x, -100) * ndtr(x)
    return value


def _gauss(x: Array) -> Array:
    value: Array = np.exp(-0.5 * np.square(x))
    return value


ENTRIES = (
    Function(
        "erf",
        _erf,
        ("2 / sqrt(pi) * exp(-x^2)",),
        r"\mathrm{{erf}}({x})",
        "2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x",
        "odd",
    ),
    Function(
        "gelu",
        _gelu,
        ("(1 + erf(x / sqrt(2))) / 2 + x * gauss(x) / sqrt(2 * pi)",),
        r"\mathrm{{gelu}}({x})",
        "x * (1 + erf(x / sqrt(2))) / 2",
    ),
    Function("gauss", _gauss, ("-x * gauss(x)",), r"e^{{-({x})^2 / 2}}", "exp(-x^2 / 2)", "even"),
)
