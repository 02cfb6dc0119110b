"""What random points, lines and rays show of a function of several variables."""

from __future__ import annotations

import numpy as np
from mpmath import mp, mpf

from nexort.activations import Array
from nexort.gaussian.precise import Undefined, logarithm
from nexort.limit.existence.line import ray, surface
from nexort.limit.existence.variables import VariableSpace, affine_graph
from nexort.limit.existence.verdict import Existence
from nexort.program.differentiate import substitute
from nexort.program.nodes import Node

POINTS, LINES, RAYS = 60, 8, 8


def random_points(space: VariableSpace, count: int, seed: int) -> Array:
    rng = np.random.default_rng([seed, 12])
    found: Array = rng.standard_normal((count, space.root.shape[1])) @ space.root.T
    return found


def undefined_at(node: Node, space: VariableSpace) -> str | None:
    """What the function is around a random point where it is not real or not finite."""
    for z in random_points(space, POINTS, 0):
        with mp.workdps(40):
            try:
                logarithm(node, {x: mpf(v) for x, v in zip(space.leaves, z, strict=True)})
            except Undefined as problem:
                return str(problem)
    return None


def along_lines(node: Node, space: VariableSpace) -> Existence | None:
    """A divergence along random lines, or along rays from the origin."""
    starts, ways = random_points(space, LINES, 1), random_points(space, LINES, 2)
    for start, way in zip(starts, ways, strict=True):
        found = surface(restrict_to_line(node, space, start, way))
        if found is not None:
            return found
    rng = np.random.default_rng(13)
    for _ in range(RAYS):
        g = rng.standard_normal(space.root.shape[1])
        way = space.root @ g / np.linalg.norm(g)
        found = ray(restrict_to_line(node, space, 0 * way, way))
        if found is not None:
            return found
    return None


def restrict_to_line(node: Node, space: VariableSpace, start: Array, way: Array) -> Node:
    """The function along a line, over SLOT."""
    parts = zip(space.leaves, start, way, strict=True)
    return substitute(node, {x: affine_graph(float(b), float(a)) for x, a, b in parts})
