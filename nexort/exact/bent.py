"""Expectations of u z + v |z| and of a + b sign(z) in few passes over a block.

The relu family's layers are most of the work of deep kernels. From the gap 1 - rho alone, with
theta = arccos(rho) and sin(theta) = sqrt(gap (2 - gap)):

    1 - rho' = gap - (2 / pi) v^2 / (u^2 + v^2) (sin(theta) - theta rho)      f = u z + v |z|
    E f(z_a) f(z_b) = (u^2 + v^2) s_a s_b rho'
    E g(z_a) g(z_b) = a^2 + b^2 (1 - 2 theta / pi)                            g = a + b sign(z)

rho' the correlation after f (Cho and Saul 2009), the same formulas as those of
``nexort.gaussian.orthant``, which takes over near rho = -1, where theta has to be found from
1 + rho. Where a gap is small, theta = 2 arcsin(sqrt(gap / 2)).
"""

from __future__ import annotations

import math
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from nexort.gaussian.covariance import Covariance
from nexort.gaussian.expectation import expect_pair
from nexort.gaussian.scratch import like
from nexort.gaussian.terms import normal_form
from nexort.gaussian.univariate import Univariate
from nexort.program.unrolled import Array

FAR = 1.98
"""Gaps above this are left to the general formulas."""

APART = {np.dtype(np.float64): 1e-3, np.dtype(np.float32): 0.1}
"""From these gaps on arccos(1 - gap) is exact to a few dozen roundings."""


class Bent:
    """A pair of variances and the gap of all their pairs; ``general`` is the covariance of the
    same for all other functions, its cross-covariance found from these where it is not given."""

    def __init__(self, left: Array, right: Array, gap: Array, cross: Array | None = None) -> None:
        self.left, self.right, self.gap, self.cross = left, right, gap, cross
        self._after: dict[float, Array] = {}

    @cached_property
    def general(self) -> Covariance:
        """With the cross-covariance."""
        left, right = self.scales
        cross = (1 - self.gap) * left * right if self.cross is None else self.cross
        return Covariance(self.left, self.right, cross, self.gap)

    @cached_property
    def near(self) -> bool:
        """Whether no pair is close to opposite."""
        return not self.gap.size or float(self.gap.max()) <= FAR

    @cached_property
    def apart(self) -> bool:
        """Whether no pair is nearly equal."""
        return float(self.gap.min(initial=2.0)) >= APART.get(self.gap.dtype, FAR)

    @cached_property
    def scales(self) -> tuple[Array, Array]:
        """The standard deviations."""
        return np.sqrt(self.left), np.sqrt(self.right)

    @cached_property
    def rho(self) -> Array:
        """1 - gap."""
        return np.subtract(1, self.gap, out=like(self.gap))

    @cached_property
    def angle(self) -> Array:
        """theta."""
        found = like(self.gap)
        if self.apart:
            return np.arccos(self.rho, out=found)
        np.multiply(self.gap, 0.5, out=found)
        np.sqrt(found, out=found)
        np.arcsin(found, out=found)
        return np.multiply(found, 2, out=found)

    def straight(self, u: float, v: float) -> Array:
        """E f(z_a) f(z_b) of f = u z + v |z|."""
        left, right = self.scales
        value = self.correlation(u, v)
        value *= left * (u * u + v * v)
        value *= right
        return value

    def correlation(self, u: float, v: float) -> Array:
        """rho', as an array of its own."""
        return np.subtract(1, self.after(u, v), out=like(self.gap))

    def after(self, u: float, v: float) -> Array:
        """The gap after f = u z + v |z|; its rounding must not make it negative."""
        if not v:
            return self.gap
        share = 2 / math.pi * v * v / (u * u + v * v)
        if share not in self._after:
            gap = self.gap
            found = np.subtract(2, gap, out=like(gap))
            np.multiply(found, gap, out=found)
            np.sqrt(found, out=found)
            other = np.multiply(self.angle, self.rho, out=like(gap))
            np.subtract(found, other, out=found)
            np.multiply(found, share, out=found)
            np.subtract(gap, found, out=found)
            self._after[share] = found if self.apart else np.abs(found, out=found)
        return self._after[share]

    def signs(self, a: float, b: float) -> Array:
        """E g(z_a) g(z_b) of g = a + b sign(z)."""
        found = np.multiply(self.angle, -2 * b * b / math.pi, out=like(self.gap))
        return np.add(found, a * a + b * b, out=found)


@lru_cache(4096)
def kind_of(f: Univariate) -> tuple[str, float, float] | None:
    """('straight', u, v), ('signs', a, b), or None for all other functions."""
    terms = normal_form(f.node)
    if not terms or not all(a.kink for a in terms):
        return None
    powers = {a.power for a in terms}
    plain = sum(c for a, c in terms.items() if not a.edge)
    edged = sum(c for a, c in terms.items() if a.edge)
    if powers == {1} and (plain or edged):
        return "straight", plain, edged
    if powers == {0} and edged:
        return "signs", plain, edged
    return None


def pair(f: Univariate, g: Univariate, covariance: Any) -> Array | None:
    """E f(z_a) g(z_b) where it is one of these, else None."""
    if f != g or not isinstance(covariance, Bent) or not covariance.near:
        return None
    found = kind_of(f)
    if found is None:
        return None
    name, x, y = found
    return covariance.straight(x, y) if name == "straight" else covariance.signs(x, y)


def correlation(f: Univariate, covariance: Any) -> Array:
    """E f(z_a) f(z_b) / (u^2 + v^2) s_a s_b of f = u z + v |z|; 0 where a variance is 0."""
    kind = kind_of(f)
    assert kind is not None
    _, u, v = kind
    if isinstance(covariance, Bent):
        if covariance.near:
            return covariance.correlation(u, v)
        covariance = covariance.general
    scale = (u * u + v * v) * covariance.left_std * covariance.right_std
    value = expect_pair(f, f, covariance).value
    found: Array = np.divide(value, scale, where=scale > 0, out=np.zeros_like(value))
    return found


def after(f: Univariate, covariance: Any) -> Array | None:
    """The gap after f where it is one of these, else None."""
    if not isinstance(covariance, Bent) or not covariance.near:
        return None
    found = kind_of(f)
    return covariance.after(*found[1:]) if found and found[0] == "straight" else None
