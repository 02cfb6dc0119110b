"""Piecewise sums of z^p exp(slope z): elu, hardtanh, shifted relus and their like.

Such a function is a sum of z^p exp(slope z) on half lines. An exponential shifts the law,

    E exp(a x + b y) F(x, y) = exp((a^2 + 2 rho a b + b^2) / 2) E F(x + a + rho b, y + b + rho a),

and with M_ij = E x^i y^j 1(x > h) 1(y > k) Stein's lemma lowers the powers,

    M_ij = (i - 1) M_(i-2)j + rho j M_(i-1)(j-1)
           + h^(i-1) phi(h) E[y^j 1(y > k) | x = h] + rho k^j phi(k) E[x^(i-1) 1(x > h) | y = k],

down to the bivariate normal distribution M_00 (``nexort.gaussian.halves``).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from nexort import activations
from nexort.activations import Array
from nexort.gaussian.covariance import Covariance
from nexort.gaussian.halves import Lifted, Moments, StandardizedLaw
from nexort.gaussian.pointwise import array_evaluator
from nexort.gaussian.terms import Terms, normal_form
from nexort.gaussian.univariate import Univariate
from nexort.gaussian.variable import SLOT
from nexort.program import build
from nexort.program.nodes import Node, Op, rewrite

MOST = 24
"""Kinks and powers up to which this is tried."""

ROUNDING = 4e-15
"""Of every term, relatively."""

UNSURE = 4
"""Roundings of a correlation."""

PART = 2**17
"""Entries at a time."""


@dataclass(frozen=True, slots=True)
class Half:
    """exp(slope z) on z > edge (side 1), on z < edge (-1), everywhere (0)."""

    slope: float
    edge: float
    side: int


Powers = dict[int, float]
"""Power of z -> coefficient."""


@dataclass(frozen=True)
class Pieces:
    """A function as a sum over half lines; the sizes of its jumps, by where they are."""

    halves: Mapping[Half, Powers]
    jumps: Mapping[float, float]


@lru_cache(1024)
def pieces(f: Univariate) -> Pieces | None:
    """A function's pieces, None where it has others than sums of z^p exp(slope z)."""
    kinks = f.kinks
    if len(kinks) > MOST:
        return None
    inner = [(a + b) / 2 for a, b in pairwise(kinks)]
    points = [kinks[0] - 1, *inner, kinks[-1] + 1] if kinks else [0.0]
    parts = [_plain(normal_form(_smooth(f.node, x))) for x in points]
    if any(p is None for p in parts):
        return None
    edges = (-math.inf, *kinks, math.inf)
    halves: dict[Half, Powers] = defaultdict(lambda: defaultdict(float))
    for k, part in enumerate(parts):
        for (power, slope), c in part.items():  # type: ignore[union-attr]
            for half, sign in _on(slope, edges[k], edges[k + 1]):
                halves[half][power] += sign * c
    found = {h: {p: c for p, c in powers.items() if c} for h, powers in halves.items()}
    kept = {h: powers for h, powers in found.items() if powers}
    both = zip(kinks, parts, parts[1:], strict=False)
    jumps = {x: _value(b, x) - _value(a, x) for x, a, b in both}  # type: ignore[arg-type]
    whole = Pieces(kept, {x: j for x, j in jumps.items() if abs(j) > 1e-12})
    return whole if _agrees(f, whole, points) else None


def _on(slope: float, low: float, high: float) -> list[tuple[Half, int]]:
    """exp(slope z) on an interval: half lines on which it decays, where there is a choice."""
    if math.isinf(low) and math.isinf(high):
        return [(Half(slope, 0.0, 0), 1)]
    if slope > 0:
        first = [(Half(slope, 0.0, 0) if math.isinf(high) else Half(slope, high, -1), 1)]
        return first if math.isinf(low) else [*first, (Half(slope, low, -1), -1)]
    first = [(Half(slope, 0.0, 0) if math.isinf(low) else Half(slope, low, 1), 1)]
    return first if math.isinf(high) else [*first, (Half(slope, high, 1), -1)]


def _plain(terms: Terms) -> dict[tuple[int, float], float] | None:
    """(power, slope) -> coefficient, None where there are other atoms."""
    bent = any(a.tilt or a.edge or a.wave or a.other or a.power > MOST for a in terms)
    return None if bent else {(a.power, a.slope): c for a, c in terms.items()}


def _value(part: Mapping[tuple[int, float], float], z: float) -> float:
    return sum(c * z**p * math.exp(slope * z) for (p, slope), c in part.items())


