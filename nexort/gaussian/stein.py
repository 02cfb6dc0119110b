"""Moments of products of atoms by Stein's lemma, E y F = Var(y) E dF/dy + Cov(y, z) E dF/dz.

The recursions are those of laws that are arrays (``nexort.gaussian.edges``, ``pairs``) and of laws
that are formulas (``nexort.limit.derive.families``) alike: a law says what is left in the end, and
how its numbers are added and multiplied.
"""

from __future__ import annotations

from typing import Any, Protocol, Self

from nexort.gaussian.terms import Atom

Terms = list[tuple[float, Any, Any]]


class SteinLaw(Protocol):
    """Of y and z: ``variance`` of y, and ``cross``, their covariance."""

    @property
    def variance(self) -> Any: ...

    @property
    def cross(self) -> Any: ...

    def total(self, terms: Terms) -> Any:
        """The sum of products of a number and two values of the law."""


class EdgeLaw(SteinLaw, Protocol):
    """A law under which error functions have expectations, ``weight`` that of 1."""

    @property
    def weight(self) -> Any: ...

    def mirrored(self) -> Self:
        """Of z and y."""

    def arcsine(self, u: float, v: float) -> Any:
        """E erf(u y) erf(v z)."""

    def left_edge(self, u: float) -> tuple[Any, Self]:
        """(a, L) with Var(y) E (d/dy erf(u y)) F = a E_L F."""

    def right_edge(self, v: float) -> tuple[Any, Self]:
        """(a, L) with Cov(y, z) E (d/dz erf(v z)) F = a E_L F."""


def edge_moment(j: int, u: float, k: int, v: float, law: EdgeLaw) -> Any:
    """E y^j erf(u y) z^k erf(v z), the error functions absent for u = 0, v = 0."""
    if (j + k + bool(u) + bool(v)) % 2:
        return law.total([])
    if j == 0 and k == 0:
        return law.arcsine(u, v) if u else law.weight
    if j == 0:
        return edge_moment(k, v, j, u, law.mirrored())
    terms: Terms = []
    if j >= 2:
        terms.append((j - 1, law.variance, edge_moment(j - 2, u, k, v, law)))
    if k:
        terms.append((k, law.cross, edge_moment(j - 1, u, k - 1, v, law)))
    if u:
        factor, inner = law.left_edge(u)
        terms.append((1, factor, edge_moment(j - 1, 0.0, k, v, inner)))
    if v:
        factor, inner = law.right_edge(v)
        terms.append((1, factor, edge_moment(j - 1, u, k, 0.0, inner)))
    return law.total(terms)


class WaveLaw(SteinLaw, Protocol):
    """A law under which waves and exponentials have expectations."""

    def mean(self, wave: Atom) -> Any:
        """E g(z)."""


def wave_moment(j: int, wave: Atom, law: WaveLaw) -> Any:
    """E y^j g(z)."""
    if j == 0:
        return law.mean(wave)
    following, factor = wave_slope(wave)
    terms: Terms = [(factor, law.cross, wave_moment(j - 1, following, law))]
    if j >= 2:
        terms.append((j - 1, law.variance, wave_moment(j - 2, wave, law)))
    return law.total(terms)


def wave_slope(wave: Atom) -> tuple[Atom, float]:
    """(atom, factor) of the derivative."""
    if wave.wave == "sin":
        return Atom(wave="cos", frequency=wave.frequency), wave.frequency
    if wave.wave == "cos":
        return Atom(wave="sin", frequency=wave.frequency), -wave.frequency
    return wave, wave.slope
