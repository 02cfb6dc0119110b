"""Running error analysis: beside every array a bound on its error (Higham 2002, section 3.3).

With e_x the bound of x, to first order in roundings,

    x + y:   e_x + e_y,
    x y:     |x| e_y + |y| e_x + e_x e_y,
    x / y:   (e_x + |x / y| e_y) / (|y| - e_y),

and a rounding of each partial result; the error of a difference is that of its parts. A function is
taken at both ends of its argument's interval, and expectations at variances and correlations that
are moved by their errors. A covariance's bounds are those of its arguments.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nexort.gaussian import sides
from nexort.gaussian.covariance import Covariance, NotPositive
from nexort.gaussian.covariance import exact_product as two_product
from nexort.gaussian.expectation import CLOSED, NotIntegrable
from nexort.gaussian.quadrature import OutOfRange
from nexort.gaussian.sizes import overlap, rounding_order, size_of_terms
from nexort.gaussian.univariate import Univariate
from nexort.limit.exact import bent
from nexort.limit.exact.frame import Frame
from nexort.limit.exact.intervals import EPS, ROUNDINGS, error_of
from nexort.limit.exact.operations import align_arrays, einsum_of, expectation_of, gap_of, spreads
from nexort.limit.exact.univariates import has_jumps
from nexort.limit.exact.values import Value, What
from nexort.program.roundings import adds_exactly
from nexort.program.unrolled import Array

TINY = float(np.finfo(float).smallest_subnormal)
LEAST = float(np.finfo(float).tiny)
"""Results below this have lost digits."""

SMALL = 1e-3
"""Relative errors up to which first orders will do."""

ENOUGH = 1 / 64
"""An error whose effect is below this part of an expectation's own does not matter."""


@dataclass(frozen=True)
class BoundedLaw:
    """The covariance of an expectation, with bounds of its variances and of the gap 1 - rho;
    ``own`` says where both sides are one variable."""

    covariance: Covariance
    left: Array
    right: Array
    gap: Array
    own: Array


def bound_of(value: Value, frame: Frame, args: list[Any], errors: list[Any], found: Any) -> Any:
    """The bound of a value ``found``, from its arguments and their bounds."""
    match value.what:
        case What.NUMBER:
            return value.error
        case What.ARRAY | What.EYE:
            return 0.0
        case What.CALL:
            places = spreads(value)
            return _call(
                str(value.attr), align_arrays(args, places), _aligned(errors, places), found
            )
        case What.SUM:
            return _sum(value, frame, args, errors)
        case What.STACK:
            return _stacked(value, frame, errors, found)
        case What.ROOT:
            return _root(args[0], errors[0])
        case What.GAP | What.MIX:
            known = frame.unsure.get(value, 0.0)
            return _gap(value, frame, args, errors, found) + known
        case What.COV:
            return _law(value, frame, args, errors, found)
        case What.PAIR:
            return _where_not_zero(value, errors[0], found, _pair(value, frame, errors[0], found))
        case What.AFTER:
            return _after(value, errors[0], found)
        case _:
            return _one(value, frame, args[0], errors[0], found)


def _aligned(errors: list[Any], places: list[Any]) -> list[Any]:
    return [e if s is None or not np.ndim(e) else e[s] for e, s in zip(errors, places, strict=True)]


# ---- arithmetic ----------------------------------------------------------------------------------


def _call(name: str, args: list[Any], errors: list[Any], found: Any) -> Any:
    match name:
        case "add":
            return _added(args, errors)
        case "mul":
            return _multiplied(args, errors)
        case "complement":
            return errors[0] + EPS
        case "signed":
            return errors[0]
        case "both":
            return _both(args, errors, found)
        case "ratio" | "div":
            return _divided(args, errors, found)
    return error_of(name, args, errors, found)


def _added(args: list[Any], errors: list[Any]) -> Any:
    partial: Any = args[0]
    total: Any = errors[0]
    for x, e in zip(args[1:], errors[1:], strict=True):
        before, partial = partial, partial + x
        back = partial - x
        rest = np.abs((before - back) + (x - (partial - back)))  # exactly (Knuth 1969)
        total = total + e + np.fmin(EPS / 2 * np.abs(partial), rest)
    return total


def _multiplied(args: list[Any], errors: list[Any]) -> Any:
    product: Any = np.abs(args[0])
    total: Any = errors[0]
    for x, e in zip(args[1:], errors[1:], strict=True):
        size = np.abs(x)
        total = total * size + product * e + total * e
        zero = (product == 0) | (size == 0)
        product, rest = two_product(product, size)
        lost = np.where((product < LEAST) & ~zero, TINY, 0)
        total = total + np.fmin(EPS / 2 * product, np.abs(rest)) + lost
    return np.where(np.isnan(total), np.inf, total)  # 0 times what is not known


