"""Whether E f(z) exists for a function of one Gaussian variable."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from mpmath import mp, mpf

from nexort.gaussian.precise import Undefined, logarithm
from nexort.gaussian.variable import SLOT
from nexort.limit.existence.local import Local, behaviour_near, far, is_wave, without_waves
from nexort.limit.existence.nearby import is_seen, is_uncertain
from nexort.limit.existence.ranges import VARIABLE, NotShown, ValueRange, bounds
from nexort.limit.existence.verdict import (
    EXISTS,
    UNKNOWN,
    Existence,
    Known,
    diverges,
    undefined_expectation,
)
from nexort.limit.existence.zeros import (
    DIGITS,
    MOST,
    crossings,
    distinct_points,
    singular_arguments,
    zeros,
)
from nexort.program.nodes import Node, Op, walk

NARROW = 1e-6
"""Intervals that errors of numbers may make."""


@dataclass(frozen=True)
class Profile:
    """Whether E f(z) exists, the singular points of f with their orders (the lower of both sides),
    and the rates a of log |f| ~ a z^2 at both ends, or bounds on them."""

    verdict: Existence
    points: tuple[tuple[float, float], ...] = ()
    rates: tuple[float, float] = (0.0, 0.0)
    exact: bool = True
    """Whether the orders are known."""


def exists_on_line(node: Node, variance: float | None) -> Existence:
    """Whether E f(z) exists, z ~ N(0, variance); None for a positive variance that is not known."""
    if variance == 0 or SLOT not in walk([node]):
        with mp.workdps(50):
            try:
                logarithm(node, {SLOT: mpf(0)})
            except Undefined as problem:
                return undefined_expectation(str(problem), always=True)
        return EXISTS
    return profile(node, variance).verdict


@lru_cache(4096)
def profile(node: Node, variance: float | None) -> Profile:
    """The profile of a graph over SLOT."""
    try:
        if bounds(node, {SLOT: VARIABLE}).tame:
            return Profile(EXISTS)
    except NotShown:
        pass
    points, complete = _points(node)
    problem = _undefined(node, points, variance)
    if problem is None and bounds(node, {SLOT: VARIABLE}, almost=True).tame:
        return Profile(EXISTS)
    if problem is not None:
        return Profile(undefined_expectation(problem), exact=False)
    orders = []
    for p in sorted(points, key=abs):
        sides = [behaviour_near(node, p, side) for side in (1, -1)]
        for way, side in zip((1, -1), sides, strict=True):
            if side.known is Known.DIVERGES:
                seen = is_seen(node, p, way)
                return Profile(diverges(_singular(p, side)) if seen else UNKNOWN, exact=False)
            complete = complete and side.known is Known.EXISTS
        orders.append((float(p), min(s.order for s in sides)))
    known, rates = _tails(node, variance, max((abs(float(p)) for p in points), default=0.0))
    if known is EXISTS and not complete:
        known = UNKNOWN
    return Profile(known, tuple(orders), rates, complete)


def _points(node: Node) -> tuple[tuple[Any, ...], bool]:
    """Where a function may be singular, and whether these are all."""
    found: list[Any] = []
    complete = True
    for argument in singular_arguments(node):
        points, all_found = zeros(argument)
        found += points
        complete = complete and all_found
    with mp.workdps(DIGITS):
        points = distinct_points([*found, *([] if complete else [mpf(0)])])
    return points[: MOST + 1], complete and len(points) <= MOST


def _undefined(node: Node, points: tuple[Any, ...], variance: float | None) -> str | None:
    """What the function is on an interval where it is not real or not finite."""
    ends = [float(p) for p in points]
    least = NARROW if is_uncertain(node) else 0.0
    inner = [
        a + (b - a) * s
        for a, b in itertools.pairwise(ends)
        if b - a > least * (1 + abs(a))
        for s in (0.29, 0.53)
    ]
    unit = math.sqrt(variance or 1.0)
    low, high = (min(ends), max(ends)) if ends else (0.0, 0.0)
    outer = [x for s in (0.37, 1.13, 2.9) for x in (low - s * unit, high + s * unit)]
    for z in [*inner, *outer]:
        with mp.workdps(50):
            try:
                logarithm(node, {SLOT: mpf(z)})
            except Undefined as problem:
                return str(problem)
    return None


def _singular(p: Any, side: Local) -> str:
    where = f"z = {float(p):.6g}"
    if math.isinf(side.order):
        return f"it grows faster than any power at {where}"
    size = f"|z{-float(p):+.6g}|" if p else "|z|"
    order = f"{side.order:.6g}"
    return f"it grows like {size}^{order} at {where}, and only powers above -1 are integrable"


def rates_at_ends(node: Node, variance: float | None, beyond: float) -> tuple[float, float]:
    """The rates at both ends, of what falls too: bounds, 0, where they are not found."""
    reach = 2 * beyond + 10
    found = [far(without_waves(node), variance, side, reach) for side in (1, -1)]
    first, second = (0.0 if x.known is Known.UNKNOWN else x.rate for x in found)
    return first, second


def _tails(
    node: Node, variance: float | None, beyond: float
) -> tuple[Existence, tuple[float, float]]:
    """Whether f is integrable far out, and its rates."""
    reach = 2 * beyond + 10
    node = without_waves(node)
    verdict = EXISTS
    rates = [0.0, 0.0]
    for k, side in enumerate((1, -1)):
        ends = (reach, math.inf) if side > 0 else (-math.inf, -reach)
        try:
            up = bounds(node, {SLOT: ValueRange(*ends, True, (0, 1.0), (0, 0.0))}).up
        except NotShown:
            up = (2, 0.0)
        if up < (1, 2.0):
            continue
        found = far(node, variance, side, reach, waves=_waves(node))
        rates[k] = found.rate
        if found.known is Known.DIVERGES:
            verdict = diverges(_growth(found.rate, variance))
        elif verdict is EXISTS and found.known is Known.UNKNOWN:
            verdict = UNKNOWN
    return verdict, (rates[0], rates[1])


def _waves(node: Node) -> bool:
    """Whether values at single points do not tell how the function grows."""
    return any(is_wave(x) for x in walk([node]))


def _growth(rate: float, variance: float | None) -> str:
    if math.isinf(rate):
        return "it grows faster than every exp(c z^2)"
    assert variance is not None
    text = f"it grows like exp({rate:.6g} z^2)"
    return f"{text}, and exp(c z^2) is integrable only where 2 c Var z < 1 (Var z = {variance:.6g})"


def surface(node: Node) -> Existence | None:
    """A divergence at a point of a line that crosses a function's singular points."""
    points = [p for a in singular_arguments(node, kinks=False) for p in crossings(a)]
    for p in sorted(points, key=abs):
        for side in (1, -1):
            found = behaviour_near(node, p, side)
            if found.known is Known.DIVERGES and is_seen(node, p, side):
                order = "faster than any power"
                if math.isfinite(found.order):
                    order = f"like the power {found.order:.6g}"
                return diverges(f"it grows {order} of the distance from a surface, and only powers "
                                "above -1 are integrable")  # fmt: skip
    return None


def ray(node: Node) -> Existence | None:
    """Growth along a ray that a standard normal density does not outweigh, nor in the directions
    next to it."""
    if not any(x.op is Op.CALL and x.attr in ("exp", "sinh", "cosh") for x in walk([node])):
        return None
    if bounds(node, {SLOT: VARIABLE}, almost=True).up < (1, 2.0):
        return None
    for side in (1, -1):
        found = far(node, 1.0, side, 10.0, waves=_waves(node))
        if found.known is Known.DIVERGES and found.rate > 0.5 + 1e-6:
            rate = "every exp(c r^2)" if math.isinf(found.rate) else f"exp({found.rate:.4g} r^2)"
            return diverges(f"it grows like {rate} in some directions, and only exp(c r^2) with "
                            "2 c < 1, r in standard deviations, is integrable")  # fmt: skip
    return None
