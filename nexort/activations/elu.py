"""Exponential linear units (Clevert et al. 2016; Klambauer et al. 2017; Barron 2017)."""

from math import inf

import numpy as np

from nexort.activations import Array, Function


def _elu(x: Array) -> Array:
    value: Array = np.maximum(x, 0) + np.expm1(np.minimum(x, 0))
    return value


def _selu(x: Array) -> Array:
    value: Array = SCALE * np.maximum(x, 0) + DEPTH * np.expm1(np.minimum(x, 0))
    return value


def _celu(x: Array, a: Array) -> Array:
    value: Array = np.maximum(x, 0) + a * np.expm1(np.minimum(x, 0) / a)
    return value


SCALE, DEPTH = 1.0507009873554805, 1.7580993408473768
"""lambda and lambda alpha of Klambauer et al., Self-normalizing neural networks, 2017."""


FUNCTIONS = (
    Function(
        "elu",
        _elu,
        ("step(x) + step(-x) * exp(min(x, 0))",),
        r"\mathrm{{elu}}({x})",
        "(np.maximum({x}, 0) + np.expm1(np.minimum({x}, 0)))",
        "x for x > 0, exp(x) - 1 for x < 0",
        kinks=(0.0,),
        bounds=(-1.0, inf),
        vanishes=True,
        at_most_linear=True,
    ),
    Function(
        "selu",
        _selu,
        (f"{SCALE} * step(x) + {DEPTH} * step(-x) * exp(min(x, 0))",),
        r"\mathrm{{selu}}({x})",
        f"({SCALE} * np.maximum({{x}}, 0) + {DEPTH} * np.expm1(np.minimum({{x}}, 0)))",
        f"{SCALE:.6g} * x for x > 0, {DEPTH:.6g} * (exp(x) - 1) for x < 0",
        definition=f"{SCALE} * max(x, 0) + {DEPTH} * elu(min(x, 0))",
        kinks=(0.0,),
        bounds=(-DEPTH, inf),
        vanishes=True,
        at_most_linear=True,
    ),
    Function(
        "celu",
        _celu,
        (
            "step(x) + step(-x) * exp(min(x, 0) / y)",
            "elu(min(x, 0) / y) - min(x, 0) / y * exp(min(x, 0) / y)",
        ),
        r"\mathrm{{celu}}_{{{y}}}({x})",
        "(np.maximum({x}, 0) + {y} * np.expm1(np.minimum({x}, 0) / {y}))",
        "x for x > 0, a * (exp(x / a) - 1) for x < 0; a > 0 is the second argument",
        definition="max(x, 0) + y * elu(min(x, 0) / y)",
        kinks=(0.0,),
        vanishes=True,
        at_most_linear=True,
    ),
)
