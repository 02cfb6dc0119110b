"""A network as sizes are counted in it: nodes, and the weights that they read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nexort.parametrization.layers import Layer
from nexort.program.nodes import Node

Key = tuple[str, tuple[int, ...]]


@dataclass(frozen=True)
class Slope:
    """The gradient of sum_i chi_i <1|x_i> by a weight, as nodes: a sum of outer products, a ket or
    a scalar."""

    pairs: tuple[tuple[Node, Node], ...] = ()
    ket: Node | None = None
    scalar: Node | None = None

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All of them."""
        several = [x for pair in self.pairs for x in pair]
        return (*several, *(x for x in (self.ket, self.scalar) if x is not None))


@dataclass(frozen=True)
class Parameter:
    """One weight: its layer, whether its entries have a mean and a variance, and in ``layer.name``
    whose exponents (a, b, c, d) it has."""

    layer: Layer
    mean: bool = False
    random: bool = True

    @property
    def zero(self) -> bool:
        """Whether it starts at 0."""
        return not self.mean and not self.random

    @property
    def stuck(self) -> bool:
        """Whether it stays at 0: updates that are weighed by the norm |w| = 0 are none."""
        return self.zero and self.layer.normalization in ("weight", "trust")


@dataclass(frozen=True)
class NetworkGraph:
    """A network: f = n^(1 - a_out) ``out``. By node, with what they are called: ``features``,
    vectors that matrices, nonlinear functions or the output read, which must have size 1;
    ``bounded``, other values that must not grow. ``named`` are the values that have a name in the
    program."""

    out: Node
    slopes: Mapping[Key, Slope]
    parameters: Mapping[Key, Parameter]
    features: Mapping[Node, str] = field(default_factory=dict)
    bounded: Mapping[Node, str] = field(default_factory=dict)
    named: Mapping[str, Node] = field(default_factory=dict)
