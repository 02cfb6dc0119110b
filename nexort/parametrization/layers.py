"""Weights as the conditions of a parametrization see them, and tables of exponents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from nexort.program.network import Exponents
from nexort.program.parametrization import NAMED, Part, uniform

Array = np.ndarray[Any, Any]
HALF = Fraction(1, 2)

Normalization = Literal["none", "update", "clipping", "paper-clipping", "weight", "trust"]
"""What an update Q is divided by (2.10.2), theta a threshold that grows with n as |Q| does:
'update', its norm |Q|; 'clipping', max(1, |Q| / theta), which keeps its size; 'paper-clipping',
min(|Q|, theta); 'weight', the weight's current norm |w|; 'trust', |Q| / |w| (LARS, LAMB)."""

CLIPPED: Mapping[Normalization, str] = {
    "clipping": "Q min(1, clip / |Q|)",
    "paper-clipping": "Q / min(|Q|, clip)",
}
"""What clipping makes of an update."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One weight: ``part`` tells its shape and whether it is the readout; ``degree`` in which its
    update function is homogeneous (0: the gradient's size does not matter, d is ignored; 1: only
    c - d counts; None: neither); ``normalization`` shifts c (2.10.2)."""

    name: str
    part: Part
    degree: int | None = None
    normalization: Normalization = "none"

    @property
    def norm(self) -> Fraction:
        """e: the norm of a matrix of this part with entries of size 1 is n^e (Eq 2.55)."""
        return {"matrix": Fraction(1), "scalar": Fraction(0)}.get(self.part, HALF)

    @property
    def homogeneous(self) -> int | None:
        """The degree after normalization: divided by its norm, an update has degree 0; by a
        threshold, none."""
        if self.normalization in ("update", "trust") and self.degree is not None:
            return 0
        if self.normalization in ("clipping", "paper-clipping") and self.degree == 1:
            return None
        return self.degree

    @property
    def signs(self) -> bool:
        """Whether updates have size 1 however small gradients are."""
        normalized = self.normalization in ("update", "trust", "paper-clipping")
        return self.homogeneous == 0 or normalized

    def shift(self, b: Any, unit: Any = 1) -> Any:
        """What normalization adds to c in every condition (Def 2.10.6, 2.10.9)."""
        match self.normalization:
            case "none" | "clipping":
                return 0 * b
            case "weight":
                return self.norm * unit - b
            case "trust":
                return 0 * b + b
            case _:
                return self.norm * unit + 0 * b


@dataclass(frozen=True, slots=True)
class Table:
    """A parametrization: the exponents of every layer, in order, and a_out (Def 2.9.7)."""

    layers: tuple[Layer, ...]
    exponents: tuple[Exponents, ...]
    out: Fraction = Fraction(0)

    @property
    def array(self) -> Array:
        """The exponents as an array of rationals, shape (1, layers, 4)."""
        rows = [[e.a, e.b, e.c, e.d] for e in self.exponents]
        found = np.empty((1, len(rows), 4), dtype=object)
        for k, row in enumerate(rows):
            found[0, k] = row
        return found


def perceptron(
    depth: int, degree: int | None = None, normalization: Normalization = "none"
) -> tuple[Layer, ...]:
    """The layers of a perceptron with ``depth`` hidden layers, 1 to depth + 1 (Eq 2.3)."""
    parts: list[Part] = ["vector", *["matrix"] * (depth - 1), "readout"]  # type: ignore[list-item]
    return tuple(Layer(str(k + 1), part, degree, normalization) for k, part in enumerate(parts))


def named_table(name: str, layers: Sequence[Layer], s: Fraction | None = None) -> Table:
    """``mup``, ``ntp``, ``sp`` or ``ups`` (with s) of a perceptron's layers, a_out in the readout's
    own a; normalization makes the learning rates larger (Def 2.10.4, 2.10.5, 2.10.9)."""
    parts, out = uniform(s) if s is not None else NAMED[name]()
    found = []
    for layer in layers:
        e = parts[layer.part]
        a = e.a + out if layer.part == "readout" else e.a
        found.append(Exponents(a, e.b, e.c - layer.shift(e.b), e.d))
    return Table(tuple(layers), tuple(found))
