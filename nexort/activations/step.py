"""Functions of the sign of x."""

from math import inf

import numpy as np

from nexort.activations import Array, Function, KnownExpectations


def _step(x: Array) -> Array:
    # numpy's heaviside(x, 0.5), which takes eight times as long
    value: Array = np.sign(x)
    value += 1
    value *= 0.5
    return value


FUNCTIONS = (
    Function(
        "step",
        _step,
        ("0",),
        r"\mathbb{{1}}({x} > 0)",
        "np.heaviside({x}, 0.5)",
        "1 for x > 0, 0 for x < 0, 1/2 at 0",
        kinks=(0.0,),
        jumps=True,
        degree=0,
        bounds=(0.0, 1.0),
        vanishes=True,
    ),
    Function(
        "sign",
        np.sign,
        ("0",),
        r"\mathrm{{sign}}({x})",
        "np.sign({x})",
        "1, -1 or 0 by the sign of x",
        parity="odd",
        kinks=(0.0,),
        jumps=True,
        degree=0,
        bounds=(-1.0, 1.0),
        vanishes=True,
    ),
    Function(
        "abs",
        np.absolute,
        ("sign(x)",),
        r"\left|{x}\right|",
        "np.abs({x})",
        "absolute value",
        parity="even",
        kinks=(0.0,),
        degree=1,
        bounds=(0.0, inf),
        vanishes=True,
    ),
)

_CHO = "Cho and Saul, Kernel methods for deep learning, 2009"
_SHEPPARD = "Sheppard, On the application of the theory of error, 1899"

EXPECTATIONS = (
    KnownExpectations("step", "0.5 * (1 + sign(x))", _CHO),
    KnownExpectations("sign", citation=_SHEPPARD),
    KnownExpectations("abs", citation=_CHO),
)
