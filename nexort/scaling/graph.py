"""A network as sizes are counted in it: nodes, and the weights that they read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nexort.program.nodes import Node
from nexort.scaling.layers import Layer

Key = tuple[str, tuple[int, ...]]


@dataclass(frozen=True)
class Slope:
    """The gradient of sum_i chi_i <1|x_i> by a weight, as nodes: a sum of outer products, a ket or
    a scalar."""

    pairs: tuple[tuple[Node, Node], ...] = ()
    ket: Node | None = None
    scalar: Node | None = None


@dataclass(frozen=True)
class Parameter:
    """One weight: its layer, whether its entries have a mean and a variance, and in ``layer.name``
    whose exponents (a, b, c, d) it has."""

    layer: Layer
    mean: bool = False
    random: bool = True


@dataclass(frozen=True)
class Graph:
    """A network: f = n^(1 - a_out) ``out``; ``features`` are vectors that must have size 1, by
    name; ``kets`` all others that have one; ``scalars`` likewise."""

    out: Node
    slopes: Mapping[Key, Slope]
    parameters: Mapping[Key, Parameter]
    features: Mapping[str, Node] = field(default_factory=dict)
    kets: Mapping[str, Node] = field(default_factory=dict)
    scalars: Mapping[str, Node] = field(default_factory=dict)
