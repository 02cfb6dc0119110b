"""Adaptive Gauss-Legendre quadrature of Gaussian expectations, panels split at kinks.

At a singularity p, where functions are like t^a log(t)^b at the distance t, panels next to it are
integrals over s, t = h exp(-s), and what is left beyond the last s by the law there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise

import numpy as np

from nexort import activations
from nexort.activations import Array
from nexort.gaussian.pointwise import array_evaluator
from nexort.gaussian.precise import Bounded, value_near, with_error
from nexort.gaussian.tails import STEP, beyond
from nexort.gaussian.univariate import Univariate
from nexort.gaussian.variable import SLOT
from nexort.program.nodes import Node, Op, walk

ORDER = 16
MAX_ROUNDS = 60
NARROW = 1e-20
"""Parts of a law around 0 that are narrower than this part of it weigh nothing."""
MAX_PANELS = 1_000
ROUNDING, FEW = 4 * float(np.finfo(float).eps), 16
"""Of a function in floats, as a part; and so many of them."""
LOOKED_AT, LOOKED_TWICE = 64, 2.0
"""Nodes at which a function's roundings are looked at, and how much more others may lose."""
FARTHEST = 200.0
"""Where functions are looked at, in standard deviations."""
DEEPEST = 160.0
"""The largest s: fourth powers of exp(-s) do not underflow."""
RESOLVED = 1e-12
"""Distances from a point other than 0 are known down to this part of it."""
NOISE = 1e-3
"""What roundings make of functions there, as a part."""
GRADE = 5.0
DEPTH = 27
"""Panels next to a singularity of an inner integral, each so many times as wide as the last."""
EPS = float(np.finfo(float).eps)
GRADED = 1e-13
"""Their error, as a part."""


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
    beyond: Array | float = 0.0
    """The size of what the value has and the nodes have not."""


def integrate(
    integrand: Callable[[Array], Array],
    breaks: Iterable[float],
    rtol: float,
    singular: Iterable[float] = (),
) -> Integral:
    """Integrals of functions (last axis: points) between the outermost breaks."""
    points = set(breaks)
    low, high = min(points), max(points)
    poles = {p for p in singular if low <= p <= high}
    points |= poles
    edges = sorted(points)
    points.update((a + b) / 2 for a, b in pairwise(edges) if a in poles and b in poles)
    edges = sorted(points)
    panels = list(pairwise(edges))
    plain = [x for x in panels if not poles.intersection(x)]
    parts = [_adaptive(integrand, np.array(plain), rtol)] if plain else []
    for a, b in panels:
        if a in poles or b in poles:
            parts.append(_towards(integrand, *((a, b) if a in poles else (b, a)), rtol))
    if len(parts) == 1:
        return parts[0]
    return Integral(
        np.asarray(sum(x.value for x in parts)),
        np.asarray(sum(x.error for x in parts)),
        np.concatenate([x.nodes for x in parts]),
        np.concatenate([x.weights for x in parts]),
        np.asarray(sum(x.beyond for x in parts)),
    )


def _towards(integrand: Callable[[Array], Array], p: float, end: float, rtol: float) -> Integral:
    """From a singularity p to an end, h away: with t = h exp(-s),

    int_0^S F(s) ds + int_S^oo F(s) ds,    F(s) = t f(p + t) ~ exp(-r s) s^b.
    """
    h = end - p
    last = min(DEEPEST, math.log(abs(h) / (RESOLVED * abs(p)))) if p else DEEPEST
    if last < 2 * STEP:
        return _adaptive(integrand, np.array([sorted((p, end))]), rtol)

    def moved(s: Array) -> Array:
        t = np.exp(-s)
        return integrand(p + h * t) * (abs(h) * t)

    edges = [0.0, *(x for x in 2.0 ** np.arange(8) if x < last), last]
    found = _adaptive(moved, np.array(list(pairwise(edges))), rtol)
    nearer = min(math.log(abs(h)), 0.0)
    tail, error = beyond(lambda s: moved(s + nearer), last - nearer)
    if p:
        error = error + NOISE * np.abs(tail)
    t = np.exp(-found.nodes)
    return Integral(
        found.value + tail, found.error + error, p + h * t, found.weights * abs(h) * t,
        np.abs(tail),
    )  # fmt: skip


