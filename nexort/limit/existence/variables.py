"""Jointly Gaussian variables, and the linear forms of them that a graph is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nexort.activations import Array
from nexort.gaussian.variable import SLOT
from nexort.limit.existence.forms import Polynomial, polynomial_degree, polynomials
from nexort.program import build
from nexort.program.differentiate import substitute
from nexort.program.nodes import Node
from nexort.program.roundings import UNIT, Rounded

PARALLEL = 1e-9


@dataclass(frozen=True)
class VariableSpace:
    """The variables: leaves of a graph, their covariance C = R R^T, R of full column rank."""

    leaves: tuple[Node, ...]
    covariance: Array
    root: Array

    @staticmethod
    def of(leaves: Sequence[Node], covariance: Array) -> VariableSpace:
        """Directions without variance are left out."""
        sizes, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
        kept = sizes > 1e-12 * max(sizes.max(initial=0.0), 1e-300)
        return VariableSpace(tuple(leaves), covariance, vectors[:, kept] * np.sqrt(sizes[kept]))


def linear_forms(node: Node, space: VariableSpace) -> list[tuple[Node, Polynomial]]:
    """The largest subgraphs that are linear forms plus numbers."""
    known = polynomials(node, space.leaves)
    found: dict[Node, Polynomial] = {}
    stack, seen = [node], set()
    while stack:
        x = stack.pop()
        if x in seen:
            continue
        seen.add(x)
        if x in known and polynomial_degree(known[x]) <= 1:
            if any(known[x]):
                found[x] = known[x]
        else:
            stack.extend(x.args)
    return list(found.items())


def linear_part(p: Polynomial, space: VariableSpace) -> Array:
    found = np.zeros(len(space.leaves))
    for m, c in p.items():
        if m:
            found[m[0]] = c
    return found


def one_direction(node: Node, space: VariableSpace) -> tuple[Node, float] | None:
    """The graph as one over SLOT with its variance, where it is a function of one linear form."""
    if len(space.leaves) == 1:
        [leaf] = space.leaves
        return substitute(node, {leaf: SLOT}), float(space.covariance[0, 0])
    forms = linear_forms(node, space)
    if not forms:
        return node, 0.0
    vectors = [linear_part(p, space) for _, p in forms]
    spread = [v @ space.root for v in vectors]
    sizes = [float(np.linalg.norm(u)) for u in spread]
    first = int(np.argmax(sizes))
    if sizes[first] == 0:
        return substitute(node, {x: _constant_of(x, space) for x, _ in forms}), 0.0
    unit = vectors[first] / np.abs(vectors[first]).max()
    unit *= np.sign(unit[np.flatnonzero(unit)[0]])
    base = unit @ space.root
    values: dict[Node, Node] = {}
    for (x, p), v, u in zip(forms, vectors, spread, strict=True):
        ratio = float(u @ base / (base @ base))
        if np.linalg.norm(u - ratio * base) > PARALLEL * sizes[first]:
            return None
        place = int(np.abs(unit).argmax())
        if exact := np.array_equal(v, v[place] / unit[place] * unit):
            ratio = float(v[place] / unit[place])
        rounding = 0.0 if exact else 4 * UNIT * abs(ratio)
        slope = affine_graph(Rounded(ratio, rounding) if rounding else ratio, 0.0)
        values[x] = build.call("add", slope, _constant_of(x, space)) if p.get((), 0.0) else slope
    return substitute(node, values), _variance(unit, space)


def _constant_of(form: Node, space: VariableSpace) -> Node:
    """A linear form where the variables are 0, as it is written."""
    return substitute(form, dict.fromkeys(space.leaves, build.constant(0)))


def _variance(unit: Array, space: VariableSpace) -> float:
    return float(unit @ space.covariance @ unit)


def affine_graph(slope: float, constant: float) -> Node:
    """slope z + constant."""
    found = SLOT if slope == 1 else build.call("mul", build.constant(slope), SLOT)
    return build.call("add", found, build.constant(constant)) if constant else found
