"""Which pairs of atoms have a closed form, and the numbers of those that do."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from nexort.activations import Array
from nexort.gaussian import direct, edges, orthant, stein, waves
from nexort.gaussian.covariance import Covariance
from nexort.gaussian.stein import wave_moment
from nexort.gaussian.terms import Atom, Terms, normal_form
from nexort.gaussian.univariate import Univariate, function

Evaluate = Callable[[Covariance], Array]


def is_known_pair(a: Atom, b: Atom) -> bool:
    """Whether E a(z_a) b(z_b) is known."""
    if (a.edges and b.edges) or (a.waves and b.waves):
        return True
    return (_monomial(a) and b.waves) or (_monomial(b) and a.waves)


def _monomial(a: Atom) -> bool:
    return a.edges and not a.tilt and not a.edge


@lru_cache(1024)
def split_known(f: Univariate, g: Univariate) -> tuple[Terms, Terms, Terms, Terms]:
    """f = f_known + f_rest and g likewise, every pair of known atoms with a closed form."""
    first, second = normal_form(f.node), normal_form(g.node)
    bad_f = {a for a in first if not all(is_known_pair(a, b) for b in second) and _hard(a, second)}
    bad_g = {b for b in second if not all(is_known_pair(a, b) for a in first if a not in bad_f)}
    return (
        {a: c for a, c in first.items() if a not in bad_f},
        {a: c for a, c in first.items() if a in bad_f},
        {b: d for b, d in second.items() if b not in bad_g},
        {b: d for b, d in second.items() if b in bad_g},
    )


def _hard(a: Atom, others: Terms) -> bool:
    return bool(a.other) or any(not b.other and not is_known_pair(a, b) for b in others)


@lru_cache(1024)
def pair_evaluator(f: Univariate, g: Univariate) -> Evaluate | None:
    """The closed form of E f(z_a) g(z_b) on arrays, None where there is none."""
    _, f_rest, _, g_rest = split_known(f, g)
    if f_rest or g_rest:
        return None
    first, second = normal_form(f.node), normal_form(g.node)
    multiple = gelu_like(f, g)
    if multiple is not None:
        slope, *factors = multiple
        return _multiplied(edges.gelu_slope_by_edges if slope else edges.gelu_by_edges, *factors)
    return of_terms(first, second)


def gelu_like(f: Univariate, g: Univariate) -> tuple[bool, float, float] | None:
    """(slope, c, s) with f(z) = g(z) = c h(s z), h gelu or its slope; else None."""
    if f == g:
        for slope, name in enumerate(("gelu", "gelu'")):
            found = _multiple(normal_form(f.node), _named(name))
            if found is not None:
                return bool(slope), *found
    return None


def of_terms(first: Terms, second: Terms) -> Evaluate:
    """The closed form for two sums whose atoms all have one."""
    u, v = orthant.straight(first), orthant.straight(second)
    if u is not None and v is not None:
        return lambda k: orthant.evaluate_straight(u, v, k)
    if all(a.kink for a in (*first, *second)):
        table = orthant.orthant_rows(first, second)
        return lambda k: orthant.orthant_sum(table, k)
    if all(a.edges for a in (*first, *second)):
        rate = direct.rate_of(first, second)
        if rate is None:
            return lambda k: edges.edge_sum(first, second, k)
        # asked here, since it is the same for all blocks
        return lambda k: (
            direct.direct_sum(first, second, k)
            if direct.applies(k, rate)
            else edges.edge_sum(first, second, k)
        )
    if all(a.waves for a in (*first, *second)):
        return lambda k: waves.wave_sum(first, second, k)
    return lambda k: _mixed(first, second, k)


def _multiplied(evaluate: Evaluate, factor: float, scale: float) -> Evaluate:
    """E f f of f(z) = factor h(scale z), from E h h."""
    if factor == 1 and scale == 1:
        return evaluate
    square, other = factor * factor, scale * scale

    def run(k: Covariance) -> Array:
        inner = k if scale == 1 else k.scaled(other)
        return np.asarray(square * evaluate(inner))

    return run


@lru_cache(16)
def _named(name: str) -> tuple[tuple[Atom, float], ...]:
    f = function(name.rstrip("'"))
    return tuple(normal_form((f.derivative() if name.endswith("'") else f).node).items())


def _multiple(terms: Terms, of: tuple[tuple[Atom, float], ...]) -> tuple[float, float] | None:
    """(c, s) with f(z) = c h(s z) for the sums f and h of powers, bumps and error functions."""
    edges = [sorted(a.edge for a in side) for side in (terms, dict(of))]
    if len(terms) != len(of) or not edges[0] or not edges[1][-1] or edges[0][-1] <= 0:
        return None
    scale = edges[0][-1] / edges[1][-1]
    scale = 1.0 if abs(scale - 1) < 1e-14 else scale
    ratios = []
    for b, d in of:
        a = next((a for a in terms if _is_scaled(a, b, scale)), None)
        if a is None:
            return None
        ratios.append(terms[a] / (d * scale**b.power))
    alike = all(abs(r - ratios[0]) < 4e-15 * abs(ratios[0]) for r in ratios)
    return (1.0 if abs(ratios[0] - 1) < 4e-15 else ratios[0], scale) if alike else None


def _is_scaled(a: Atom, b: Atom, scale: float) -> bool:
    """Whether a(z) is b(scale z), up to a factor."""
    near = (math.isclose(x, y, rel_tol=4e-15) for x, y in
            ((a.edge, b.edge * scale), (a.tilt, b.tilt * scale * scale)))  # fmt: skip
    return a.edges and a.power == b.power and all(near)


def _mixed(first: Terms, second: Terms, covariance: Covariance) -> Array:
    left, cross, right = covariance.left, covariance.cross, covariance.right
    total: Any = 0.0
    for a, c in first.items():
        for b, d in second.items():
            if (a.edges and b.edges) or (a.waves and b.waves):
                part: Any = of_terms({a: c}, {b: d})(covariance)
            elif a.edges:
                part = c * d * wave_moment(a.power, b, _Waves(left, cross, right))
            else:
                part = c * d * wave_moment(b.power, a, _Waves(right, cross, left))
            total = total + part
    return np.broadcast_to(np.asarray(total, covariance.dtype), covariance.shape)


@dataclass(frozen=True, slots=True)
class _Waves:
    """A law as ``nexort.gaussian.stein`` wants it, ``other`` the variance of z."""

    variance: Array
    cross: Array
    other: Array

    def total(self, terms: stein.Terms) -> Any:
        return sum((n * x * y for n, x, y in terms), 0.0)

    def mean(self, wave: Atom) -> Any:
        if wave.wave == "sin":
            return 0.0
        with np.errstate(over="ignore"):
            return np.exp((wave.slope**2 - wave.frequency**2) / 2 * self.other)