def _divided(args: list[Any], errors: list[Any], found: Any) -> Any:
    """Not known where the denominator may be 0; of an exact 0, 0 by definition."""
    (_, y), (e, d) = args, errors
    room = np.abs(y) - d
    error = (e + np.abs(found) * d) / np.where(room > 0, room, 1)
    error = np.where(room > 0, error + EPS / 2 * np.abs(found), np.where(d > 0, np.inf, 0))
    lost = (np.abs(found) < LEAST) & (np.asarray(args[0]) != 0)
    return error + np.where(lost, TINY, 0)


def _both(args: list[Any], errors: list[Any], found: Any) -> Any:
    """Of (a g + b h + c) / d of gaps g and h, which are small where the result is."""
    a, g, b, h, _, d = args
    e, own, f, other, rest, whole = errors
    near = np.asarray(found) >= 0
    g, h = (
        np.abs(x) if not near.any() else np.where(near, sides.one_minus(np.asarray(x)), np.abs(x))
        for x in (g, h)
    )
    top = np.abs(a) * own + e * g + np.abs(b) * other + f * h + rest
    part = np.divide(1, d, where=d > 0, out=np.zeros(np.shape(d)))
    return top * part + np.abs(found) * (whole * part + 4 * EPS)


def _sum(value: Value, frame: Frame, args: list[Any], errors: list[Any]) -> Any:
    """Of a sum of n products: roundings add like n^(1/2) (Higham and Mary 2019), or as n."""
    spec = einsum_of(value)
    sizes = [np.abs(a) for a in args]
    total: Any = 0.0
    for k, (a, e) in enumerate(zip(value.args, errors, strict=True)):
        if np.any(e):
            shape = tuple(frame.length(x) for x in a.labels)
            others = [np.broadcast_to(e, shape) if j == k else s for j, s in enumerate(sizes)]
            total = total + np.einsum(spec, *others, optimize=True)
    count = math.prod(frame.length(x) for x in value.attr)
    roundings = min(count, 4 * math.sqrt(count)) + len(args)
    size = np.einsum(spec, *sizes, optimize=True)
    if adds_exactly(args, float(np.max(size, initial=0.0))):
        roundings = 0
    return 1.01 * total + EPS / 2 * roundings * size


def _stacked(value: Value, frame: Frame, errors: list[Any], found: Any) -> Any:
    if not any(np.any(e) for e in errors):
        return 0.0
    rest = tuple(x for x in value.labels if x != value.attr)
    shape = tuple(frame.length(x) for x in rest)
    parts = []
    for a, e in zip(value.args, errors, strict=True):
        own = np.broadcast_to(e, tuple(frame.length(x) for x in a.labels))
        places = tuple(slice(None) if x in a.labels else None for x in rest)
        parts.append(np.broadcast_to(own[places] if a.labels else own, shape))
    return np.stack(parts, value.labels.index(value.attr))


def _root(matrix: Any, error: Any) -> Any:
    """Of the root R of a matrix S, as R R^T differs from S: every R' with R' R'^T = S has the same
    law, and one of them is no further from R than this to first order."""
    matrix = np.asarray(matrix)
    scale = float(np.max(np.abs(matrix), initial=0.0))
    if scale <= 0:
        return 0.0
    worst = float(np.max(error, initial=0.0)) if np.any(error) else 0.0
    return (worst / scale + ROUNDINGS * len(matrix) * EPS) * math.sqrt(scale)


# ---- covariances ---------------------------------------------------------------------------------


def _part(error: Any, x: Any) -> Any:
    """A relative error; infinite where x is 0 and its error is not."""
    x, error = np.asarray(x, float), np.asarray(error, float)
    part = np.divide(error, x, where=x > 0, out=np.zeros(np.broadcast_shapes(x.shape, error.shape)))
    return np.where((x <= 0) & (error > 0), np.inf, part)


def _gap(value: Value, frame: Frame, args: list[Any], errors: list[Any], found: Any) -> Any:
    """1 - rho = |x / s - y / t|^2 / 2 of columns x and y: a difference d of unit vectors known to r
    has its square known to 2 |d| r + r^2. That of numbers as they are stored is found to roundings
    of itself (``nexort.limit.exact.nearness``)."""
    places = spreads(value)[:3]
    left, right = (np.asarray(x) for x in align_arrays(args[:2], places[:2]))
    e, d, c = _aligned(errors[:3], places)
    bound = (
        value.attr if value.what is What.GAP else [x for x in value.attr if isinstance(x, tuple)]
    )
    width = max((math.prod(frame.length(x) for x in b) for b in bound), default=1)
    stored = value.what is What.GAP and not any(np.any(e) for e in errors[3:])
    known = 0.0 if stored else EPS * (4 + 2 * math.sqrt(width))
    for column, error in zip(args[3:], errors[3:], strict=True):
        if np.any(error):
            size = float(np.max(np.abs(column), initial=0.0))
            known += float(np.max(error)) / size if size else 0.0
    small = np.abs(found)
    columns = np.sqrt(2 * small) * known + known * known + EPS * (16 + 4 * width) * small
    scale = np.sqrt(left) * np.sqrt(right)
    products = _part(c, scale) + (_part(e, left) + _part(d, right)) / 2 + 4 * EPS
    # an input and itself
    same = frame.same & (found == 0)
    return np.where(same, 0.0, np.maximum(columns, np.where(small < 1e-4, 0.0, products)))


