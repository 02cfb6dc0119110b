"""x / (1 + |x|)."""

import numpy as np

from nexort.activations import Array, Function


def _softsign(x: Array) -> Array:
    """The fraction reduced by 1 + |x|, also where that is infinite: sign(x) (1 - 1 / (1 + |x|))
    would cancel near 0."""
    size = np.minimum(np.absolute(x), np.finfo(x.dtype).max)
    value: Array = np.copysign(size / (1 + size), x)
    return value


FUNCTIONS = (
    Function(
        "softsign",
        _softsign,
        ("1 / (1 + abs(x))^2",),
        r"\mathrm{{softsign}}({x})",
        "({x} / (1 + np.abs({x})))",
        "x / (1 + |x|)",
        definition="x / (1 + abs(x))",
        parity="odd",
        kinks=(0.0,),
        bounds=(-1.0, 1.0),
        vanishes=True,
        at_most_linear=True,
    ),
)
