"""Functions of one Gaussian ket: what the engine asks ``nexort.gaussian`` about them."""

from __future__ import annotations

from functools import cache

import numpy as np

from nexort.gaussian.univariate import Univariate
from nexort.program.nodes import Node

STEP = 1e-7
"""How far on both sides of a kink the function is compared."""


@cache
def univariate(graph: Node) -> Univariate:
    """The function with this graph over SLOT."""
    return Univariate.of(graph)


@cache
def derivative_graph(graph: Node) -> Node:
    """The graph of the derivative, almost everywhere."""
    return univariate(graph).derivative().node


@cache
def has_jumps(graph: Node) -> bool:
    """Whether the function is discontinuous somewhere."""
    f = univariate(graph)
    for kink in f.kinks:
        at = STEP * max(1.0, abs(kink))
        with np.errstate(all="ignore"):
            # a continuous function changes by half as much over half the distance
            far, near = (f(np.array([kink - h, kink + h])) for h in (at, at / 2))
            step, half = abs(far[1] - far[0]), abs(near[1] - near[0])
        if not half <= 0.75 * step + 1e-12:
            return True
    return False
