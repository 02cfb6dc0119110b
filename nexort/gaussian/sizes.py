"""Sizes of functions of Gaussians: what the roundings of their expectations are relative to.

By Cauchy and Schwarz |E f(z_a) g(z_b)| <= |f| |g| with |f|^2 = E f(z_a)^2: the size of an entry of
a kernel is that of its row times that of its column, whatever the other entries are. A sum of atoms
that cancel has the roundings of its terms, so that its size is the sum of theirs.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from nexort.activations import Array
from nexort.gaussian import series
from nexort.gaussian.covariance import Covariance
from nexort.gaussian.growth import quadratic_growth
from nexort.gaussian.quadrature import is_square_integrable
from nexort.gaussian.terms import INFINITE, Atom, normal_form
from nexort.gaussian.univariate import Univariate

FIRST = 8
"""Terms of Mehler's sum."""


def size_of_terms(f: Univariate, variance: Any, rtol: float = 1e-8) -> Array:
    """sum_i |c_i| (E a_i(z)^2)^(1/2), at least, over the atoms of f = sum_i c_i a_i, for z of these
    variances; infinite where f^2 has no expectation."""
    variance = np.asarray(variance, float)
    terms = normal_form(f.node)
    with np.errstate(all="ignore"):
        if any(a.other for a in terms):
            return _numeric(f, variance, rtol)
        total = np.zeros(variance.shape)
        for atom, c in terms.items():
            total = total + abs(c) * _atom(atom, variance)
    return np.where(np.isnan(total), np.inf, total)


def overlap(f: Univariate, g: Univariate, k: Covariance, rtol: float = 1e-8) -> Array:
    """|E f(y) g(z)| from above: the first terms of Mehler's sum_k a_k b_k rho^k, and Cauchy and
    Schwarz for the rest."""
    whole = size_of_terms(f, k.left, rtol) * size_of_terms(g, k.right, rtol)
    if not np.isfinite(whole).all():
        return whole
    a, b = series.coefficients(f, k.left, rtol), series.coefficients(g, k.right, rtol)
    rho = k.rho
    total: Array = np.zeros(k.shape)
    first, second = a.square, b.square
    for j in range(FIRST):
        total = total + a.values[j] * b.values[j] * rho**j
        first, second = first - a.values[j] ** 2, second - b.values[j] ** 2
    first, second = (
        np.maximum(x, (c.error + 1e-14) * c.square) for x, c in ((first, a), (second, b))
    )
    return np.asarray(
        np.minimum(whole, np.abs(total) + np.abs(rho) ** FIRST * np.sqrt(first * second))
    )


@lru_cache(4096)
def rounding_order(f: Univariate) -> int:
    """How many roundings a closed form of f takes, up to a factor."""
    terms = normal_form(f.node)
    return 1 + max(a.power + 2 * bool(a.tilt or 0 < a.edge < INFINITE) for a in terms)


def _numeric(f: Univariate, variance: Array, rtol: float) -> Array:
    q = quadratic_growth(f.node)
    grows = q and variance.size and not 4 * q * float(variance.max()) < 1
    if grows or not is_square_integrable(f):
        return np.full(variance.shape, np.inf)
    return np.sqrt(series.coefficients(f, variance, rtol).square)


def _atom(a: Atom, variance: Array) -> Array:
    """(E a(z)^2)^(1/2), from above: with exp(-tilt z^2 + 2 slope z) the law is that of variance
    v = s^2 / (1 + 2 tilt s^2) and mean 2 slope v, |sin(w z)| <= min(1, w |z|), and
    |erf(e z)| <= min(1, 2 e |z| / pi^(1/2))."""
    room = 1 + 2 * a.tilt * variance
    v = np.where(room > 0, variance / room, np.inf)
    factor = np.exp(a.slope * a.slope * v) / np.sqrt(np.sqrt(np.where(room > 0, room, 1)))
    found = factor * _power(a.power, v, a.slope)
    more = factor * _power(a.power + 1, v, a.slope)
    if a.wave == "sin":
        found = np.minimum(found, a.frequency * more)
    if 0 < abs(a.edge) < INFINITE:
        found = np.minimum(found, 2 / math.sqrt(math.pi) * abs(a.edge) * more)
    return np.asarray(found)


def _power(p: int, v: Array, slope: float) -> Array:
    """(E z^(2p))^(1/2) of variance v and mean m = 2 slope v, from above: that of mean 0, else
    2^p (|m|^p + (E x^(2p))^(1/2))."""
    own = np.sqrt(v) ** p * math.sqrt(math.prod(range(2 * p - 1, 0, -2)))
    if not slope or not p:
        return np.asarray(own)
    return np.asarray(2.0**p * (np.abs(2 * slope * v) ** p + own))
