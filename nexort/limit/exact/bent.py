"""Expectations of u z + v |z| and of a + b sign(z) in few passes over a block.

The relu family's layers are most of the work of deep kernels. With theta = arccos(rho) and
share = (2 / pi) v^2 / (u^2 + v^2), for f = u z + v |z| and g = a + b sign(z):

    rho' = (1 - share theta) rho + share sin(theta)
    1 - rho' = gap - share (sin(theta) - theta rho)
    E f(z_a) f(z_b) = (u^2 + v^2) s_a s_b rho'
    E g(z_a) g(z_b) = (a^2 + b^2) (1 - 2 theta / pi b^2 / (a^2 + b^2))

rho' the correlation after f (Cho and Saul 2009), the same formulas as those of
``nexort.gaussian.orthant``, which takes over near rho = -1, where gaps are 1 + rho. Where no gap
1 - rho of a block is small correlations are carried from layer to layer, else gaps, with
theta = 2 arcsin(sqrt(gap / 2)).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from nexort.gaussian import sides
from nexort.gaussian.covariance import Covariance
from nexort.gaussian.expectation import expect_pair, gap_after
from nexort.gaussian.scratch import like
from nexort.gaussian.terms import normal_form
from nexort.gaussian.univariate import Univariate
from nexort.program.unrolled import Array

FAR = 2 - sides.OPPOSITE
"""Gaps above this are left to the general formulas."""

APART = {np.dtype(np.float64): 1e-3, np.dtype(np.float32): 0.1}
"""From these gaps on arccos(1 - gap) is exact to a few dozen roundings."""


class Bent:
    """A pair of variances, and the gap (of ``nexort.gaussian.sides``) or the correlation of all
    their pairs; ``bounds`` as of :attr:`bounds`, where they are known. ``general`` is the
    covariance of the same for all other functions, its cross-covariance found from these where it
    is not given."""

    def __init__(
        self,
        left: Array,
        right: Array,
        gap: Array | None = None,
        cross: Array | None = None,
        rho: Array | None = None,
        bounds: tuple[float, float] | None = None,
    ) -> None:
        self.left, self.right, self.cross = left, right, cross
        self._gap, self._rho, self._bounds = gap, rho, bounds
        self._sloped: dict[float, Array] = {}
        self._after: dict[float, Carried] = {}

    @cached_property
    def general(self) -> Covariance:
        """With the cross-covariance."""
        left, right = self.scales
        cross = sides.correlation(self.gap) * left * right if self.cross is None else self.cross
        return Covariance(self.left, self.right, cross, self.gap)

    @property
    def gap(self) -> Array:
        """1 - rho."""
        if self._gap is None:
            self._gap = np.subtract(1, self.rho, out=like(self.rho))
        return self._gap

    @property
    def rho(self) -> Array:
        """The correlations."""
        if self._rho is None:
            self._rho = np.subtract(1, self.gap, out=like(self.gap))
        return self._rho

    @property
    def bounds(self) -> tuple[float, float]:
        """Between which the correlations are that are not 1, which stays 1 in every layer."""
        if self._bounds is None:
            gap = self.gap
            least = float(gap.min(initial=2.0))
            if least < 0:  # near to opposite
                self._bounds = -1.0, 1.0
                return self._bounds
            if least == 0:
                least = float(gap.min(initial=2.0, where=gap > 0))
            self._bounds = 1 - float(gap.max(initial=0.0)), 1 - least
        return self._bounds

    @property
    def near(self) -> bool:
        """Whether no pair is close to opposite."""
        return self.bounds[0] >= 1 - FAR

    def serves(self, name: str) -> bool:
        """Whether a kind of functions has its expectations here: u + v sign(z) is no such function
        where z is 0."""
        return self.near and (name == "straight" or bool(self.left.all() and self.right.all()))

    @property
    def apart(self) -> bool:
        """Whether no pair is nearly, and not entirely, equal."""
        dtype = (self._gap if self._rho is None else self._rho).dtype  # type: ignore[union-attr]
        return self.bounds[1] <= 1 - APART.get(dtype, FAR)

    @cached_property
    def scales(self) -> tuple[Array, Array]:
        """The standard deviations."""
        return np.sqrt(self.left), np.sqrt(self.right)

    @cached_property
    def _half(self) -> Array:
        """theta / 2, from gaps."""
        found = np.multiply(self.gap, 0.5, out=like(self.gap))
        np.sqrt(found, out=found)
        return np.arcsin(found, out=found)

    def sloped(self, share: float) -> Array:
        """1 - share theta, not to be written to."""
        for known, found in self._sloped.items():
            if math.isclose(known, share, rel_tol=4e-16):
                return found
        if self.apart:
            found = np.arccos(self.rho, out=like(self.rho))
            np.multiply(found, -share, out=found)
        else:
            found = np.multiply(self._half, -2 * share, out=like(self._half))
        self._sloped[share] = np.add(found, 1, out=found)
        return found

    def straight(self, u: float, v: float) -> Array:
        """E f(z_a) f(z_b) of f = u z + v |z|."""
        left, right = self.scales
        value = self.correlation(u, v)
        value = np.multiply(value, left * (u * u + v * v), out=like(value))
        return np.multiply(value, right, out=value)

    def correlation(self, u: float, v: float) -> Array:
        """rho', not to be written to."""
        return self._carried(u, v).correlation()

    def after(self, u: float, v: float) -> Array:
        """The gap after f = u z + v |z|, not to be written to."""
        return self._carried(u, v).distance()

    def child(self, u: float, v: float, left: Array, right: Array) -> Bent:
        """Of multiples of f(z_a) and f(z_b), with these variances."""
        carried = self._carried(u, v)
        return Bent(left, right, carried.gap, None, carried.rho, carried.bounds)

    def _carried(self, u: float, v: float) -> Carried:
        share = 2 / math.pi * v * v / (u * u + v * v)
        if share not in self._after:
            if not v:
                found = Carried(self._gap, self._rho, self._bounds)
            elif self.apart:
                found = Carried(None, self._rho_after(share), self._bounds_after(share))
            else:
                found = Carried(self._gap_after(share), None, None)
            self._after[share] = found
        return self._after[share]

    def _rho_after(self, share: float) -> Array:
        rho = self.rho
        sine = np.multiply(rho, rho, out=like(rho))
        np.subtract(1, sine, out=sine)
        np.sqrt(sine, out=sine)
        np.multiply(sine, share, out=sine)
        found = np.multiply(rho, self.sloped(share), out=like(rho))
        return np.add(found, sine, out=found)

    def _bounds_after(self, share: float) -> tuple[float, float] | None:
        """By the slope 1 - share theta of rho', where it is positive; with room for roundings."""
        if share * math.acos(self.bounds[0]) > 1:
            return None
        eps = 16 * float(np.finfo(self.rho.dtype).eps)
        low, high = (
            x * (1 - share * math.acos(x)) + share * math.sqrt(1 - x * x) for x in self.bounds
        )
        return low - eps, high + eps

    def _gap_after(self, share: float) -> Array:
        """Rounding must not make it negative."""
        gap = self.gap
        found = np.subtract(2, gap, out=like(gap))
        np.multiply(found, gap, out=found)
        np.sqrt(found, out=found)
        other = np.multiply(self._half, self.rho, out=like(gap))
        np.multiply(other, 2, out=other)
        np.subtract(found, other, out=found)
        np.multiply(found, share, out=found)
        np.subtract(gap, found, out=found)
        return np.abs(found, out=found)

    def signs(self, a: float, b: float) -> Array:
        """E g(z_a) g(z_b) of g = a + b sign(z)."""
        found = self.signs_after(a, b)
        return np.multiply(found, a * a + b * b, out=like(found))

    def signs_after(self, a: float, b: float) -> Array:
        """E g(z_a) g(z_b) / (a^2 + b^2) of g = a + b sign(z), not to be written to."""
        return self.sloped(2 / math.pi * b * b / (a * a + b * b))


