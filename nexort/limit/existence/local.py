"""How a function of one variable behaves near a point and far out, from its values there in many
digits.

Near p, |f(p + t)| ~ C t^alpha |log t|^beta is integrable where alpha > -1, or alpha = -1 and
beta < -1. Far out, log |f| ~ a z^2 + b z + c log z + d, it is where 2 a Var z < 1, and at
2 a Var z = 1 where b < 0, or b = 0 and c < -1.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

from mpmath import mp, mpf

from nexort.gaussian.precise import FEWEST, Undefined, logarithm
from nexort.gaussian.variable import SLOT
from nexort.limit.existence.verdict import Known
from nexort.program import build
from nexort.program.nodes import Node, Op, walk

STEPS = (20, 40, 80, 160)
"""Distances from a point, in digits."""

MULTIPLES = (50, 60, 75, 90, 110, 130, 160, 200, 240, 300, 400)
"""Distances far out, in standard deviations."""

NEAR_DIGITS = 1600
"""Nine orders of t may cancel at the closest point; what cancels less costs less."""

FAR_DIGITS = 800
ENOUGH = 0.01
FAST = 100.0
"""A wave's argument at the closest point that is looked at, where it is not bounded."""

STEEP = 1000.0
"""An exponent beyond this is no power."""


@dataclass(frozen=True, slots=True)
class Local:
    """On one side of a point: ``order`` is alpha (inf of what is 0 there)."""

    known: Known
    order: float


def behaviour_near(node: Node, point: Any, side: int) -> Local:
    """The behaviour of f at a point, from one side; of what swings without end there only a bound
    is looked at."""
    if _swings(node, point, side):
        bound = without_waves(node)
        found = Local(Known.UNKNOWN, -math.inf)
        if not _swings(bound, point, side):
            found = behaviour_near(bound, point, side)
        return found if found.known is Known.EXISTS else Local(Known.UNKNOWN, -math.inf)
    with mp.workdps(NEAR_DIGITS):
        try:
            steps = [(k, point + side * mpf(10) ** -k) for k in STEPS]
            logs = [logarithm(node, {SLOT: z}, k + FEWEST) for k, z in steps]
        except Undefined:
            return Local(Known.UNKNOWN, -math.inf)
        if any(x is None for x in logs):
            return Local(Known.UNKNOWN, -math.inf)
        if all(x == mpf("-inf") for x in logs):
            return Local(Known.EXISTS, math.inf)
        if any(x == mpf("inf") for x in logs[1:]):
            return Local(Known.DIVERGES, -math.inf)
        if any(mp.isinf(x) for x in logs):
            return Local(Known.UNKNOWN, -math.inf)
        return _fitted(logs)


def _swings(node: Node, point: Any, side: int) -> bool:
    """Whether there are waves whose arguments are not bounded at a point."""
    waves = [x for x in walk([node]) if is_wave(x)]
    if not waves:
        return False
    with mp.workdps(NEAR_DIGITS):
        at = {SLOT: point + side * mpf(10) ** -STEPS[-1]}
        try:
            sizes = [logarithm(x.args[0], at, STEPS[-1] + FEWEST) for x in waves]
        except Undefined:
            return True
    return any(x is not None and x > math.log(FAST) for x in sizes)


def is_wave(node: Node) -> bool:
    """A sine or a cosine."""
    return node.op is Op.CALL and node.attr in ("sin", "cos")


def without_waves(node: Node) -> Node:
    """A bound on |f|, but for a constant: a product without its sines and cosines."""
    if is_wave(node):
        return build.constant(1)
    if node.op is Op.CALL and node.attr in ("mul", "neg", "abs", "square"):
        return build.call(str(node.attr), *map(without_waves, node.args))
    if node.op is Op.CALL and node.attr == "div":
        return build.call("div", without_waves(node.args[0]), node.args[1])
    powered = node.op is Op.CALL and node.attr == "pow" and node.args[1].op is Op.CONST
    if powered and node.args[1].attr > 0:
        return build.call("pow", without_waves(node.args[0]), node.args[1])
    return node


def _fitted(logs: list[Any]) -> Local:
    """alpha and beta from L = alpha log t + beta log|log t| + C at log t in the ratio 1:2:4:8."""
    unit = -STEPS[0] * mp.log(10)
    jumps = [b - a for a, b in itertools.pairwise(logs)]
    alpha = (jumps[2] - jumps[1]) / (2 * unit)
    beta = (jumps[1] - 2 * alpha * unit) / mp.log(2)
    slopes = [float(j / (k * unit)) for j, k in zip(jumps, (1, 2, 4), strict=True)]
    order = float(alpha)
    if min(slopes) < -STEEP or (slopes[2] < 2 * slopes[1] < -4):
        return Local(Known.DIVERGES, -math.inf)
    if slopes[2] > STEEP or slopes[2] > 2 * slopes[1] > 4:
        return Local(Known.EXISTS, math.inf)
    if abs(slopes[2] - slopes[1]) < 1e-12 and abs(slopes[1] - slopes[0]) < 1e-12:
        order = slopes[2]
        return Local(Known.EXISTS if order > -1 + 1e-12 else Known.DIVERGES, order)
    if abs(slopes[2] - slopes[0]) > 0.1:
        return Local(Known.UNKNOWN, order)
    if abs(order + 1) > 0.01:
        return Local(Known.EXISTS if order > -1 else Known.DIVERGES, order)
    if beta > -0.9:
        return Local(Known.DIVERGES, order)
    return Local(Known.EXISTS if beta < -1.1 else Known.UNKNOWN, order)


