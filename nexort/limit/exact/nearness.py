"""Gaps of pairs without cancellation (``nexort.gaussian.sides``), also for columns of numbers that
are nearly proportional.

1 - cross / (s_a s_b), and where that is small the sine of the angle, the length of the part of
x / s_a - y / s_b that is orthogonal to x, with the coefficients x and y themselves; the same with a
plus near 2. The products s_b x and s_a y are taken with what rounding leaves out, so that their
difference is exact to roundings of itself; those of s_a and s_b lengthen it along x alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from nexort.gaussian import sides
from nexort.gaussian.covariance import exact_product
from nexort.gaussian.scratch import outer_array
from nexort.limit.exact.factored import dependency_order
from nexort.limit.exact.frame import Frame
from nexort.limit.exact.labels import FREE, Label
from nexort.limit.exact.values import Value, What
from nexort.program.unrolled import Array

NEAR = 1e-2
"""Pairs of inputs whose 1 - rho, or 1 + rho, is below this are compared by their differences."""

EPS = float(np.finfo(float).eps)
ROUNDINGS = 16
"""Of the sums over kets."""

PART = 2**20
"""Entries of columns that are compared at a time."""

ALONE = Label(FREE, 0, "")
"""The label of the one entry of a value without labels."""

Places = tuple[Array, ...]


Close = Callable[[Any, list[Any], Places, Places, Array, int], tuple[Array, Array | float]]
"""1 - rho, or 1 + rho with the sign 1, of the pairs at some places, and its error beside roundings
of itself, from the frame, the arrays that follow the covariances, the standard deviations, the
places, and what is known roughly."""


def gap_operation(value: Value, spreads: list[Any]) -> Callable[[Frame, list[Any]], Any]:
    """The operation of a GAP; ``spreads`` give its arguments the axes of the result."""
    return _gap(value, spreads, value.attr, partial(_close, value))


def mix_operation(value: Value, spreads: list[Any]) -> Callable[[Frame, list[Any]], Any]:
    """The operation of a MIX."""
    return _gap(value, spreads, [value.attr[0] + value.attr[1]], partial(_mixed, value))


def _gap(
    value: Value, spreads: list[Any], bound: Sequence[Sequence[Label]], close: Close
) -> Callable[[Frame, list[Any]], Any]:
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
            width = max((math.prod(frame.length(x) for x in b) for b in bound), default=1)
            opposite = np.nonzero(found > 2 - sides.OPPOSITE)
            if len(opposite[0]):
                frame.opposite.add(value)
            unsure = np.zeros(found.shape)
            for part in _split(np.nonzero(found < NEAR), width):
                found[part], unsure[part] = close(frame, args[3:], scales, part, found[part], -1)
            for part in _split(opposite, width):
                rest = 2 - found[part]
                small = rest < NEAR
                at = tuple(x[small] for x in part)
                if small.any():
                    more = close(frame, args[3:], scales, at, rest[small], 1)
                    rest[small], unsure[at] = more
                found[part] = sides.store_gap(rest)
            frame.note(value, unsure)
        return found if value.labels else found.reshape(())

    return run


def _mixed(
    value: Value, frame: Frame, arrays: list[Any], scales: Places, near: Places, found: Array,
    sign: int,
) -> tuple[Array, Array]:  # fmt: skip
    """|v / s + sign u / t|^2 / 2 of two sums of unit kets: no more than the square of the sum of
    |v_i x_i / s + sign u_i y_i / t|, of which all are 0 where both are the same."""
    s, t = (x[near] for x in scales)
    places = dict(zip(value.labels or (ALONE,), near, strict=True))
    first, second, other, own = value.attr
    bounds = (first, second, first + other, first + second, own + second)
    v, u, *gaps = (
        _picked(frame, x, a, places, b)
        for x, a, b in zip(arrays, value.args[3:], bounds, strict=True)
    )
    with np.errstate(all="ignore"):
        v, u = v / s[:, None], u / t[:, None]
    m, n = v.shape[1], u.shape[1]
    shapes = ((-1, m, m), (-1, m, n), (-1, n, n))
    vv, vu, uu = (g.reshape(shape) for g, shape in zip(gaps, shapes, strict=True))
    rough = [
        _picked(frame, _error_of(frame, a, x), a, places, b).reshape(shape)
        for x, a, b, shape in zip(arrays[2:], value.args[5:], bounds[2:], shapes, strict=True)
    ]
    # kets on the side of the one with the largest weight
    at = np.arange(len(v)), np.abs(v).argmax(1)
    turns = [np.where(sides.correlation(g[at]) < 0, -1.0, 1.0) for g in (vv, vu)]
    v, u = v * turns[0], u * turns[1]
    vv, vu, uu = (
        _turned(g, a, b)
        for g, a, b in (
            (vv, turns[0], turns[0]), (vu, turns[0], turns[1]), (uu, turns[1], turns[1]),
        )
    )  # fmt: skip
    sides_of = ((v, vv, v), (v, vu, u), (u, uu, u))
    parts = [np.einsum("ki,kij,kj->k", x, g, y) for x, g, y in sides_of]
    square = np.square(v.sum(1) + sign * u.sum(1)) - parts[0] - 2 * sign * parts[1] - parts[2]
    x, y = np.abs(v), np.abs(u)
    total = sum(np.abs(p) for p in parts) + np.square(x.sum(1)) * EPS
    error = np.asarray(ROUNDINGS * EPS * total)
    for a, r, b in zip((x, x, y), rough, (x, y, y), strict=True):
        error += 2 * np.einsum("ki,kij,kj->k", a, r, b)
    if m == n:
        each = np.square(v + sign * u) - 2 * sign * v * u * np.einsum("kii->ki", vu)
        square = np.minimum(square, np.square(np.sqrt(np.maximum(each, 0)).sum(1)))
        each = np.maximum(each, 0) + 2 * x * y * np.einsum("kii->ki", rough[1])
        error = np.minimum(error, np.square(np.sqrt(each).sum(1)))
    return np.where(s * t > 0, np.maximum(square, 0) / 2, found), error


def _error_of(frame: Frame, value: Value, array: Any) -> Array:
    """The error of a gap, in the shape of its array."""
    error = np.asarray(frame.unsure.get(value, 0.0))
    shape = np.shape(array)
    return error if error.shape == shape else np.broadcast_to(np.max(error), shape)


def _turned(gap: Array, left: Array, right: Array) -> Array:
    """1 - rho of kets of which some are turned."""
    opposite = left[:, :, None] * right[:, None, :] < 0
    return np.where(opposite, sides.one_plus(gap), sides.one_minus(gap))


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
    found = np.asarray(outer_array(first, second))
    fits = found.ndim and found.shape == cross.shape and found.dtype == cross.dtype
    found = np.asarray(np.multiply(found, cross, out=found if fits else None))
    return np.asarray(np.subtract(1, found, out=found if found.ndim else None))


def _close(
    value: Value, frame: Frame, columns: list[Any], scales: Places, near: Places, found: Array,
    sign: int,
) -> tuple[Array, Array | float]:  # fmt: skip
    """1 + sign rho of the pairs at ``near``; what was ``found`` where a variance is 0."""
    s, t = (x[near] for x in scales)
    sine = np.zeros_like(s)
    pairs = list(zip(columns[::2], columns[1::2], strict=True))
    apart = np.ones(len(s), bool)
    if sign < 0 and len(near) == 2 and all(_same(x, y) for x, y in pairs):
        apart = near[0] != near[1]  # an input and itself
    at = tuple(x[apart] for x in near)
    places = dict(zip(value.labels or (ALONE,), at, strict=True))
    if apart.any():
        x, y = (
            np.concatenate([_picked(frame, c, v, places, b)
                            for c, v, b in zip(columns[k::2], value.args[3 + k :: 2], value.attr,
                                               strict=True)], 1)
            for k in range(2)
        )  # fmt: skip
        sine[apart] = _sine_squared(x, y, sign)
    gap = sine / (1 + np.sqrt(1 - np.minimum(sine, 1)))
    # sums of data are rounded
    error = np.where(apart, np.square(ROUNDINGS * EPS), 0) if _has_sums(value) else 0.0
    return np.where(s * t > 0, gap, found), error


def _sine_squared(x: Array, y: Array, sign: int) -> Array:
    """Of the angle between rows x and -sign y."""
    # multiplied by powers of two, so that no product overflows
    x, y = (np.ldexp(v, -np.frexp(np.abs(v).max(1))[1][:, None]) for v in (x, y))
    s, t = (np.sqrt(np.einsum("ij,ij->i", v, v))[:, None] for v in (x, y))
    (high, low), (other, rest) = exact_product(x, t), exact_product(y, s)
    d = ((high + sign * other) + (low + sign * rest)) / (s * t)
    x = x / s
    d -= np.einsum("ij,ij->i", d, x)[:, None] * x
    found: Array = np.einsum("ij,ij->i", d, d)
    return found


def _has_sums(value: Value) -> bool:
    """Whether some column is a sum of products."""
    return any(v.what is What.SUM for v in dependency_order(value.args[3:]))


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
