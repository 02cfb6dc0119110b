"""The error function and the Gaussian bump."""

import numpy as np

from nexort.activations import Array, Function, KnownExpectations


def _erf(x: Array) -> Array:
    from scipy.special import erf

    value: Array = erf(x)
    return value


def _gauss(x: Array) -> Array:
    value: Array = np.exp(-0.5 * np.square(x))
    return value


FUNCTIONS = (
    Function(
        "erf",
        _erf,
        ("2 / sqrt(pi) * exp(-x^2)",),
        r"\mathrm{{erf}}({x})",
        "special.erf({x})",
        "2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x",
        parity="odd",
        bounds=(-1.0, 1.0),
        vanishes=True,
        at_most_linear=True,
    ),
    Function(
        "gauss",
        _gauss,
        ("-x * gauss(x)",),
        r"e^{{-({x})^2 / 2}}",
        "np.exp(-0.5 * {x}**2)",
        "exp(-x^2 / 2)",
        parity="even",
        bounds=(0.0, 1.0),
    ),
)

_WILLIAMS = "Williams, Computing with infinite networks, 1997"

EXPECTATIONS = (
    KnownExpectations("erf", citation=_WILLIAMS),
    KnownExpectations("gauss", "exp(-0.5 * (x * x))", _WILLIAMS),
)
