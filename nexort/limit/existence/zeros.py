"""Where what a function divides by, or takes the logarithm or a root of, is 0."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from functools import lru_cache
from heapq import heapify, heappop, heappush
from typing import Any

import numpy as np
from mpmath import mp, mpf

from nexort import activations
from nexort.gaussian.precise import Undefined, precise_number, value
from nexort.gaussian.univariate import Univariate
from nexort.gaussian.variable import SLOT
from nexort.limit.existence.ranges import NotShown, ValueRange, bounds
from nexort.program import build
from nexort.program.nodes import Node, Op, walk

DIGITS = 400
REACH = 1024.0
"""Zeros are looked for in [-REACH, REACH], those of polynomials everywhere."""

NARROW = 1e-9
MOST = 64
"""Zeros of one function."""

GRID = np.linspace(-8.0, 8.0, 512)
CELLS = 2_000


def singular_arguments(node: Node, kinks: bool = True) -> list[Node]:
    """The subgraphs at whose zeros a function may be singular, with ``kinks`` or not smooth."""
    found: dict[Node, None] = {}
    for x in walk([node]):
        if x.op is not Op.CALL:
            continue
        name = str(x.attr)
        if name == "div":
            found[x.args[1]] = None
        elif name in ("max", "min") and kinks:
            found[build.call("sub", *x.args)] = None
        elif (
            name == "log"
            or (name == "pow" and not natural(x.args[1]))
            or (kinks and (name == "sqrt" or activations.registry()[name].kinks))
        ):
            found[x.args[0]] = None
    return [x for x in found if SLOT in walk([x])]


def natural(exponent: Node) -> bool:
    """Whether this is a literal 0, 1, 2, ..."""
    if exponent.op is not Op.CONST or exponent.type.axes:
        return False
    return bool(exponent.attr >= 0 and exponent.attr == int(exponent.attr))


@lru_cache(4096)
def zeros(node: Node) -> tuple[tuple[Any, ...], bool]:
    """The isolated zeros of a graph of one variable and the ends of intervals of zeros, and
    whether these are all."""
    found: list[Any] = []
    complete = True
    with mp.workdps(DIGITS):
        for factor in _factors(node):
            dense = polynomial(factor)
            if dense is not None:
                found += _roots(dense)
                continue
            more, all_found = _searched(factor)
            found += more
            complete = complete and all_found
        return distinct_points(found), complete


def crossings(node: Node) -> list[Any]:
    """Some zeros: those of polynomials, and where others change their sign on a grid."""
    found: list[Any] = []
    with mp.workdps(DIGITS):
        for factor in _factors(node):
            dense = polynomial(factor)
            if dense is not None and len(_trimmed(dense)) <= 3:
                found += _roots(dense)
                continue
            signs = np.sign(Univariate(factor)(GRID))
            for k in np.flatnonzero(signs[:-1] * signs[1:] < 0)[:MOST]:
                found += _refined(factor, float(GRID[k]), float(GRID[k + 1]))
        return list(distinct_points(found))


def distinct_points(points: Iterable[Any]) -> tuple[Any, ...]:
    """Sorted, one of those that agree to most digits."""
    kept: list[Any] = []
    for p in sorted(points):
        if not kept or p - kept[-1] > mpf(10) ** -100 * (1 + abs(p)):
            kept.append(p)
    return tuple(kept)


def _factors(node: Node) -> list[Node]:
    """Functions one of which is 0 wherever this one is, or where it starts to be."""
    if node.op is not Op.CALL:
        return [node]
    name = str(node.attr)
    if name in ("mul", "max", "min"):
        return [x for a in node.args for x in _factors(a)]
    vanishes = activations.registry()[name].vanishes
    if vanishes or name == "div" or (name == "pow" and node.args[1].op is Op.CONST):
        return _factors(node.args[0])
    if name == "log":
        return [build.call("sub", node.args[0], build.constant(1))]
    return [node]


TINY = mpf(10) ** (100 - DIGITS)
"""What is smaller, relative to the largest coefficient, is 0."""


def _roots(dense: list[Any]) -> list[Any]:
    """The real zeros of a polynomial, its coefficients by rising powers."""
    dense = _trimmed(dense)
    if len(dense) <= 1:
        return []
    if len(dense) == 3:
        c, b, a = dense
        inside = b * b - 4 * a * c
        if abs(inside) <= TINY * (b * b + abs(4 * a * c)):
            return [-b / (2 * a)]
        root = mp.sqrt(inside) if inside > 0 else None
        return [] if root is None else [(-b - root) / (2 * a), (root - b) / (2 * a)]
    slope = [k * c for k, c in enumerate(dense)][1:]
    simple = _divided(dense, _common(dense, slope))[0]
    if len(simple) == 2:
        return [-simple[0] / simple[1]]
    roots = mp.polyroots(simple[::-1], maxsteps=1000, extraprec=1000)
    small = mpf(10) ** -(DIGITS // 4)
    return [mp.re(r) for r in roots if abs(mp.im(r)) < small * (1 + abs(r))]


def _trimmed(dense: list[Any]) -> list[Any]:
    """Without leading zeros."""
    size = max((abs(c) for c in dense), default=mpf(0))
    while dense and abs(dense[-1]) <= TINY * size:
        dense = dense[:-1]
    return dense


def _divided(a: list[Any], b: list[Any]) -> tuple[list[Any], list[Any]]:
    """Quotient and remainder of polynomials."""
    rest = list(a)
    quotient = [mpf(0)] * (len(a) - len(b) + 1)
    for k in range(len(quotient) - 1, -1, -1):
        quotient[k] = rest[k + len(b) - 1] / b[-1]
        for j, c in enumerate(b):
            rest[k + j] -= quotient[k] * c
    return quotient, rest[: len(b) - 1]


def _common(a: list[Any], b: list[Any]) -> list[Any]:
    """The greatest common divisor of polynomials."""
    while b:
        size = max(abs(c) for c in a)
        rest = _divided(a, b)[1]
        if max((abs(c) for c in rest), default=mpf(0)) <= TINY * size:
            rest = []
        a, b = b, _trimmed(rest)
    return [c / a[-1] for c in a]


def polynomial(node: Node) -> list[Any] | None:
    """The coefficients by rising powers, None of what is no polynomial."""
    found: dict[Node, list[Any]] = {}
    for x in walk([node]):
        if x is SLOT:
            found[x] = [mpf(0), mpf(1)]
        elif x.op is Op.CONST:
            found[x] = [precise_number(x.attr)]
        elif all(len(found.get(a, ())) == 1 for a in x.args):
            constant = _at(x, mpf(0))
            if constant is None:
                return None
            found[x] = [constant]
        else:
            known = _combined(x, [found.get(a) for a in x.args])
            if known is None:
                return None
            found[x] = known
    return found[node]


def _combined(x: Node, args: list[list[Any] | None]) -> list[Any] | None:
    name = str(x.attr)
    a, b = args[0], args[-1]
    if a is None or b is None:
        return None
    match name:
        case "neg":
            return [-c for c in a]
        case "add" | "sub":
            sign = 1 if name == "add" else -1
            width = max(len(a), len(b))
            a, b = (v + [mpf(0)] * (width - len(v)) for v in (a, b))
            return [p + sign * q for p, q in zip(a, b, strict=True)]
        case "mul":
            return _multiplied(a, b)
        case "square":
            return _multiplied(a, a)
        case "div" if len(b) == 1 and b[0] != 0:
            return [c / b[0] for c in a]
        case "pow" if natural(x.args[1]) and x.args[1].attr * len(a) <= MOST:
            result = [mpf(1)]
            for _ in range(int(x.args[1].attr)):
                result = _multiplied(result, a)
            return result
    return None


def _multiplied(a: list[Any], b: list[Any]) -> list[Any]:
    found = [mpf(0)] * (len(a) + len(b) - 1)
    for i, p in enumerate(a):
        for j, q in enumerate(b):
            found[i + j] += p * q
    return found


# ---- other functions -----------------------------------------------------------------------------


def _searched(node: Node) -> tuple[list[Any], bool]:
    """Intervals in which interval arithmetic does not exclude a zero, each refined, from the inner
    ones outwards; and whether all were looked at."""
    edges = [0.0, *(2.0**k for k in range(-20, int(math.log2(REACH)) + 1))]
    cells = [(a, a, b) for a, b in itertools.pairwise(edges)]
    cells += [(a, -b, -a) for a, _, b in cells]
    heapify(cells)
    small: list[tuple[float, float]] = []
    found: list[Any] = []
    left = CELLS
    while cells and left and len(_joined(small)) <= MOST:
        left -= 1
        _, low, high = heappop(cells)
        inside = _bounds_on(node, low, high)
        if inside is not None and inside.nonzero:
            continue
        if inside is not None and inside.low == inside.high == 0:
            found += [precise_number(low), precise_number(high)]
        elif high - low <= NARROW * max(1.0, abs(low)):
            small.append((low, high))
        else:
            middle = (low + high) / 2
            for a, b in ((low, middle), (middle, high)):
                heappush(cells, (min(abs(a), abs(b)), a, b))
    for low, high in _joined(small)[:MOST]:
        found += _refined(node, low, high)
    return found, not cells


def _bounds_on(node: Node, low: float, high: float) -> ValueRange | None:
    try:
        leaf = ValueRange(low, high, low > 0 or high < 0, (0, 0.0), (0, 0.0))
        return bounds(node, {SLOT: leaf})
    except NotShown:
        return None


def _joined(cells: list[tuple[float, float]]) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for low, high in sorted(cells):
        if found and low <= found[-1][1]:
            found[-1] = (found[-1][0], high)
        else:
            found.append((low, high))
    return found


def _refined(node: Node, low: float, high: float) -> list[Any]:
    """The zero in a short interval: where the sign changes, or where the derivative is 0 too."""
    a, b = (precise_number(x) - d * mpf(NARROW) for x, d in ((low, 1), (high, -1)))
    for nice in {round(low, 6), round(high, 6)}:  # a zero that is a short number
        if low - NARROW <= nice <= high + NARROW and _at(node, precise_number(nice)) == 0:
            return [precise_number(nice)]
    for k in range(3):
        f = node
        for _ in range(k):
            f = Univariate(f).derivative().node
        left, right = _at(f, a), _at(f, b)
        if left is None or right is None:
            return [(a + b) / 2]  # the border of where it is real
        if left * right < 0:
            p = _bisected(f, a, b)
            size = abs(_at(node, p) or 0)
            return [p] if size < mpf(10) ** -(DIGITS // 3) else []
    return [(a + b) / 2]


def _at(node: Node, z: Any) -> Any | None:
    try:
        found = value(node, {SLOT: z})
    except Undefined:
        return None
    return None if mp.isnan(found) else found


def _bisected(node: Node, a: Any, b: Any) -> Any:
    """A zero between points of different signs, by secants kept inside of the bracket."""
    try:
        return mp.findroot(lambda z: _at(node, z), (a, b), solver="anderson", verify=False)
    except (ValueError, ZeroDivisionError, TypeError):
        return (a + b) / 2
