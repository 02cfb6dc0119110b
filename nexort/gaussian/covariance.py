"""Covariances of pairs (z_a, z_b) of Gaussians, and what follows from them without cancellation.

Correlations near 1 lose digits in 1 - rho unless it comes from elsewhere: from a caller that knows
the gap 1 - rho exactly (from the squared distance), or from det = left right - cross^2 computed
with error-free products at the few entries that are nearly singular.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from nexort.activations import Array
from nexort.gaussian import sides

NEAR = 0.02
"""Entries with 1 - |rho| below this have their determinant computed with error-free products."""
ROUNDINGS = 64
"""Of a correlation, where its gap is not known."""
SMALL = 0.1
"""Angles below this have sin t - t cos t summed as a series."""


class NotPositive(Exception):
    """Not positive semidefinite: ``left``, ``right``, ``cross`` of an entry."""

    def __init__(self, left: float, right: float, cross: float) -> None:
        super().__init__(f"variances {left:.6g} and {right:.6g} with covariance {cross:.6g}")
        self.left, self.right, self.cross = left, right, cross


class Covariance:
    """Var z_a, Var z_b, Cov(z_a, z_b): arrays that broadcast against each other.

    ``gap``, as of ``nexort.gaussian.sides``, is given where it is known more exactly than from
    ``cross``. Means, if given, are of z_a and z_b. Raises NotPositive where a variance is negative
    or |rho| > 1 beyond rounding.
    """

    def __init__(
        self,
        left: Any,
        right: Any,
        cross: Any,
        gap: Any = None,
        means: tuple[Any, Any] | None = None,
    ) -> None:
        arrays = [np.asarray(a) for a in (left, right, cross)]
        dtype = np.result_type(*arrays)
        if not np.issubdtype(dtype, np.floating):
            dtype = np.dtype(float)
        self.left, self.right, self.cross = (a.astype(dtype, copy=False) for a in arrays)
        self.gap: Array | None = None if gap is None else np.asarray(gap).astype(dtype, copy=False)
        self.means = means
        self.dtype = dtype
        self.unsure: Array | float | None = None
        """The error of 1 - rho, None where it is that of roundings."""
        self.notes: dict[str, Array] = {}
        self._scaled: dict[float, Covariance] = {}
        least = [float(v.min(initial=np.inf)) for v in (self.left, self.right)]
        if not all(x >= 0 for x in least):
            raise NotPositive(float(self.left.min()), float(self.right.min()), 0.0)
        self.least = min(least)
        """The smallest variance."""

    def scaled(self, factor: float) -> Covariance:
        """Of factor^(1/2) times the variables, centred; one object for a factor, so that what is
        found on it is found once."""
        if factor not in self._scaled:
            left, right, cross = (factor * x for x in (self.left, self.right, self.cross))
            self._scaled[factor] = Covariance(left, right, cross, self.gap)
        return self._scaled[factor]

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """The common shape of the three arrays."""
        return np.broadcast_shapes(self.left.shape, self.right.shape, self.cross.shape)

    @cached_property
    def largest(self) -> float:
        """The largest variance."""
        return max(float(v.max(initial=0.0)) for v in (self.left, self.right))

    @cached_property
    def left_std(self) -> Array:
        """sqrt(Var z_a), in the shape of ``left``."""
        return np.asarray(np.sqrt(self.left))

    @cached_property
    def right_std(self) -> Array:
        """sqrt(Var z_b), in the shape of ``right``."""
        return np.asarray(np.sqrt(self.right))

    @cached_property
    def scale(self) -> Array:
        """The product of the standard deviations."""
        return np.asarray(self.left_std * self.right_std)

    @cached_property
    def rho(self) -> Array:
        """The correlation; 0 where a variance is."""
        if self.gap is not None:
            return sides.correlation(self.gap)
        return np.asarray(np.clip(self._raw_rho, -1, 1))

    @property
    def uncertainty(self) -> Array | float:
        """An estimate of the error of 1 - rho."""
        if self.unsure is not None:
            return self.unsure
        return 0.0 if self.gap is not None else ROUNDINGS * float(np.finfo(self.dtype).eps)

    @cached_property
    def _raw_rho(self) -> Array:
        rho = np.asarray(self.cross * _inverse(self.left_std))
        rho = np.asarray(rho * _inverse(self.right_std))
        tolerance = 1 + 64 * float(np.sqrt(np.finfo(self.dtype).eps)) ** 1.5
        if rho.size and not (float(rho.max()) <= tolerance and float(rho.min()) >= -tolerance):
            at = np.unravel_index(np.argmax(np.abs(rho)), rho.shape)
            entry = [float(np.broadcast_to(a, rho.shape)[at])
                     for a in (self.left, self.right, self.cross)]  # fmt: skip
            raise NotPositive(*entry)
        return rho

    @cached_property
    def one_minus_rho(self) -> Array:
        """1 - rho, without cancellation near rho = 1."""
        if self.gap is not None:
            return np.asarray(np.broadcast_to(sides.one_minus(self.gap), self.shape))
        return self._side(1)

    @cached_property
    def one_plus_rho(self) -> Array:
        """1 + rho, without cancellation near rho = -1."""
        if self.gap is not None:
            return np.asarray(np.broadcast_to(sides.one_plus(self.gap), self.shape))
        return self._side(-1)

    def _side(self, sign: int) -> Array:
        """1 - sign rho: det / (scale (scale + sign cross)) where it is small."""
        value = np.array(np.broadcast_to(1 - sign * self._raw_rho, self.shape))
        near = value < NEAR
        if near.any():
            a, b, c = (np.broadcast_to(x, self.shape)[near] for x in (self.left, self.right,
                                                                     self.cross))  # fmt: skip
            a, b, c = unscale(a, b, c)[:3]
            scale = np.sqrt(a) * np.sqrt(b)
            with np.errstate(invalid="ignore", divide="ignore"):
                exact = np.maximum(determinant(a, b, c), 0) / (scale * (scale + sign * c))
            value[near] = np.where(scale > 0, exact, 1)
        return value

    @cached_property
    def _angle(self) -> Array:
        gap = self.one_minus_rho
        angle = np.multiply(gap, 0.5, out=np.empty(self.shape, self.dtype))
        np.minimum(angle, 1, out=angle)
        np.sqrt(angle, out=angle)
        np.arcsin(angle, out=angle)
        np.multiply(angle, 2, out=angle)
        if gap.size and float(gap.max()) > 2 - NEAR:
            far = gap > 2 - NEAR
            rest = np.broadcast_to(self.one_plus_rho, gap.shape)[far]
            angle[far] = np.pi - 2 * np.arcsin(np.sqrt(rest * 0.5))
        return angle

    @property
    def angle(self) -> Array:
        """arccos(rho), exact to rounding at both ends."""
        return self._angle

    @cached_property
    def sine_squared(self) -> Array:
        """1 - rho^2, without cancellation."""
        gap = self.one_minus_rho
        squared = np.asarray(gap * (2 - gap))
        if gap.size and float(gap.max()) > 2 - NEAR:
            far = gap > 2 - NEAR
            rest = np.broadcast_to(self.one_plus_rho, gap.shape)[far]
            squared[far] = rest * (2 - rest)
        return squared

    @cached_property
    def sine(self) -> Array:
        """sin(angle) = sqrt(1 - rho^2)."""
        return np.asarray(np.sqrt(self.sine_squared))

    @cached_property
    def wedge(self) -> Array:
        """sin t - t cos t of the angle t, by its series t^3 / 3 - t^5 / 30 + ... for small t."""
        angle = self.angle
        value = np.multiply(angle, self.rho)
        value = np.subtract(self.sine, value, out=np.empty_like(angle))
        if angle.size and float(angle.min()) < SMALL:
            at = angle < SMALL
            t = angle[at]
            square = t * t
            total = np.zeros_like(t)
            for coefficient in (1 / 45360, -1 / 840, 1 / 30, -1 / 3):
                total = total * square - coefficient
            value[at] = total * t * square
        return value

    @cached_property
    def determinant(self) -> Array:
        """left right - cross^2 = left right (1 - rho^2)."""
        return np.asarray(self.left * self.right * self.sine_squared)

    @cached_property
    def distance(self) -> Array:
        """E (z_a - z_b)^2 = (s_a - s_b)^2 + 2 s_a s_b (1 - rho)."""
        return self._distance(self.one_minus_rho)

    @cached_property
    def distance_to_mirror(self) -> Array:
        """E (z_a + z_b)^2."""
        return self._distance(self.one_plus_rho)

    def _distance(self, gap: Array) -> Array:
        difference = np.asarray(_difference(self.left_std, self.right_std, self.left, self.right))
        return np.asarray(difference * difference + 2 * self.scale * gap)


def _difference(s: Array, t: Array, left: Array, right: Array) -> Array:
    """s - t = (s^2 - t^2) / (s + t)."""
    total = s + t
    return np.asarray((left - right) / np.where(total > 0, total, 1))


def _inverse(std: Array) -> Array:
    """1 / s, and 0 where s is 0 (a covariance with a constant is 0)."""
    with np.errstate(divide="ignore"):
        return np.where(std > 0, 1 / std, 0).astype(std.dtype, copy=False)


def determinant(a: Array, b: Array, c: Array) -> Array:
    """a b - c^2 with a relative error of a few roundings: products split after Dekker (1971),
    after scaling to avoid overflow; float32 in float64, where its products are exact."""
    if a.dtype == np.float32:
        a, b, c = (x.astype(float) for x in (a, b, c))
        return np.asarray(a * b - c * c)
    if a.dtype != np.float64:
        return np.asarray(a * b - c * c)
    x, y, z, p, q = unscale(a, b, c)
    high, low = exact_product(x, y)
    square, rest = exact_product(z, z)
    return np.asarray(np.ldexp((high - square) + (low - rest), 2 * (p + q)))


def unscale(a: Array, b: Array, c: Array) -> tuple[Array, Array, Array, Array, Array]:
    """Variances and covariance of the variables over powers of two 2^p and 2^q, and p and q: all
    products of these are exact up to their rounding."""
    p, q = np.frexp(a)[1] // 2, np.frexp(b)[1] // 2
    return np.ldexp(a, -2 * p), np.ldexp(b, -2 * q), np.ldexp(c, -p - q), p, q


def exact_product(x: Array, y: Array) -> tuple[Array, Array]:
    """x y and what rounding left out of it."""
    rounded = x * y
    (xh, xl), (yh, yl) = _split(x), _split(y)
    return rounded, ((xh * yh - rounded) + xh * yl + xl * yh) + xl * yl


def _split(x: Array) -> tuple[Array, Array]:
    scaled = 134217729.0 * x
    high = scaled - (scaled - x)
    return high, x - high


def gap_from_distance(distance: Any, left_std: Any, right_std: Any) -> Array:
    """1 - rho = (D - (s_a - s_b)^2) / (2 s_a s_b) from D = E (z_a - z_b)^2.

    Distances add over independent parts with their squared weights, as variances do, which is how
    gaps pass through sums. 1 where a variance is 0."""
    s, t = np.asarray(left_std), np.asarray(right_std)
    gap = np.maximum(distance - np.square(s - t), 0)
    return np.asarray(gap * (0.5 * _inverse(s)) * _inverse(t) + (1.0 * ((s == 0) | (t == 0))))
