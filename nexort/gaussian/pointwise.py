"""Graphs of z as functions of arrays, careful next to the points where they are singular, and where
these and other points are at which a graph is not smooth: the roots of what stands inside kinks,
jumps and poles, which are found by evaluating that.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import count
from typing import Any

import numpy as np

from nexort import activations
from nexort.activations import Array
from nexort.gaussian.removable import Patch, by_polynomials, patch
from nexort.gaussian.roots import of_polynomial, sign_changes
from nexort.gaussian.terms import ONE, Atom, Terms, normal_form, terms_graph
from nexort.gaussian.variable import SLOT
from nexort.gaussian.zeros import loses, patch_of_zero, refine_zero
from nexort.program import build
from nexort.program.nodes import Node, Op, walk

# ---- points --------------------------------------------------------------------------------------


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
    terms = normal_form(node)
    if set(terms) <= {ONE, Atom(1)}:
        slope = terms.get(Atom(1), 0.0)
        return () if slope == 0 else (-terms.get(ONE, 0.0) / slope + 0.0,)
    found = _roots(node, terms)
    exact = [p if p in (0.0, 1.0, -1.0) else refine_zero(node, p) for p in found]
    return tuple(sorted({p if x is None else float(x) for p, x in zip(found, exact, strict=True)}))


def _roots(node: Node, terms: Terms) -> tuple[float, ...]:
    powers = set(terms)
    if all(a.kink and not a.edge for a in powers):
        least, degree = min(a.power for a in powers), max(a.power for a in powers)
        if degree - least > MAX_DEGREE:
            return _located(terms_graph(terms))
        dense = [terms.get(Atom(k), 0.0) for k in range(degree, least - 1, -1)]
        return tuple(sorted(of_polynomial(dense) | ({0.0} if least else set())))
    return _located(node if any(a.other for a in powers) else terms_graph(terms))


def _located(node: Node) -> tuple[float, ...]:
    return sign_changes(array_evaluator(node), () if node is SLOT else kinks(node))


# ---- patches -------------------------------------------------------------------------------------


@lru_cache(4096)
def patches(node: Node) -> tuple[Patch, ...]:
    """Of the points where a graph divides by 0 or the like, those where it is smooth from both
    sides."""
    points = singularities(node)
    if not points:
        return ()
    others = sorted({*points, *smooth_but_at(node)})
    found = (patch(node, p, [q for q in others if q != p]) for p in points)
    return tuple(x for x in found if x is not None)


@lru_cache(4096)
def graph_zeros(node: Node) -> tuple[Patch, ...]:
    """The zeros of a graph next to which floats lose digits."""
    differs = any(x.op is Op.CALL and x.attr in ("add", "sub") for x in walk([node]))
    if not differs or set(normal_form(node)) <= {ONE, Atom(1)}:
        return ()
    points = roots(node)
    others = sorted({*points, *smooth_but_at(node)})
    found = (_zero(node, p, [q for q in others if q != p]) for p in points)
    return tuple(x for x in found if x is not None)


def _zero(node: Node, p: float, others: list[float]) -> Patch | None:
    exact = refine_zero(node, p)
    if exact is None or not loses(node, array_evaluator(node), p):
        return None
    return patch_of_zero(node, exact, others)


# ---- values --------------------------------------------------------------------------------------


@lru_cache(1024)
def array_evaluator(node: Node) -> Callable[[Array], Array]:
    """The graph as a function of an array: numbers folded, small integer powers as products."""
    values: dict[Node, int | float] = {}
    places: dict[Node, int] = {SLOT: 0}
    steps: list[tuple[Callable[..., Any], tuple[Any, ...], tuple[int | None, ...]]] = []
    places_left = count(1)
    for x in walk([node]):
        if x is SLOT:
            continue
        if x.op is Op.CONST:
            values[x] = x.attr
        elif all(a in values for a in x.args):
            evaluate = activations.registry()[str(x.attr)].evaluate
            with np.errstate(all="ignore"):
                values[x] = float(evaluate(*(float(values[a]) for a in x.args)))
        else:
            evaluate = activations.registry()[str(x.attr)].evaluate
            power = values.get(x.args[-1])
            if x.attr == "pow" and isinstance(power, int | float) and power in range(1, 9):
                evaluate = _power(int(power))
            steps.append(
                (
                    evaluate,
                    tuple(values.get(a) for a in x.args),
                    tuple(places.get(a) for a in x.args),
                )
            )
            places[x] = next(places_left)
    careful = {places[x]: graph_zeros(x) for x in arguments(node) if x in places}
    removable = patches(node)

    def run(z: Array) -> Array:
        found = [z]
        for evaluate, constants, at in steps:
            arguments = [c if p is None else found[p] for c, p in zip(constants, at, strict=True)]
            new = evaluate(*arguments)
            known = careful.get(len(found))
            found.append(by_polynomials(new, z, known) if known else new)
        if node in values:
            return np.full(z.shape, values[node], z.dtype)
        return found[places[node]]

    return (lambda z: by_polynomials(run(z), z, removable)) if removable else run


def _power(k: int) -> Callable[..., Array]:
    def power(x: Array, _: object) -> Array:
        result = x
        for bit in bin(k)[3:]:
            result = result * result
            if bit == "1":
                result = result * x
        return result

    return power
