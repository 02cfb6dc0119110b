"""Adaptive Gauss-Legendre quadrature of Gaussian expectations, panels split at kinks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np

from nexort.functions import Array
from nexort.gaussian.univariate import Univariate, _compiled

ORDER = 16
MAX_ROUNDS = 60
NARROW = 1e-20
"""Parts of a law around 0 that are narrower than this part of it weigh nothing."""
MAX_PANELS = 20_000
FARTHEST = 200.0
"""Where functions are looked at, in standard deviations."""


@cache
def legendre(order: int = ORDER) -> tuple[Array, Array]:
    """Nodes and weights on [-1, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(order)
    return nodes, weights


@dataclass(frozen=True, slots=True)
class Integral:
    """``value`` and ``error`` have the shape of the integrand's leading axes; nodes and weights
    are of the panels that were accepted."""

    value: Array
    error: Array
    nodes: Array
    weights: Array


def integrate(
    integrand: Callable[[Array], Array], breaks: Iterable[float], rtol: float
) -> Integral:
    """Integrals of functions (last axis: points) over panels between breaks, each panel halved
    until its halves agree with it within its share of rtol of the integrals of |integrand|."""
    edges = np.array(sorted(set(breaks)))
    low, high = edges[:-1], edges[1:]
    keep = high > low
    low, high = low[keep], high[keep]
    coarse = _panels(integrand, low, high)[0]
    total: Array | float = 0.0
    error: Array | float = 0.0
    kept: list[tuple[Array, Array]] = []
    magnitude = np.zeros(coarse.shape[:-1])
    for round_ in range(MAX_ROUNDS):
        middle = (low + high) / 2
        left, left_size = _panels(integrand, low, middle)
        right, right_size = _panels(integrand, middle, high)
        fine = left + right
        difference = np.abs(fine - coarse)
        magnitude = np.maximum(magnitude, (left_size + right_size).sum(-1) + 0.0)
        allowed = rtol * magnitude[..., None] / 64 + 1e-300
        fails = (difference > allowed).reshape(-1, len(low)).any(0)
        fails &= (middle > low) & (middle < high)
        if round_ == MAX_ROUNDS - 1 or fails.sum() > MAX_PANELS:
            fails[:] = False
        done = ~fails
        total = total + fine[..., done].sum(-1)
        error = error + difference[..., done].sum(-1)
        for a, b in ((low[done], middle[done]), (middle[done], high[done])):
            kept.append(_nodes(a, b))
        if done.all():
            break
        low, high = (
            np.stack([low[fails], middle[fails]], -1).ravel(),
            np.stack([middle[fails], high[fails]], -1).ravel(),
        )
        coarse = np.stack([left[..., fails], right[..., fails]], -1)
        coarse = coarse.reshape(*left.shape[:-1], -1)
    nodes = np.concatenate([k[0].ravel() for k in kept])
    weights = np.concatenate([k[1].ravel() for k in kept])
    rounding = 4e-15 * magnitude
    return Integral(np.asarray(total), np.asarray(error) + rounding, nodes, weights)


def _nodes(low: Array, high: Array) -> tuple[Array, Array]:
    x, w = legendre()
    half = (high - low)[:, None] / 2
    return (low + high)[:, None] / 2 + half * x, half * w


def _panels(integrand: Callable[[Array], Array], low: Array, high: Array) -> tuple[Array, Array]:
    nodes, weights = _nodes(low, high)
    values = integrand(nodes.ravel())
    values = values.reshape(*values.shape[:-1], *nodes.shape)
    return (values * weights).sum(-1), (np.abs(values) * weights).sum(-1)


def density(x: Array) -> Array:
    """The standard normal density."""
    value: Array = np.exp(-0.5 * np.square(x)) / np.sqrt(2 * np.pi)
    return value


@lru_cache(1024)
def reach(f: Univariate, std: float) -> float:
    """x beyond which |f(std x)| density(x) is below 1e-20 of its largest: infinite where it does
    not fall."""
    x = np.linspace(0, FARTHEST, 4001)
    run = _compiled(f.node)
    logs = np.full(x.shape, -np.inf)
    with np.errstate(all="ignore"):
        for side in (1.0, -1.0):
            size = np.log(np.abs(run(side * std * x)))
            logs = np.fmax(logs, size - x * x / 2)
    over = logs == np.inf
    logs[over] = -np.inf
    top = logs.max()
    if not np.isfinite(top):
        return 13.0
    last = np.flatnonzero(logs > top - 46)[-1]
    return math.inf if last == len(x) - 1 or over[last + 1] else float(max(13.0, x[last] + 0.5))


def breaks(f: Univariate, std: float, mean: float = 0.0, limit: float | None = None) -> list[float]:
    """Panels for E f(mean + std x) in x: uniform ones up to a limit, f's kinks, and grading around
    0 where f has features much narrower than std."""
    if limit is None:
        limit = reach(f, std) if mean == 0 else reach(f, std + abs(mean) / 13) + 1
    points = set(np.arange(-limit, limit + 0.25, 0.5).clip(-limit, limit).tolist())
    special = [0.0, *f.kinks]
    if std > 2:
        size = max(0.5, NARROW * std)
        while size < std * 0.5:
            special += [size, -size]
            size *= 1.5
    for z in special:
        x = (z - mean) / std
        if -limit < x < limit:
            points.add(x)
    return sorted(points)


@lru_cache(4096)
def moment_one(f: Univariate, std: float, rtol: float, mean: float = 0.0) -> tuple[float, float]:
    """E f(mean + std x) and an error."""
    run = _compiled(f.node)

    def integrand(x: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.where(density(x) > 0, run(mean + std * x) * density(x), 0)

    limit, cut = _extent(integrand) if reach(f, std) == math.inf else (None, 0.0)
    found = integrate(integrand, breaks(f, std, mean, limit), rtol)
    return float(found.value), float(found.error) + cut


def moment_two(
    f: Univariate, g: Univariate, left: float, right: float, rho: float, sine: float,
    rtol: float, means: tuple[float, float] = (0.0, 0.0),
) -> tuple[float, float]:  # fmt: skip
    """E f(m + left x) g(n + right (rho x + sine y)) and an error, the inner integral over y split
    at g's kinks for every x. One of the two may grow so that it has no mean of its own."""
    if reach(g, right) == math.inf:  # what grows is outside: the inner integral of the other falls
        f, g, left, right, means = g, f, right, left, (means[1], means[0])
    run_f, run_g = _compiled(f.node), _compiled(g.node)
    width = right * sine

    def inner(center: Array) -> Array:
        if width == 0:
            plain: Array = run_g(center)
            return plain
        grid, weights = _graded(center, width, g)
        values = run_g(center[:, None] + width * grid) * density(grid)
        total: Array = np.where(weights > 0, values * weights, 0).sum(-1)
        return total

    def integrand(x: Array) -> Array:
        with np.errstate(all="ignore"):
            weight = density(x)
            value = np.empty_like(x)
            for start in range(0, len(x), 2048):
                part = x[start : start + 2048]
                value[start : start + 2048] = inner(means[1] + right * rho * part)
            result: Array = np.where(weight > 0, run_f(means[0] + left * x) * value * weight, 0)
            return result

    limit, cut = _extent(integrand) if reach(f, left) == math.inf else (None, 0.0)
    points = set(breaks(f, left, means[0], limit))
    if rho and right:
        limit = max(points)
        centers = [(z - means[1]) / (right * rho) for z in (0.0, *g.kinks)]
        points.update(c for c in centers if -limit < c < limit)
        near = sine / abs(rho)
        steps = [s * near for s in (-6, -3, -1.5, 1.5, 3, 6)] if near < 0.5 else []
        points.update(c + d for c in centers for d in steps if -limit < c + d < limit)
    found = integrate(integrand, points, rtol)
    return float(found.value), float(found.error) + cut


def _extent(integrand: Callable[[Array], Array]) -> tuple[float, float]:
    """x beyond which |integrand| is below 1e-20 of its largest or no longer a number, and a bound
    on the integral beyond, where its logarithm falls at least as steeply as up to there."""
    x = np.linspace(0, FARTHEST, 4001)
    size = np.fmax(np.abs(integrand(x)), np.abs(integrand(-x)))
    size[np.isinf(size)] = 0.0
    top = np.nanmax(size)
    if not top > 0:
        return 13.0, 0.0
    last = int(np.flatnonzero(size > 1e-20 * top)[-1])
    before = last - max(last // 10, 1)
    fall = np.log(size[before] / size[last]) if last else 0.0
    steepness = fall / (x[last] - x[before])
    return float(x[last]), float(2 * size[last] / steepness) if steepness > 0 else math.inf


def _graded(center: Array, width: float, g: Univariate) -> tuple[Array, Array]:
    """Nodes and weights in y for each center: panels split at kinks and around 0."""
    limit = max(reach(g, width), 9.0)
    fixed = np.linspace(-limit, limit, int(np.ceil(limit / 0.75)) + 1)
    special = [0.0, *g.kinks]
    if width > 1:
        size = max(0.5, NARROW * width)
        while size < width * 2:
            special += [size, -size]
            size *= 1.7
    moving = (np.array(special)[None, :] - center[:, None]) / width
    edges = np.concatenate([np.broadcast_to(fixed, (len(center), len(fixed))), moving], 1)
    edges = np.sort(np.clip(edges, -limit, limit), axis=1)
    x, w = legendre()
    half = (edges[:, 1:] - edges[:, :-1]) / 2
    middle = (edges[:, 1:] + edges[:, :-1]) / 2
    nodes = middle[..., None] + half[..., None] * x
    weights = half[..., None] * w
    return nodes.reshape(len(center), -1), weights.reshape(len(center), -1)