def _law(value: Value, frame: Frame, args: list[Any], errors: list[Any], found: Any) -> BoundedLaw:
    k = found.general if isinstance(found, bent.Bent) else found
    left, right, *rest = (np.asarray(e, float) for e in _aligned(errors, spreads(value)))
    own = np.asarray(value.args[0] is value.args[1] is value.args[2])
    if frame.same and len(k.shape) == 2 and k.shape[0] == k.shape[1]:
        # an entry and itself, whose covariance has been made its variance
        own = own | np.eye(k.shape[0], dtype=bool) & (k.left == k.right) & (k.one_minus_rho == 0)
    if len(args) > 3:
        return BoundedLaw(k, left, right, np.where(own, 0.0, rest[1]), own)
    scale = np.asarray(k.left_std * k.right_std)
    gap = _part(rest[0], scale) + (_part(left, k.left) + _part(right, k.right)) / 2 + 2 * EPS
    gap = np.where((scale > 0) & ~own, gap, 0.0)
    return BoundedLaw(k, left, right, gap, own)


# ---- expectations --------------------------------------------------------------------------------


def _shaped(value: Value, array: Any) -> Any:
    return array if value.labels else np.asarray(array).reshape(-1)[0]


def _where_not_zero(value: Value, law: BoundedLaw, found: Any, error: Any) -> Any:
    """E f(y) g(z) is 0, and no rounding of it, where y is 0 and f(0) is, or z and g(0)."""
    k = law.covariance
    parts = zip(value.attr, (k.left, k.right), (law.left, law.right), strict=True)
    nothing = [(v == 0) & (e == 0) for f, v, e in parts if float(f(0.0)) == 0]
    if not any(map(np.any, nothing)):
        return error
    known = np.broadcast_to(np.logical_or.reduce(np.broadcast_arrays(*nothing)), k.shape)
    return np.where(_shaped(value, known) & (np.asarray(found) == 0), 0.0, error)


def _pair(value: Value, frame: Frame, law: BoundedLaw, found: Any) -> Any:
    f, g = value.attr
    k = law.covariance
    scale = size_of_terms(f, k.left, frame.rtol) * size_of_terms(g, k.right, frame.rtol)
    scale = np.where(np.isfinite(scale), scale, 64 * np.abs(found))
    base = np.asarray(frame.errors.get(value, 0.0))
    base = base + ROUNDINGS * EPS * rounding_order(f) * rounding_order(g) * scale
    lost = (np.abs(found) < LEAST) & (k.left > 0) & (k.right > 0)
    total = base + np.where(lost, TINY, 0)
    left, right = _part(law.left, k.left), _part(law.right, k.right)
    changes = left + right + law.gap
    if (changes * scale <= ENOUGH * base).all():
        return _shaped(value, total + ENOUGH * base)
    kinks = _straight(f), _straight(g)
    if kinks[0] and kinks[1] and (changes < SMALL).all():
        # homogeneous, and |dE / d rho| <= s t |f'| |g'|
        slope = k.left_std * k.right_std * (math.hypot(*kinks[0]) * math.hypot(*kinks[1]))
        change = (left + right) / 2 * np.abs(found) + law.gap * slope
        return _shaped(value, total + (1 + SMALL) * change)
    if frame.methods.get(value) != CLOSED and _smooth(f, g, changes):
        change = _slope(f, g, k, (left, right, law.gap), frame.rtol)
        if np.isfinite(change).all():  # f and g have sizes
            return _shaped(value, total + change)
    for moved in _moved(law):
        total = total + _change(value, frame, moved, found)
    for moved in _vanishing(law):
        total = np.maximum(total, _change(value, frame, moved, found))
    return _shaped(value, total)


def _straight(f: Univariate) -> tuple[float, float] | None:
    """(u, v) of f = u z + v |z|, of E f^2 = (u^2 + v^2) E z^2."""
    kind = bent.kind_of(f)
    return kind[1:] if kind is not None and kind[0] == "straight" else None


def _smooth(f: Univariate, g: Univariate, changes: Any) -> bool:
    return bool((changes < SMALL).all()) and not (has_jumps(f.node) or has_jumps(g.node))