def _smooth(node: Node, x: float) -> Node:
    """The graph of the branches that are taken at x."""

    def at(inner: Node) -> float:
        return float(array_evaluator(inner)(np.array([x]))[0])

    def rule(n: Node) -> Node:
        if n.op is not Op.CALL:
            return n
        name, args = str(n.attr), n.args
        if name in ("max", "min"):
            return args[(at(args[0]) < at(args[1])) == (name == "max")]
        if not activations.registry()[name].kinks:
            return n
        positive = at(args[0]) > 0
        zero, one = build.constant(0), build.constant(1)
        branches = {
            "relu": (args[0], zero),
            "leaky_relu": (args[0], build.call("mul", args[-1], args[0])),
            "abs": (args[0], build.call("neg", args[0])),
            "step": (one, zero),
            "sign": (one, build.constant(-1)),
            "elu": (args[0], build.call("sub", build.call("exp", args[0]), one)),
        }
        return branches[name][0 if positive else 1]

    return rewrite([node], rule)[node] if node is not SLOT else node


def _agrees(f: Univariate, found: Pieces, points: list[float]) -> bool:
    """Whether no kink was overlooked, on a fine grid."""
    z = np.concatenate([np.linspace(-12, 12, 4001), np.geomspace(1e-6, 1, 200),
                        -np.geomspace(1e-6, 1, 200), points])  # fmt: skip
    z = z[~np.isin(z, f.kinks)]
    total, size = np.zeros_like(z), np.zeros_like(z)
    for half, powers in found.halves.items():
        on = np.ones(len(z), bool) if not half.side else half.side * (z - half.edge) > 0
        for p, c in powers.items():
            part = np.where(on, c * z**p * np.exp(half.slope * z), 0)
            total, size = total + part, size + np.abs(part)
    return bool((np.abs(total - f(z)) <= 1e-12 * (size + 1)).all())


def is_piecewise_pair(f: Univariate, g: Univariate) -> bool:
    """Whether both are piecewise sums, and one has a kink."""
    return bool(f.kinks or g.kinks) and pieces(f) is not None and pieces(g) is not None


def pieces_expectation(f: Univariate, g: Univariate, k: Covariance) -> tuple[Array, Array, float]:
    """E f(z_a) g(z_b) of :func:`is_piecewise_pair` functions, bounds on its error from roundings,
    and an estimate of what roundings of the correlation itself change it by, where functions jump.
    Entries with a variance of 0 have no meaning."""
    first, second = pieces(f), pieces(g)
    assert first is not None
    assert second is not None
    law = StandardizedLaw.of(k)
    found, error = np.empty(k.shape, k.dtype), np.empty(k.shape)
    step = max(1, PART * len(found) // max(1, found.size)) if found.ndim else 1
    with np.errstate(all="ignore"):
        for start in range(0, len(found) if found.ndim else 1, step):
            rows = slice(start, start + step) if found.ndim else ...
            value, size = _total(first, second, law.part(rows, k.shape))
            # a NaN, of exponentials that overflow, stays one
            found[rows], error[rows] = value, ROUNDING * size
    # a jump changes E by its size times the density of (z_a, z_b) there
    unsure = float(np.max(k.uncertainty, initial=UNSURE * float(np.finfo(k.dtype).eps)))
    least = max(float(law.sine.min(initial=1.0, where=law.sine > 0)), math.sqrt(unsure))
    least = 1.0 if k.gap is not None and k.unsure is None else least
    jump = sum(map(abs, first.jumps.values())) * sum(map(abs, second.jumps.values()))
    return found, error, jump * unsure / least


def _total(first: Pieces, second: Pieces, law: StandardizedLaw) -> tuple[Any, Any]:
    """The sum over all pairs of half lines, and of the sizes of its terms."""
    total: Any = 0.0
    size: Any = 0.0
    for a, powers in first.halves.items():
        for b, others in second.halves.items():
            value, part = _halves(a, powers, b, others, law)
            total, size = total + value, size + part
    return total, size


def _halves(a: Half, f: Powers, b: Half, g: Powers, law: StandardizedLaw) -> tuple[Any, Any]:
    """The sum over powers of E z_a^p z_b^q exp(...) 1(...) 1(...), and of its terms' sizes."""
    # x and y point away from the edges
    sigma, tau = a.side or 1, b.side or 1
    law = law.turned(sigma * tau)
    shifts = (a.slope * sigma * law.s, b.slope * tau * law.t) if a.slope or b.slope else None
    edges = (
        a.edge * sigma / law.s if a.side else None,
        b.edge * tau / law.t if b.side else None,
    )
    moments = Moments(law, *edges) if shifts is None else Lifted(law, *edges, *shifts)
    total: Any = 0.0
    size: Any = 0.0
    for p, c in f.items():
        for q, d in g.items():
            scale = c * d * (sigma * law.s) ** p * (tau * law.t) ** q
            for i in range(p + 1) if a.slope or b.slope else (p,):
                for j in range(q + 1) if a.slope or b.slope else (q,):
                    weight = math.comb(p, i) * math.comb(q, j) * scale
                    weight = weight * moments.means[0] ** (p - i) * moments.means[1] ** (q - j)
                    part = weight * moments(i, j)
                    total, size = total + part, size + np.abs(part)
            if a.side and b.side:
                size = size + np.abs(scale) * moments.terms
    return total, size
