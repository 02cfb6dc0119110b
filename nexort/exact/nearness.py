"""Gaps of pairs without cancellation (``nexort.gaussian.sides``), also for columns of numbers that
are nearly proportional.

1 - cross / (s_a s_b), and where that is small |x / s_a - y / s_b|^2 / 2 with the coefficients x and
y themselves, which is exact also for multiples of each other; the same with a plus near 2. The
products s_b x and s_a y are taken with what rounding leaves out, so that their difference is exact
to roundings of itself; those of s_a and s_b lengthen it along x alone, to second order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nexort.exact.labels import FREE, Label
from nexort.exact.values import Value
from nexort.gaussian import sides
from nexort.gaussian.covariance import product
from nexort.gaussian.scratch import outer
from nexort.program.unrolled import Array

if TYPE_CHECKING:
    from nexort.exact.operations import Frame

NEAR = 1e-2
"""Pairs of inputs whose 1 - rho, or 1 + rho, is below this are compared by their differences."""

PART = 2**20
"""Entries of columns that are compared at a time."""

ALONE = Label(FREE, 0, "")
"""The label of the one entry of a value without labels."""

Places = tuple[Array, ...]


def gap(value: Value, spreads: list[Any]) -> Callable[[Frame, list[Any]], Any]:
    """The operation of a GAP; ``spreads`` give its arguments the axes of the result."""

    def run(frame: Frame, args: list[Any]) -> Any:
        parts = zip(args[:3], spreads, strict=False)
        left, right, cross = (np.asarray(a if s is None else a[s]) for a, s in parts)
        found = _from_cross(left, right, cross)
        low, high = float(found.min(initial=2.0)), float(found.max(initial=0.0))
        if low < 0 or high > 2:
            found = np.clip(found, 0, 2)
        if low < NEAR or high > 2 - sides.OPPOSITE:
            found = found if value.labels else found.reshape(1)
            scales = tuple(np.broadcast_to(np.sqrt(v), found.shape) for v in (left, right))
            width = max((math.prod(frame.length(x) for x in b) for b in value.attr), default=1)
            opposite = np.nonzero(found > 2 - sides.OPPOSITE)
            if len(opposite[0]):
                frame.opposite.add(value)
            for part in _split(np.nonzero(found < NEAR), width):
                found[part] = _close(frame, value, args[3:], scales, part, found[part], -1)
            for part in _split(opposite, width):
                rest = 2 - found[part]
                close = rest < NEAR
                at = tuple(x[close] for x in part)
                rest[close] = _close(frame, value, args[3:], scales, at, rest[close], 1)
                found[part] = -np.maximum(rest, sides.LEAST)
        return found if value.labels else found.reshape(())

    return run


def _split(places: Places, width: int) -> Iterator[Places]:
    """A few places at a time."""
    step = max(1, PART // max(1, width))
    for k in range(0, len(places[0]), step):
        yield tuple(x[k : k + step] for x in places)


def _from_cross(left: Array, right: Array, cross: Array) -> Array:
    """1 - cross / (s_a s_b), 1 where a variance is 0."""
    first, second = (
        np.divide(1, s, where=s > 0, out=np.zeros_like(s)) for s in map(np.sqrt, (left, right))
    )
    found = np.asarray(outer(first, second))
    fits = found.ndim and found.shape == cross.shape and found.dtype == cross.dtype
    found = np.asarray(np.multiply(found, cross, out=found if fits else None))
    return np.asarray(np.subtract(1, found, out=found if found.ndim else None))


def _close(
    frame: Frame, value: Value, columns: list[Any], scales: Places, near: Places, found: Array,
    sign: int,
) -> Array:  # fmt: skip
    """|x / s_a + sign y / s_b|^2 / 2 of the pairs at ``near``; what was ``found`` where a variance
    is 0."""
    s, t = (x[near] for x in scales)
    square = np.zeros_like(s)
    pairs = list(zip(columns[::2], columns[1::2], strict=True))
    apart = np.ones(len(s), bool)
    if sign < 0 and len(near) == 2 and all(_same(x, y) for x, y in pairs):
        apart = near[0] != near[1]  # an input and itself
    at = tuple(x[apart] for x in near)
    places = dict(zip(value.labels or (ALONE,), at, strict=True))
    # multiplied by powers of two, so that no product overflows
    p, q = (np.ldexp(1.0, -np.frexp(v[apart])[1])[:, None] for v in (s, t))
    first, second = s[apart, None] * p, t[apart, None] * q
    for k, (x, y) in enumerate(pairs if apart.any() else []):
        a, b = value.args[3 + 2 * k : 5 + 2 * k]
        high, low = product(_picked(frame, x, a, places, value.attr[k]) * p, second)
        other, rest = product(_picked(frame, y, b, places, value.attr[k]) * q, first)
        d = (high + sign * other) + (low + sign * rest)
        d /= first * second
        square[apart] += np.einsum("ij,ij->i", d, d)
    return np.where(s * t > 0, square / 2, found)


def _same(x: Any, y: Any) -> bool:
    """Whether two arrays are views of the same entries."""
    if not (isinstance(x, np.ndarray) and isinstance(y, np.ndarray)):
        return False
    first, second = (a.__array_interface__["data"][0] for a in (x, y))
    return first == second and (x.shape, x.strides) == (y.shape, y.strides)


def _picked(
    frame: Frame, array: Any, value: Value, places: Mapping[Label, Array], bound: tuple[Label, ...]
) -> Array:
    """The columns of the picked pairs, shape (pairs, entries of the bound labels)."""
    array = np.asarray(array)
    kept = [x for x in value.labels if x in places]
    summed = [x for x in bound if x in value.labels]
    array = array.transpose([value.labels.index(x) for x in (*kept, *summed)])
    if kept:
        array = array[tuple(places[x] for x in kept)]
    else:
        count = len(next(iter(places.values())))
        array = np.broadcast_to(array, (count, *array.shape))
    if summed != list(bound):
        shape = [frame.length(x) if x in summed else 1 for x in bound]
        whole = (len(array), *(frame.length(x) for x in bound))
        array = np.broadcast_to(array.reshape(len(array), *shape), whole)
    found: Array = array.reshape(len(array), -1)
    return found