@dataclass(frozen=True, slots=True)
class Tail:
    """On one side far out: ``rate`` is a of log |f| ~ a z^2 (-inf where f is 0)."""

    known: Known
    rate: float


def far(
    node: Node, variance: float | None, side: int, beyond: float, *, waves: bool = False
) -> Tail:
    """The behaviour of f for z -> side oo, from values beyond ``beyond``; without a variance,
    only growth beyond all Gaussians is known. What has sines and cosines (``waves``) is only known
    up to their own size, and to diverge where it grows much faster."""
    q = mpf(1 if variance is None else variance)
    with mp.workdps(FAR_DIGITS):
        unit = max(mp.sqrt(q), mpf(beyond) / MULTIPLES[0])
        points = [m * unit for m in MULTIPLES]
        try:
            logs = [logarithm(node, {SLOT: side * z}) for z in points]
        except Undefined:
            return Tail(Known.UNKNOWN, math.inf)
        if any(x is None for x in logs):
            return Tail(Known.UNKNOWN, math.inf)
        if any(x == mpf("inf") for x in logs):
            return Tail(Known.DIVERGES, math.inf)
        if logs[-1] == mpf("-inf"):
            return Tail(Known.EXISTS, -math.inf)
        if any(mp.isinf(x) for x in logs):
            return Tail(Known.UNKNOWN, math.inf)
        if waves:
            return _envelope(points, logs, q)
        return _grown(points, logs, q, variance)


def _envelope(points: list[Any], logs: list[Any], q: Any) -> Tail:
    """The least squares fit of a z^2 + b z + c, which sines move by little over z^2."""
    rows = mp.matrix([[z * z, z, 1] for z in points])
    rate = float(mp.lu_solve(rows, mp.matrix(logs))[0])
    return Tail(Known.DIVERGES if 2 * rate * q > 1 + ENOUGH else Known.UNKNOWN, rate)


def _grown(points: list[Any], logs: list[Any], q: Any, variance: float | None) -> Tail:
    fits = [_fit(points[k : k + 10], logs[k : k + 10]) for k in range(2)]
    (a, b, c), (a2, b2, c2) = fits
    if abs(a - a2) > mpf("1e-6") * (1 + abs(a)):
        low, high = logs[5], logs[-1]  # a power z^p: p from a distance to one three times as far
        if low * high <= 0:
            return Tail(Known.EXISTS if high <= 0 else Known.UNKNOWN, 0.0)
        p = float(mp.log(high / low) / mp.log(points[-1] / points[5]))
        if high < 0:
            return Tail(Known.EXISTS, 0.0 if p < 1.9 else -math.inf)
        if p > 2.1:
            return Tail(Known.DIVERGES, math.inf)
        return Tail(Known.EXISTS if p < 1.9 else Known.UNKNOWN, 0.0 if p < 1.9 else math.inf)
    rate = float(a2)
    if variance is None:
        return Tail(Known.EXISTS if rate < 1e-9 else Known.UNKNOWN, rate)
    excess = 2 * a2 * q - 1
    if abs(excess) > mpf("1e-9"):
        return Tail(Known.EXISTS if excess < 0 else Known.DIVERGES, rate)
    if abs(excess) > mpf("1e-12") or abs(b - b2) > mpf("1e-4") * (1 + abs(b)):
        return Tail(Known.UNKNOWN, rate)
    if abs(b2) > mpf("1e-4"):
        return Tail(Known.EXISTS if b2 < 0 else Known.DIVERGES, rate)
    if abs(c2 - c) > mpf("1e-2") or abs(c2 + 1) < mpf("1e-2"):
        return Tail(Known.DIVERGES if abs(c2 + 1) < mpf("1e-4") else Known.UNKNOWN, rate)
    return Tail(Known.EXISTS if c2 < -1 else Known.DIVERGES, rate)


def _fit(points: list[Any], logs: list[Any]) -> tuple[Any, Any, Any]:
    """a, b, c of a z^2 + b z + c log z + d + e / z + ... through ten values."""
    rows = [[z * z, z, mp.log(z), *(z**-k for k in range(7))] for z in points]
    found = mp.lu_solve(mp.matrix(rows), mp.matrix(logs))
    return found[0], found[1], found[2]
