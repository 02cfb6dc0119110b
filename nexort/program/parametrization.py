"""abcd-parametrizations by name, for any architecture (Def 2.2.1, 2.9.7, 2.9.11, 2.9.12).

A weight's part tells its exponents: matrices, vectors and scalars; SP and UP_s also tell the
readout, a vector that stands in the network's output itself. The readout's a_{L+1} of the paper's
tables for perceptrons is a_out plus its own a.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Literal

from nexort.program.network import Exponents, Network
from nexort.program.nodes import Op, walk

Part = Literal["matrix", "vector", "scalar", "readout"]
HALF = Fraction(1, 2)


def exponents(
    a: Fraction | int, b: Fraction | int, c: Fraction | int, d: Fraction | int
) -> Exponents:
    """(a, b, c, d) as exact rationals."""
    return Exponents(Fraction(a), Fraction(b), Fraction(c), Fraction(d))


_NONE = exponents(0, 0, 0, 0)

Table = tuple[dict[Part, Exponents], Fraction]
"""Exponents by part, and a_out."""


def _mup() -> Table:
    """Maximal update (Def 2.9.12)."""
    vector = exponents(0, 0, 0, 1)
    matrix = exponents(0, HALF, 1, 1)
    return {"matrix": matrix, "vector": vector, "readout": vector, "scalar": _NONE}, Fraction(1)


def _ntp() -> Table:
    """Neural tangent (Def 2.9.11)."""
    vector = exponents(0, 0, HALF, HALF)
    matrix = exponents(HALF, 0, 1, 1)
    return {"matrix": matrix, "vector": vector, "readout": vector, "scalar": _NONE}, HALF


def _sp() -> Table:
    """Standard (Ex 2.2.2)."""
    hidden = exponents(0, HALF, 0, 0)
    return {"matrix": hidden, "vector": _NONE, "readout": hidden, "scalar": _NONE}, Fraction(0)


def uniform(s: Fraction) -> Table:
    """UP_s (Rem 2.8.25): r_l = s for l <= L, r_{L+1} = 0, a_{L+1} + b_{L+1} = 1 - s. UP_0 is the
    maximal update parametrization, UP_1/2 the neural tangent one up to Prop 2.2.3."""
    vector = exponents(0, 0, s, 1 - s)
    matrix = exponents(0, HALF, 1 + s, 1 - s)
    return {"matrix": matrix, "vector": vector, "readout": vector, "scalar": _NONE}, 1 - s


NAMED: dict[str, Callable[[], Table]] = {"mup": _mup, "ntp": _ntp, "sp": _sp}


def readouts(network: Network) -> frozenset[str]:
    """The vector weights that stand in the output itself, not in a ket it reads."""
    leaves = {x.attr[0] for x in walk([network.output]) if x.op is Op.INIT_VECTOR}
    return frozenset(name for name in network.weights if name in leaves)


def part(network: Network, name: str) -> Part:
    """Which part of a parametrization a weight is."""
    if name in readouts(network):
        return "readout"
    return network.weights[name].kind