def _adaptive(integrand: Callable[[Array], Array], panels: Array, rtol: float) -> Integral:
    """Each panel halved until its halves agree with it within its share of rtol of the integrals
    of |integrand|."""
    low, high = panels.T
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
def density_reach(f: Univariate, std: float) -> float:
    """x beyond which |f(std x)| density(x) is below 1e-20 of its largest: infinite where it does
    not fall."""
    x = np.linspace(0, FARTHEST, 4001)
    run = array_evaluator(f.node)
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


class OutOfRange(Exception):
    """A function whose values, weighed by the density, are beyond floating point."""

    def __init__(self, function: Univariate) -> None:
        super().__init__("an expectation is beyond floating point")
        self.function = function


def breaks(f: Univariate, std: float, mean: float = 0.0, limit: float | None = None) -> list[float]:
    """Panels for E f(mean + std x) in x: uniform ones up to a limit, f's kinks, and grading around
    0 where f has features much narrower than std. Raises OutOfRange."""
    if limit is None:
        limit = density_reach(f, std) if mean == 0 else density_reach(f, std + abs(mean) / 13) + 1
    if limit == math.inf:
        raise OutOfRange(f)
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


def _lost(f: Univariate, found: Integral, std: float, mean: float) -> float:
    """What roundings of f change in E f: a bound, function by function; where that is more than a
    few roundings, as it is at some of the nodes that E f was found from."""
    z = mean + std * found.nodes
    with np.errstate(all="ignore"):
        shown = array_evaluator(f.node)(z)
        weights = density(found.nodes) * found.weights
        most = float((_roundings(f.node, z) * weights).sum())
        if most <= FEW * ROUNDING * float((np.abs(shown) * weights).sum()):
            return most
        order = np.argsort(found.nodes)
        parts = np.array_split(order, min(LOOKED_AT, len(order)))
        middle = [part[len(part) // 2] for part in parts]
        true = np.array([value_near(f.node, float(p)) for p in z[middle]])
        off = np.abs(shown[middle] - true)
        # of what is right in size as a part of it, which varies less
        part_of = np.array([(np.abs(shown) * weights)[part].sum() for part in parts]) / true
        whole = np.array([weights[part].sum() for part in parts])
        lost = off * np.where(np.abs(shown[middle]) > np.abs(true) / 2, np.abs(part_of), whole)
    return LOOKED_TWICE * float(lost[np.isfinite(lost)].sum())


def lost_size(f: Univariate, variance: Array) -> float:
    """The largest (E d^2)^(1/2) over some variances, d what roundings change in f(z) where they
    are more than a few; 0 where they are not."""
    variance = variance[variance > 0]
    if not variance.size:
        return 0.0
    octaves = np.frexp(np.sqrt([variance.min(), variance.max()]))[1]
    return max(_lost_size(f, k) for k in range(int(octaves[0]) - 1, int(octaves[1]) + 1))


@lru_cache(4096)
def _lost_size(f: Univariate, octave: int) -> float:
    x, w = np.polynomial.hermite_e.hermegauss(LOOKED_AT)
    w = w / math.sqrt(2 * math.pi)
    z = math.ldexp(1.0, octave) * x
    with np.errstate(all="ignore"):
        shown = array_evaluator(f.node)(z)
        most = _roundings(f.node, z)
        if (w * most**2).sum() <= (FEW * ROUNDING) ** 2 * (w * shown**2).sum():
            return 0.0
        true = np.array([value_near(f.node, float(p)) for p in z])
        lost = w * (shown - true) ** 2
    return float(np.sqrt(lost[np.isfinite(lost)].sum()))


def _roundings(node: Node, z: Array) -> Array:
    """A bound on what floats lose of a graph, function by function (`with_error`)."""
    found: dict[Node, Bounded] = {SLOT: (z, 0.0)}
    for x in walk([node]):
        if x.op is Op.CONST:
            found[x] = float(x.attr), abs(float(x.attr)) * ROUNDING
        elif x.op is Op.CALL:
            evaluate = activations.registry()[str(x.attr)].evaluate
            found[x] = with_error(evaluate, [found[a] for a in x.args], ROUNDING)
    return np.asarray(found[node][1])


@lru_cache(4096)
def moment_one(f: Univariate, std: float, rtol: float, mean: float = 0.0) -> tuple[float, float]:
    """E f(mean + std x) and an error."""
    run = array_evaluator(f.node)

    def integrand(x: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.where(density(x) > 0, run(mean + std * x) * density(x), 0)

    limit, cut = _extent(integrand) if density_reach(f, std) == math.inf else (None, 0.0)
    poles = [(z - mean) / std for z in f.singularities]
    found = integrate(integrand, breaks(f, std, mean, limit), rtol, poles)
    error, lost = float(found.error), _lost(f, found, std, mean)
    return float(found.value), (error if lost < error else error + lost) + cut


def moment_two(
    f: Univariate, g: Univariate, left: float, right: float, rho: float, sine: float,
    rtol: float, means: tuple[float, float] = (0.0, 0.0),
) -> tuple[float, float]:  # fmt: skip
    """E f(m + left x) g(n + right (rho x + sine y)) and an error, the inner integral over y split
    at g's kinks for every x. One of the two may grow so that it has no mean of its own."""
    if (
        density_reach(g, right) == math.inf
    ):  # what grows is outside: the inner integral of the other falls
        f, g, left, right, means = g, f, right, left, (means[1], means[0])
    run_f, run_g = array_evaluator(f.node), array_evaluator(g.node)
    width = right * sine

    rests = [_rest(g, p, side, width) for p in g.singularities for side in (1, -1)] if width else []
    rows = 2 if rests else 1

    def inner(center: Array) -> Array:
        if width == 0:
            plain: Array = run_g(center)
            return plain[None]
        if not rests:
            grid, weights = _graded(center, width, g)
            values = run_g(center[:, None] + width * grid) * density(grid)
            sums: Array = np.where(weights > 0, values * weights, 0).sum(-1)
            return sums[None]
        grid, weights = _graded_at_poles(center, width, g)
        total: Array = np.where(weights > 0, run_g(grid) * weights, 0).sum(-1)
        unsure = (GRADED + EPS * np.abs(center) / width) * np.abs(total)
        for p, rest, error in rests:
            weight = density((p - center) / width) / width
            total, unsure = total + rest * weight, unsure + error * weight
        return np.stack([total, unsure])

    def integrand(x: Array) -> Array:
        with np.errstate(all="ignore"):
            weight = density(x)
            value = np.empty((rows, len(x)))
            for start in range(0, len(x), 2048):
                part = x[start : start + 2048]
                value[:, start : start + 2048] = inner(means[1] + right * rho * part)
            factor = run_f(means[0] + left * x) * weight
            value[0] *= factor
            value[1:] = np.abs(value[1:] * factor)
            result: Array = np.where(weight > 0, value, 0)
            return result

    limit, cut = (
        _extent(lambda x: integrand(x)[0]) if density_reach(f, left) == math.inf else (None, 0.0)
    )
    points = set(breaks(f, left, means[0], limit))
    poles = [(z - means[0]) / left for z in f.singularities]
    if rho and right:
        limit = max(points)
        centers = [(z - means[1]) / (right * rho) for z in (0.0, *g.kinks)]
        points.update(c for c in centers if -limit < c < limit)
        near = sine / abs(rho)
        steps = [s * near for s in (-6, -3, -1.5, 1.5, 3, 6)] if near < 0.5 else []
        points.update(c + d for c in centers for d in steps if -limit < c + d < limit)
        if width == 0:
            poles += [(z - means[1]) / (right * rho) for z in g.singularities]
    found = integrate(integrand, points, rtol, poles)
    return float(found.value[0]), float(found.error[0] + found.value[1:].sum()) + cut


def _rest(g: Univariate, p: float, side: int, width: float) -> tuple[float, float, float]:
    """Next to a singularity p the integral of g over the innermost panel less what nodes make of
    it, and its error."""
    size = _grades(p, width)[-1]
    x, w = legendre()
    run = array_evaluator(g.node)

    def moved(s: Array) -> Array:
        t = np.exp(-s)
        return np.asarray(run(p + side * t) * t)

    with np.errstate(all="ignore"):
        tail, error = beyond(moved, -math.log(size))
        nodes = float((run(p + side * size * (1 + x) / 2) * w).sum() * size / 2)
    noise = NOISE * abs(float(tail)) if p else 0.0
    return p, float(tail) - nodes, float(error) + noise


def _grades(p: float, width: float) -> Array:
    """Distances from a singularity between panels."""
    found: Array = min(0.5, width) / GRADE ** np.arange(DEPTH)
    return found[found > RESOLVED * abs(p)] if p else found


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
    limit = max(density_reach(g, width), 9.0)
    fixed, special = _edges(limit, width, g)
    moving = (np.array(special)[None, :] - center[:, None]) / width
    edges = np.concatenate([np.broadcast_to(fixed, (len(center), len(fixed))), moving], 1)
    return _panels_of(np.sort(np.clip(edges, -limit, limit), axis=1))


def _graded_at_poles(center: Array, width: float, g: Univariate) -> tuple[Array, Array]:
    """Nodes in z = center + width y, whose distances from singularities have no roundings, and
    weights with the density: panels grow from the singularities."""
    limit = max(density_reach(g, width), 9.0)
    fixed, special = _edges(limit, width, g)
    for p in g.singularities:
        special += [p + side * d for d in _grades(p, width) for side in (1, -1)]
    column = center[:, None]
    moving = np.broadcast_to(np.array(special), (len(center), len(special)))
    edges = np.concatenate([column + width * fixed, moving], 1)
    edges = np.clip(edges, column - limit * width, column + limit * width)
    nodes, weights = _panels_of(np.sort(edges, axis=1))
    return nodes, weights / width * density((nodes - column) / width)


def _edges(limit: float, width: float, g: Univariate) -> tuple[Array, list[float]]:
    """In y, and in z."""
    fixed = np.linspace(-limit, limit, int(np.ceil(limit / 0.75)) + 1)
    special = [0.0, *g.kinks]
    if width > 1:
        size = max(0.5, NARROW * width)
        while size < width * 2:
            special += [size, -size]
            size *= 1.7
    return fixed, special


def _panels_of(edges: Array) -> tuple[Array, Array]:
    """Nodes and weights of rows of edges."""
    x, w = legendre()
    half = (edges[:, 1:] - edges[:, :-1]) / 2
    middle = (edges[:, 1:] + edges[:, :-1]) / 2
    nodes = middle[..., None] + half[..., None] * x
    weights = half[..., None] * w
    return nodes.reshape(len(edges), -1), weights.reshape(len(edges), -1)


@lru_cache(1024)
def is_square_integrable(f: Univariate) -> bool:
    """Whether f^2 is integrable next to f's singularities: |f| ~ t^a with a > -1/2."""
    run = array_evaluator(f.node)
    found = [0.0]
    for p in f.singularities:
        t = np.array([1.0, GRADE**2]) * _grades(p, 1.0)[-1]
        for side in (1, -1):
            with np.errstate(all="ignore"):
                sizes = np.abs(run(p + side * t))
                slope = float(np.log(sizes[1] / sizes[0]) / (2 * math.log(GRADE)))
            if math.isfinite(slope):
                found.append(slope)
    return min(found) > -0.5 + 1e-6
