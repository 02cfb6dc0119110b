"""Hermite (Mehler) series: E f(z_a) g(z_b) = sum_k c_k(s_a) d_k(s_b) rho^k.

c_k(s) = E f(s x) h_k(x) with the orthonormal Hermite polynomials h_k. What is left out after K
terms is at most |rho|^(K + 1) [(E f^2 - sum c_k^2) (E g^2 - sum d_k^2)]^(1/2) (Cauchy and Schwarz).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from nexort.activations import Array
from nexort.gaussian.pointwise import array_evaluator
from nexort.gaussian.quadrature import breaks, density, integrate
from nexort.gaussian.univariate import Univariate

TERMS = 96
FEW, HEAVY = 8, 2**17
"""Terms of functions whose integrals take more nodes than that."""
SPARSE = 28
"""Coefficients are interpolated from this many standard deviations in an octave."""
UNDERFLOW = 1e-290
"""A mean square below this has lost digits."""
LIGHT = 1e-23
"""The part of a sum that a node may be left out for: there are fewer than 10^6."""
BLOCK = 2**15
"""Entries at a time."""


@dataclass(frozen=True)
class Coefficients:
    """``values[k]`` of shape (K, *shape of the variances), ``square`` = E f^2, ``error``: of each
    coefficient from quadrature, as a part of (E f^2)^(1/2)."""

    values: Array
    square: Array
    error: float

    def at(self, where: Array) -> Coefficients:
        """Those of the entries of a broadcast matrix at a mask, as a flat array."""
        square = np.broadcast_to(self.square, where.shape)[where]
        missing = (1,) * (where.ndim + 1 - self.values.ndim)
        values = self.values.reshape(TERMS, *missing, *self.values.shape[1:])
        full = np.broadcast_to(values, (TERMS, *where.shape))
        return Coefficients(full[:, where], square, self.error)

    @cached_property
    def scale(self) -> Array:
        """(E f^2)^(1/2)."""
        return np.asarray(np.sqrt(self.square))

    @cached_property
    def largest(self) -> Array:
        """The largest |c_k| / (E f^2)^(1/2) for every k."""
        parts = self.values / np.where(self.scale > 0, self.scale, 1)
        return np.asarray(np.abs(parts.reshape(TERMS, -1)).max(1))

    @cached_property
    def relative(self) -> Array:
        """The largest [1 - sum_{i <= k} c_i^2 / E f^2]^(1/2) for every k, not below what
        quadrature resolves."""
        if not self.square.size:
            return np.zeros(TERMS)
        square = np.maximum(self.square, UNDERFLOW)
        rest = 1 - np.cumsum(np.square(self.values), 0) / square
        found = np.maximum(rest.reshape(TERMS, -1).max(1), self.error + 1e-14)
        return np.asarray(np.sqrt(np.where(np.any(self.square > 0), found, 0)))


def coefficients(f: Univariate, variances: Any, rtol: float = 1e-8) -> Coefficients:
    """The first TERMS coefficients at every variance: one rule an octave of standard deviations,
    interpolated in log s where there are many."""
    variances = np.ascontiguousarray(variances, float)
    return _coefficients(f, variances.tobytes(), variances.shape, rtol)


@lru_cache(64)
def _coefficients(
    f: Univariate, buffer: bytes, shape: tuple[int, ...], rtol: float
) -> Coefficients:
    """Remembered, because a matrix in blocks asks for the same columns again and again."""
    variances = np.frombuffer(buffer, float).reshape(shape)
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
    return Coefficients(
        values[:, where.ravel()].reshape(TERMS, *shape), square[where.ravel()].reshape(shape), error
    )


@lru_cache(256)
def _rule(f: Univariate, exponent: int, rtol: float) -> tuple[Array, Array, Array, float]:
    """Nodes z and weights over 2^e, f(z) for s in [2^(e-1), 2^e], and the relative error of
    E f^2."""
    low, high = math.ldexp(1.0, exponent - 1), math.ldexp(1.0, exponent)
    run = array_evaluator(f.node)
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
    found = integrate(integrand, points, 1e-2 * rtol**1.25, f.singularities)
    squares: Array = np.maximum(found.value[1::2], UNDERFLOW)
    error: Array = found.error[1::2] / squares
    if f.singularities:  # what the nodes have not
        missing = np.broadcast_to(found.beyond, found.value.shape)
        error = error + missing[1::2] / squares + missing[::2] / np.sqrt(squares)
    relative = float(np.max(error))
    nodes, weights, values = found.nodes, np.ldexp(found.weights, -exponent), run(found.nodes)
    # panels around 0 that are much narrower than the law weigh nothing
    total = float(np.max(found.value[1::2], initial=0.0))
    sizes = weights * np.abs(values)
    kept = (sizes > LIGHT * math.sqrt(total)) | (sizes * np.abs(values) > LIGHT * total)
    return np.ldexp(nodes[kept], -exponent), weights[kept], values[kept], relative


def _octave(f: Univariate, exponent: int, std: Array, rtol: float) -> tuple[Array, Array, float]:
    """c_k and E f^2 at some s of one octave, and the relative error of E f^2."""
    nodes, weights, value, relative = _rule(f, exponent, rtol)
    std = np.ldexp(std, -exponent)
    spectrum, slack = _spectrum(f, exponent, rtol)
    if slack > max(1e-4 * rtol, 1e-13):
        return (*_transform(nodes, weights * value, weights * value * value, std), relative)
    t = np.clip(2 * np.log2(std) + 1, -1, 1)
    found = spectrum @ np.cos(np.outer(np.arange(SPARSE), np.arccos(t)))
    return found[:-1], found[-1], relative + slack


@lru_cache(256)
def _spectrum(f: Univariate, exponent: int, rtol: float) -> tuple[Array, float]:
    """The Chebyshev coefficients in log s over an octave of every c_k, then of E f^2, and the size
    of the last of them relative to (E f^2)^(1/2)."""
    nodes, weights, value, _ = _rule(f, exponent, rtol)
    angles = (2 * np.arange(SPARSE) + 1) * np.pi / (2 * SPARSE)
    places = np.exp2((np.cos(angles) - 1) / 2)
    table, squares = _transform(nodes, weights * value, weights * value * value, places)
    both = np.concatenate([table, squares[None]])
    spectrum = both @ np.cos(np.outer(angles, np.arange(SPARSE))) * (2 / SPARSE)
    spectrum[:, 0] /= 2
    least = float(squares.min())
    if not least > UNDERFLOW:
        return spectrum, math.inf
    slack = float(np.abs(spectrum[:-1, -3:]).max()) / math.sqrt(least)
    return spectrum, slack + float(np.abs(spectrum[-1, -3:]).max()) / least


def _transform(z: Array, first: Array, second: Array, std: Array) -> tuple[Array, Array]:
    """c_k and E f^2 for each s: sums over z of f(z) h_k(z / s) density(z / s) / s; c_k that are
    left out where there are many z are 0, and a part of what is left over."""
    x = z[None, :] / std[:, None]
    weight = density(x) / std[:, None]
    values = np.zeros((TERMS, len(std)))
    squares = weight @ second
    before, now = np.zeros_like(x), weight
    for k in range(TERMS if len(z) <= HEAVY else FEW):
        values[k] = now @ first
        before, now = now, (x * now - math.sqrt(k) * before) / math.sqrt(k + 1)
    return values, squares


def terms_needed(f: Coefficients, g: Coefficients, rho: float, rtol: float) -> int | None:
    """The smallest K whose tail at |rho| is within rtol of the natural scale, None beyond TERMS."""
    bound = f.relative * g.relative * rho ** np.arange(1, TERMS + 1)
    enough = np.flatnonzero(bound <= rtol)
    return int(enough[0]) if len(enough) else None


def series_reach(f: Coefficients, g: Coefficients, terms: int, rtol: float) -> float:
    """The largest |rho| at which K = terms is within rtol of the natural scale."""
    left_over = max(float(f.relative[terms] * g.relative[terms]), 1e-300)
    return float(min(1.0, (rtol / left_over) ** (1 / (terms + 1))))


def sparing(f: Coefficients, g: Coefficients, rho: Array, terms: int, rtol: float) -> Array:
    """:func:`series_sum`, with few terms first where that is enough for all but few entries (the
    diagonal of a Gram matrix, say), which then get all."""
    for few in (3, 7, 15, 31):
        if few >= terms or rho.size < 4096:
            break
        limit = series_reach(f, g, few, rtol)
        rest = (rho > limit) | (rho < -limit)
        if np.count_nonzero(rest) <= rho.size // 50:
            value = series_sum(f, g, rho, few)
            if rest.any():
                value[rest] = series_sum(f.at(rest), g.at(rest), rho[rest], terms)
            return value
    return series_sum(f, g, rho, terms)


def series_sum(f: Coefficients, g: Coefficients, rho: Array, terms: int) -> Array:
    """sum_{k <= terms} c_k d_k rho^k by Horner's rule, in rho^2 where every second term is 0,
    over blocks of rows that stay in cache."""
    shape = np.broadcast_shapes(f.values.shape[1:], g.values.shape[1:], rho.shape)
    total = np.zeros(shape)
    if not total.size:
        return total
    kept = np.flatnonzero((f.largest * g.largest)[: terms + 1] > 1e-17).tolist()
    if not kept:
        return total
    flat = shape or (1,)
    first, second = _aligned(f.values, flat), _aligned(g.values, flat)
    powers = _aligned(rho[None], flat)
    result = total.reshape(flat)
    rows = max(1, BLOCK * len(result) // result.size)
    for start in range(0, len(result), rows):
        at = slice(start, start + rows)
        _horner(result[at], _block(first, at), _block(second, at), _block(powers, at)[0], kept)
    return total


def _aligned(values: Array, shape: tuple[int, ...]) -> Array:
    """With as many axes after the first as the result has."""
    missing = len(shape) - (values.ndim - 1)
    return values.reshape(values.shape[0], *(1,) * missing, *values.shape[1:])


def _block(values: Array, at: slice) -> Array:
    return values[:, at] if values.shape[1] > 1 else values


def _horner(total: Array, first: Array, second: Array, rho: Array, kept: list[int]) -> None:
    step = 2 if len({k % 2 for k in kept}) == 1 else 1
    base = rho * rho if step == 2 else rho
    product = np.empty_like(total)
    for k in range(kept[-1], kept[0] - 1, -step):
        if k != kept[-1]:
            np.multiply(total, base, out=total)
        np.multiply(first[k], second[k], out=product)
        np.add(total, product, out=total)
    for _ in range(kept[0]):
        np.multiply(total, rho, out=total)
