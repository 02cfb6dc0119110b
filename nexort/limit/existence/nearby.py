"""Numbers in a graph that are only known up to errors.

The strength of a pole may cancel, in exact numbers, while in rounded ones it does not, or does by
chance. A verdict has to hold for other numbers within their errors too, and a divergence has to be
seen at distances that are far above errors.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from mpmath import mp, mpf

from nexort.gaussian.precise import Undefined, logarithm
from nexort.gaussian.variable import SLOT
from nexort.program import build
from nexort.program.nodes import Node, Op, rewrite, walk
from nexort.program.roundings import UNIT, has_error

DISTANCES = (1e-4, 1e-5)
STEEP = -0.5
"""The order that functions are seen to have there."""

LEAST = 16 * UNIT
"""What numbers move by at least, as a part."""


def is_uncertain(node: Node) -> bool:
    """Whether a graph has a number that is only known up to its error."""
    return any(x.op is Op.CONST and has_error(x.attr) for x in walk([node]))


def at_error_ends(node: Node, way: int) -> Node:
    """The graph with numbers at the ends of their errors, one of two opposite choices of these."""
    rng = np.random.default_rng(5)

    def rule(x: Node) -> Node:
        if x.op is not Op.CONST or not has_error(x.attr):
            return x
        c = float(x.attr)
        step = max(x.attr.error, LEAST * abs(c), 1e-300)
        return build.constant(c + way * step * float(rng.uniform(0.9, 1.1) * rng.choice([-1, 1])))

    return rewrite([node], rule)[node]


def is_seen(node: Node, point: Any, side: int) -> bool:
    """Whether a function that is singular at a point is so for all numbers within their errors."""
    if not is_uncertain(node):
        return True
    unit = 1 + abs(float(point))
    with mp.workdps(60):
        try:
            logs = [logarithm(node, {SLOT: point + side * mpf(d * unit)}) for d in DISTANCES]
        except Undefined:
            return False
    if any(x is None or mp.isinf(x) for x in logs):
        return False
    far, near = map(float, logs)
    return (far - near) / math.log(DISTANCES[0] / DISTANCES[1]) < STEEP
