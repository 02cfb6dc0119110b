"""Expectations of u z + v |z| and of a + b sign(z) in few passes over a block.

The relu family's layers are most of the work of deep kernels. From the gap 1 - rho alone, with
t = theta / 2 = arcsin(sqrt(gap / 2)) and w = (sin theta - theta rho) / 2:

    E f(z_a) f(z_b) = s_a s_b [(u^2 + v^2) rho + (4 / pi) v^2 w]          f = u z + v |z|
    1 - correlation after f = gap - c w,  c = (4 / pi) v^2 / (u^2 + v^2)
    E g(z_a) g(z_b) = a^2 + b^2 (1 - 4 t / pi)                            g = a + b sign(z)

(Cho and Saul 2009), the same formulas as those of ``nexort.gaussian.orthant``, which takes over
near rho = -1, where theta has to be found from 1 + rho.
"""

from __future__ import annotations

import math
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from nexort.gaussian.covariance import Covariance
from nexort.gaussian.terms import normal_form
from nexort.gaussian.univariate import Univariate
from nexort.program.unrolled import Array

FAR = 1.98
"""Gaps above this are left to the general formulas."""


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
    def scales(self) -> tuple[Array, Array]:
        """The standard deviations."""
        return np.sqrt(self.left), np.sqrt(self.right)

    @cached_property
    def half(self) -> Array:
        """theta / 2; leaves sin(theta) / 2 behind for the wedge."""
        square = np.multiply(self.gap, 0.5)
        root = np.sqrt(square)
        np.subtract(1, square, out=square)
        np.sqrt(square, out=square)
        self._sine = np.multiply(square, root, out=square)
        return np.arcsin(root, out=root)

    def straight(self, u: float, v: float) -> Array:
        """E f(z_a) f(z_b) of f = u z + v |z|: its correlation times the scales."""
        left, right = self.scales
        value = np.subtract(1, self.after(u, v))
        value *= left * (u * u + v * v)
        value *= right
        return value

    def after(self, u: float, v: float) -> Array:
        """The gap after f = u z + v |z|; its rounding must not make it negative."""
        if not v:
            return self.gap
        share = 4 / math.pi * v * v / (u * u + v * v)
        if share not in self._after:
            half = self.half
            found = np.subtract(1, self.gap)
            found *= half
            np.subtract(self._sine, found, out=found)
            found *= share
            np.subtract(self.gap, found, out=found)
            self._after[share] = np.abs(found, out=found)
        return self._after[share]

    def signs(self, a: float, b: float) -> Array:
        """E g(z_a) g(z_b) of g = a + b sign(z)."""
        found = np.multiply(self.half, -4 * b * b / math.pi)
        found += a * a + b * b
        return found


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


def after(f: Univariate, covariance: Any) -> Array | None:
    """The gap after f where it is one of these, else None."""
    if not isinstance(covariance, Bent) or not covariance.near:
        return None
    found = kind_of(f)
    return covariance.after(*found[1:]) if found and found[0] == "straight" else None
