"""Hermite (Mehler) series: E f(z_a) g(z_b) = sum_k c_k(s_a) d_k(s_b) rho^k.

c_k(s) = E f(s x) h_k(x) with the orthonormal Hermite polynomials h_k. What is left out after K
terms is at most |rho|^(K + 1) [(E f^2 - sum c_k^2) (E g^2 - sum d_k^2)]^(1/2) (Cauchy and Schwarz).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from nexort.functions import Array
from nexort.gaussian.quadrature import breaks, density, integrate
from nexort.gaussian.univariate import Univariate, _compiled

TERMS = 96
SPARSE = 28
"""Coefficients at more standard deviations in one octave are interpolated from this many."""


@dataclass(frozen=True, slots=True)
class Coefficients:
    """``values[k]`` of shape (K, *shape of the variances), ``square`` = E f^2, ``error``: of each
    coefficient from quadrature, as a part of (E f^2)^(1/2)."""

    values: Array
    square: Array
    error: float

    def tail(self, k: int) -> Array:
        """(E f^2 - sum_{i <= k} c_i^2)^(1/2), not below what quadrature resolves."""
        rest = self.square - np.square(self.values[: k + 1]).sum(0)
        floor = (self.error + 1e-14) * self.square
        return np.asarray(np.sqrt(np.maximum(rest, floor)))


def coefficients(f: Univariate, variances: Any, rtol: float = 1e-8) -> Coefficients:
    """The first TERMS coefficients at every variance: one rule an octave of standard deviations,
    interpolated in log s where there are many."""
    variances = np.asarray(variances, float)
    distinct, where = np.unique(variances, return_inverse=True)
    std = np.sqrt(distinct)
    values = np.zeros((TERMS, len(std)))
    square = np.zeros(len(std))
    error = 0.0
    exponents = np.where(std > 0, np.frexp(std)[1], -10_000)
    for exponent in np.unique(exponents):
        at = exponents == exponent
        if exponent == -10_000:
            constant = float(f(np.zeros(1))[0])
            values[0, at], square[at] = constant, constant**2
            continue
        found, squares, part = _octave(f, int(exponent), std[at], min(rtol, 1e-8))
        values[:, at], square[at] = found, squares
        error = max(error, part)
    shape = variances.shape
    return Coefficients(
        values[:, where.ravel()].reshape(TERMS, *shape), square[where.ravel()].reshape(shape), error
    )


@lru_cache(256)
def _rule(f: Univariate, exponent: int, rtol: float) -> tuple[Array, Array, Array, float]:
    """Nodes z, weights, f(z) for s in [2^(e-1), 2^e], and the relative error of E f^2."""
    low, high = math.ldexp(1.0, exponent - 1), math.ldexp(1.0, exponent)
    run = _compiled(f.node)
    square = Univariate(f.node)

    def integrand(z: Array) -> Array:
        value = run(z)
        rows = []
        for s in (low, math.sqrt(2) * low, high):
            weight = density(z / s) / s
            rows += [value * weight, value * value * weight]
        with np.errstate(all="ignore"):
            found = np.stack(rows)
        return np.where(np.isfinite(found), found, 0)

    points = {x * high for x in breaks(square, high)}
    reachable = max(points)
    points |= set(np.arange(-13 * low, 13 * low + low / 4, low / 2).tolist())
    points |= {1.3 * reachable, -1.3 * reachable}
    found = integrate(integrand, points, 1e-2 * rtol**1.25)
    relative = float(np.max(found.error[1::2] / np.maximum(found.value[1::2], 1e-300)))
    return found.nodes, found.weights, run(found.nodes), relative


def _octave(f: Univariate, exponent: int, std: Array, rtol: float) -> tuple[Array, Array, float]:
    nodes, weights, value, relative = _rule(f, exponent, rtol)
    if len(std) <= SPARSE:
        return (*_transform(nodes, weights * value, weights * value * value, std), relative)
    low, high = math.log(std.min()), math.log(std.max())
    angles = (2 * np.arange(SPARSE) + 1) * np.pi / (2 * SPARSE)
    places = (low + high) / 2 + (high - low) / 2 * np.cos(angles)
    table, squares = _transform(nodes, weights * value, weights * value * value, np.exp(places))
    both = np.concatenate([table, squares[None]])
    spectrum = both @ np.cos(np.outer(angles, np.arange(SPARSE))) * (2 / SPARSE)
    spectrum[:, 0] /= 2
    size = np.sqrt(squares.max()) + 1e-300
    slack = float(np.abs(spectrum[:-1, -3:]).max() / size)
    t = np.clip((2 * np.log(std) - low - high) / (high - low), -1, 1)
    found = spectrum @ np.cos(np.outer(np.arange(SPARSE), np.arccos(t)))
    return found[:-1], found[-1], relative + slack


def _transform(z: Array, first: Array, second: Array, std: Array) -> tuple[Array, Array]:
    """c_k and E f^2 for each s: sums over z of f(z) h_k(z / s) density(z / s) / s."""
    x = z[None, :] / std[:, None]
    weight = density(x) / std[:, None]
    values = np.zeros((TERMS, len(std)))
    squares = weight @ second
    before, now = np.zeros_like(x), weight
    for k in range(TERMS):
        values[k] = now @ first
        before, now = now, (x * now - math.sqrt(k) * before) / math.sqrt(k + 1)
    return values, squares


def needed(f: Coefficients, g: Coefficients, rho: float, rtol: float) -> int | None:
    """The smallest K whose tail at |rho| is within rtol of the natural scale, None beyond TERMS."""
    scale = np.sqrt(float(f.square.max()) * float(g.square.max()))
    if scale == 0:
        return 0
    for k in range(TERMS):
        a = np.max(f.tail(k) / np.sqrt(np.maximum(f.square, 1e-300)))
        b = np.max(g.tail(k) / np.sqrt(np.maximum(g.square, 1e-300)))
        if rho ** (k + 1) * a * b <= rtol:
            return k
    return None


def evaluate(f: Coefficients, g: Coefficients, rho: Array, terms: int) -> Array:
    """sum_{k <= terms} c_k d_k rho^k by Horner's rule, in rho^2 where every second term is 0."""
    products = [k for k in range(terms + 1) if np.any(f.values[k]) and np.any(g.values[k])]
    tiny = 1e-17 * np.sqrt(float(f.square.max()) * float(g.square.max()))
    products = [
        k for k in products
        if float(np.abs(f.values[k]).max()) * float(np.abs(g.values[k]).max()) > tiny
    ]  # fmt: skip
    shape = np.broadcast_shapes(f.values.shape[1:], g.values.shape[1:], rho.shape)
    total = np.zeros(shape, rho.dtype)
    if not products:
        return total
    step = 2 if len({k % 2 for k in products}) == 1 else 1
    base = rho * rho if step == 2 else rho
    for k in range(products[-1], products[0] - 1, -step):
        if k != products[-1]:
            total *= base
        total += (f.values[k] * g.values[k]).astype(rho.dtype)
    for _ in range(products[0]):
        total *= rho
    return total
