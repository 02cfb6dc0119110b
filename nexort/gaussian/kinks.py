"""Where a graph of z is not smooth: the roots of what stands inside kinks and jumps."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from nexort import activations
from nexort.activations import Array
from nexort.gaussian.terms import ONE, Atom, Terms, graph, normal_form
from nexort.gaussian.univariate import SLOT, _compiled
from nexort.program import build
from nexort.program.nodes import Node, Op, walk

REACH = 64.0
"""Roots of nonaffine arguments are looked for in [-REACH, REACH]."""

CLOSE = 1e-7
"""Roots of nonaffine arguments that are closer than this count once."""


@lru_cache(4096)
def kinks(node: Node) -> tuple[float, ...]:
    """Sorted points; of affine arguments exact, of others located to full precision."""
    return tuple(sorted({*smooth_but_at(node), *singularities(node)}))


@lru_cache(4096)
def smooth_but_at(node: Node) -> tuple[float, ...]:
    """The kinks and jumps of a graph that is finite."""
    found: set[float] = set()
    for x in walk([node]):
        if x.op is not Op.CALL:
            continue
        name = str(x.attr)
        if name in ("max", "min"):
            found.update(roots(build.call("sub", *x.args)))
        elif activations.registry()[name].kinks:
            found.update(roots(x.args[0]))
    return tuple(sorted(found))


@lru_cache(4096)
def singularities(node: Node) -> tuple[float, ...]:
    """Sorted points where a graph may be infinite or have a branch."""
    return tuple(sorted({p for x in arguments(node) for p in roots(x)}))


def arguments(node: Node) -> list[Node]:
    """At whose zeros a graph may be infinite or have a branch."""
    found: dict[Node, None] = {}
    for x in walk([node]):
        if x.op is not Op.CALL:
            continue
        if x.attr in ("sqrt", "log", "pow") and not _smooth_power(x):
            found[x.args[0]] = None
        elif x.attr == "div":
            found[x.args[1]] = None
    return list(found)


def _smooth_power(x: Node) -> bool:
    if x.attr != "pow" or x.args[1].op is not Op.CONST:
        return False
    return bool(x.args[1].attr == int(x.args[1].attr) and x.args[1].attr >= 0)


MAX_DEGREE = 64
"""Of a polynomial whose roots are found as eigenvalues, at a cost of its cube."""


@lru_cache(4096)
def roots(node: Node) -> tuple[float, ...]:
    """Where a graph changes its sign, or touches 0 from one side."""
    from nexort.gaussian.zeros import refined

    terms = normal_form(node)
    if set(terms) <= {ONE, Atom(1)}:
        slope = terms.get(Atom(1), 0.0)
        return () if slope == 0 else (-terms.get(ONE, 0.0) / slope + 0.0,)
    found = _roots(node, terms)
    exact = [p if p in (0.0, 1.0, -1.0) else refined(node, p) for p in found]
    return tuple(sorted({p if x is None else float(x) for p, x in zip(found, exact, strict=True)}))


def _roots(node: Node, terms: Terms) -> tuple[float, ...]:
    powers = set(terms)
    if all(a.kink and not a.edge for a in powers):
        least, degree = min(a.power for a in powers), max(a.power for a in powers)
        if degree - least > MAX_DEGREE:
            return _located(graph(terms))
        dense = [terms.get(Atom(k), 0.0) for k in range(degree, least - 1, -1)]
        return tuple(sorted(_polished(dense) | ({0.0} if least else set())))
    return _located(node if any(a.other for a in powers) else graph(terms))


def _polished(dense: list[float]) -> set[float]:
    polynomial, slope = np.poly1d(dense), np.poly1d(dense).deriv()
    found = set()
    for root in np.roots(dense):
        if abs(root.imag) > 1e-6 * (1 + abs(root)):
            continue
        z = float(root.real)
        for _ in range(4):
            step = slope(z)
            z -= float(polynomial(z) / step) if step else 0.0
        found.add(z + 0.0)
    return found


def _located(node: Node) -> tuple[float, ...]:
    """Sign changes on a fine grid, bisected to neighbouring floats; denser near 0."""
    run = _compiled(node)
    fine = np.linspace(-REACH, REACH, 2**16 + 1)
    near = np.sort(np.concatenate([s * np.geomspace(1e-12, 1e-2, 2000) for s in (-1, 1)]))
    grid = np.unique(np.concatenate([fine, near, [0.0]]))
    with np.errstate(all="ignore"):
        signs = np.sign(run(grid))
    inner: set[float] = set(kinks(node)) if node is not SLOT else set()
    found = {float(z) for z in grid[signs == 0]} if (signs == 0).sum() < 4096 else set()
    low, high = grid[:-1], grid[1:]
    change = (signs[:-1] * signs[1:]) < 0
    low, high, sign = low[change], high[change], signs[:-1][change]
    for _ in range(70):
        middle = (low + high) / 2
        with np.errstate(all="ignore"):
            same = np.sign(run(middle)) == sign
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    found.update(float(z) for z in _middle(low, high))
    return _apart(sorted(found | inner))


def _apart(points: list[float]) -> tuple[float, ...]:
    """One of points closer than CLOSE: where a function touches 0 its sign is that of roundings."""
    groups: list[list[float]] = []
    for z in points:
        if groups and z - groups[-1][-1] < CLOSE:
            groups[-1].append(z)
        else:
            groups.append([z])
    return tuple(0.0 if 0.0 in g else g[len(g) // 2] for g in groups)


def _middle(low: Array, high: Array) -> Array:
    return np.where(np.abs(low) < np.abs(high), low, high)