def _slope(f: Univariate, g: Univariate, k: Covariance, parts: Any, rtol: float) -> Any:
    """Of functions without jumps, by Price's theorem and Cauchy and Schwarz,

    dE / d rho = s t E f'(y) g'(z),    |dE / d log s| <= |z f'| |g|,

    to first order, with the variances' relative errors twice those of s and t."""
    left, right, gap = parts
    first, second = ((h, h.derivative(), v) for h, v in ((f, k.left), (g, k.right)))
    (a, za), (b, zb) = (
        (size_of_terms(h, v, rtol), size_of_terms(d.times_power(1), v, rtol))
        for h, d, v in (first, second)
    )
    slope = k.left_std * k.right_std * overlap(first[1], second[1], k, rtol)
    return (1 + SMALL) * (gap * slope + left / 2 * za * b + right / 2 * a * zb)


def _after(value: Value, law: BoundedLaw, found: Any) -> Any:
    """Of a gap after a function, which depends on the gap alone; that of u z + v |z| changes by no
    more than the gap does."""
    total: Any = 2 * ROUNDINGS * EPS * np.abs(found)
    if _straight(value.attr) is not None:
        return total + _shaped(value, np.broadcast_to(law.gap, np.shape(law.covariance.rho)))
    alone = replace(law, left=np.zeros(()), right=np.zeros(()))
    for moved in _moved(alone):
        other = np.asarray(_shaped(value, gap_of(value, moved)))
        same = (other < 0) == (np.asarray(found) < 0)
        first, second = sides.one_minus(other), sides.one_minus(np.asarray(found))
        total = total + np.where(same, np.abs(other - found), np.abs(first - second))
    return total


def _change(value: Value, frame: Frame, moved: Any, found: Any) -> Any:
    """What an expectation changes by with its law; not known where it then has no value."""
    try:
        change = np.abs(expectation_of(value, frame, moved) - found)
    except (NotIntegrable, NotPositive, OutOfRange):
        return np.inf
    return np.where(np.isnan(change), np.inf, change)


def _moved(law: BoundedLaw) -> Iterator[Covariance]:
    """The covariance with each variance, and the gap, moved by its error."""
    k = law.covariance
    gap = sides.gap_of_sides(k.one_minus_rho, k.one_plus_rho) if k.gap is None else k.gap
    if np.any(law.left):
        yield _with(k, k.left + law.left, k.right + np.where(law.own, law.left, 0), gap)
    if np.any(law.right) and not np.all(law.own):
        yield _with(k, k.left, k.right + np.where(law.own, 0, law.right), gap)
    if np.any(law.gap):
        less, more = sides.one_minus(gap), sides.one_plus(gap)
        step = np.where(less <= 1, law.gap, -law.gap)
        gap = sides.gap_of_sides(np.clip(less + step, 0, 2), np.clip(more - step, 0, 2))
        yield _with(k, k.left, k.right, gap)


def _vanishing(law: BoundedLaw) -> Iterator[Covariance]:
    """Where it is not known that a variance is not 0: the covariances with 0 there, and with the
    largest variances and both ends of the correlation. In between f and g are constants beside
    their jumps at 0, whose expectation is monotonic in the correlation."""
    k = law.covariance
    gap = sides.gap_of_sides(k.one_minus_rho, k.one_plus_rho) if k.gap is None else k.gap
    first = (law.left > 0) & (k.left <= law.left)
    second = (law.right > 0) & (k.right <= law.right)
    if not (np.any(first) or np.any(second)):
        return
    yield _with(k, np.where(first, 0, k.left), np.where(second, 0, k.right), gap)
    unsure = (first | second) & ~law.own
    for end in (0.0, -sides.LEAST):
        yield _with(k, k.left + law.left, k.right + law.right, np.where(unsure, end, gap))


def _with(k: Covariance, left: Array, right: Array, gap: Array) -> Covariance:
    return Covariance(left, right, sides.correlation(gap) * (np.sqrt(left) * np.sqrt(right)), gap)


def _one(value: Value, frame: Frame, variance: Any, error: Any, found: Any) -> Any:
    """E f(z), and E z f(z) / Var z."""
    f: Univariate = value.attr
    variance = np.asarray(variance, float)
    scale = size_of_terms(f, variance, frame.rtol)
    scale = np.where(np.isfinite(scale), scale, 64 * np.abs(found))
    if value.what is What.STEIN:  # of E z f(z), divided
        scale = np.where(variance > 0, scale / np.sqrt(np.where(variance > 0, variance, 1)), 0)
    total = np.asarray(frame.errors.get(value, 0.0)) + ROUNDINGS * EPS * rounding_order(f) * scale
    if np.any(error):
        total = total + _change(value, frame, variance + error, found)
        if np.any(variance <= error):
            least = np.where(variance <= error, 0.0, variance)
            total = np.maximum(total, _change(value, frame, least, found))
    return _shaped(value, total)