@dataclass
class Carried:
    """Correlations after a function, or their gaps."""

    gap: Array | None
    rho: Array | None
    bounds: tuple[float, float] | None

    def correlation(self) -> Array:
        """rho'."""
        if self.rho is None:
            assert self.gap is not None
            self.rho = np.subtract(1, self.gap, out=like(self.gap))
        return self.rho

    def distance(self) -> Array:
        """1 - rho'."""
        if self.gap is None:
            assert self.rho is not None
            self.gap = np.subtract(1, self.rho, out=like(self.rho))
        return self.gap


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


def bent_pair(f: Univariate, g: Univariate, covariance: Any) -> Array | None:
    """E f(z_a) g(z_b) where it is one of these, else None."""
    found = kind_of(f)
    if f != g or found is None or not isinstance(covariance, Bent):
        return None
    name, x, y = found
    if not covariance.serves(name):
        return None
    return covariance.straight(x, y) if name == "straight" else covariance.signs(x, y)


def bent_correlation(f: Univariate, covariance: Any) -> Array:
    """E f(z_a) f(z_b) / (u^2 + v^2), of f = u z + v |z| also divided by s_a s_b, 0 where that is 0;
    of f = u + v sign(z). Not to be written to."""
    kind = kind_of(f)
    assert kind is not None
    name, u, v = kind
    if isinstance(covariance, Bent):
        if covariance.serves(name):
            straight = name == "straight"
            return covariance.correlation(u, v) if straight else covariance.signs_after(u, v)
        covariance = covariance.general
    scale = np.full(covariance.shape, u * u + v * v, covariance.dtype)
    if name == "straight":
        scale *= covariance.left_std * covariance.right_std
    value = expect_pair(f, f, covariance).value
    found: Array = np.divide(value, scale, where=scale > 0, out=np.zeros_like(value))
    return found


def child(f: Univariate, parent: Any, left: Array, right: Array) -> Any:
    """The covariance of multiples of f(z_a) and f(z_b) with these variances, f of one kind."""
    kind = kind_of(f)
    if kind is not None and kind[0] == "straight" and isinstance(parent, Bent) and parent.near:
        return parent.child(*kind[1:], left, right)
    general = parent.general if isinstance(parent, Bent) else parent
    return Bent(left, right, gap_after(f, general))


def after(f: Univariate, covariance: Any) -> Array | None:
    """The gap after f where it is one of these, else None."""
    if not isinstance(covariance, Bent) or not covariance.near:
        return None
    found = kind_of(f)
    return covariance.after(*found[1:]) if found and found[0] == "straight" else None
