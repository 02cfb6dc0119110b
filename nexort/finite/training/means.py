"""Outer nonlinearities inside a network (Def 2.6.1): E{1,..,r}[body] and its adjoint.

The body is a function of several iid copies; at width n it is averaged over n^r indices. It splits
into independent averages (``finite.averages``). The adjoint of an average of a function of several
copies evaluates the function once more, block by block, and goes back through it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from nexort.finite.arrays import FLOAT64, DType, Place, is_mixed, raise_scalar
from nexort.finite.averages import Component, components, mixed_nodes
from nexort.finite.crew import Crew
from nexort.finite.loops import Loops
from nexort.finite.nests import Nest, build
from nexort.finite.training.operations import lower_adjoint, sum_to_shape
from nexort.finite.training.regions import PairRegion, factor_adjoints
from nexort.program.nodes import Node, Op
from nexort.program.types import Kind
from nexort.program.unrolled import Array, Unrolled

Values = Mapping[Node, Array]


@dataclass(frozen=True)
class Mean:
    """A MEAN node at a width: its independent averages, and the nests that compute those on
    pairs."""

    node: Node
    parts: tuple[Component, ...]
    nests: tuple[Nest, ...]
    step: Unrolled
    width: int
    dtype: DType

    @property
    def inputs(self) -> tuple[Node, ...]:
        """The closed values it reads."""
        inside = mixed_nodes(f for p in self.parts for f in p.pairs)
        read = [a for x in inside for a in x.args if not is_mixed(a)]
        read += [f for p in self.parts for f in (*p.weights, *p.plain)]
        return tuple(sorted(set(read), key=lambda a: a.serial))

    def value(self, values: Values, crew: Crew) -> Array:
        """The node's value."""
        found = self._averages(values, crew)
        result = reduce(np.multiply, (self._wide(p, found[p]) for p in self.parts))
        of_kets = self.node.type.kind is Kind.KET
        full = (*self.step.shape(self.node.type.axes), *([self.width] if of_kets else ()))
        return np.broadcast_to(result, full).astype(self.dtype if of_kets else FLOAT64)

    def _averages(self, values: Values, crew: Crew) -> dict[Component, Array]:
        """Float64; with the entries' dimension where copy 0 is among the copies."""
        found = {p: _apart(p, values, self._place(p)) for p in self.parts if not p.pairs}
        for nest in self.nests:
            loops = Loops(nest, values, {}, self.dtype, crew)
            found.update(zip(nest.components, loops.averages(), strict=True))
        return found

    def _place(self, part: Component) -> Place:
        return Place((), (self.width,) if part.copies else (), part.copies, self.dtype)

    def _wide(self, part: Component, value: Array) -> Array:
        """A scalar average among kets."""
        apart = self.node.type.kind is Kind.KET and 0 not in part.copies
        return value[..., None] if apart else value

    def adjoints(
        self, values: Values, adjoint: Array, needed: frozenset[Node], crew: Crew
    ) -> dict[Node, Array]:
        """The parts of the inputs' adjoints that come from this node, of those needed."""
        found = self._averages(values, crew)
        wide = [self._wide(p, found[p]) for p in self.parts]
        total: dict[Node, Array] = {}
        for number, part in enumerate(self.parts):
            others = (w for k, w in enumerate(wide) if k != number)
            bar = reduce(np.multiply, others, adjoint.astype(FLOAT64))
            bar = sum_to_shape(bar, wide[number].shape, FLOAT64).reshape(found[part].shape)
            if part.pairs:
                region = PairRegion(part, self.step, self.width, self.dtype, needed)
                some = region.adjoints(values, bar, crew)
            else:
                some = _adjoints_apart(part, values, bar, self._place(part))
            for node, value in some.items():
                if node in needed:
                    total[node] = total[node] + value if node in total else value
        return total


def means(nodes: Sequence[Node], step: Unrolled, width: int, dtype: DType) -> dict[Node, Mean]:
    """Every MEAN among the nodes of a network."""
    uses = Counter(a for node in nodes for a in node.args)
    found = {}
    for node in nodes:
        if node.op is Op.MEAN:
            parts = tuple(components(node, uses))
            groups: dict[tuple[int, ...], list[Component]] = defaultdict(list)
            for part in dict.fromkeys(p for p in parts if p.pairs):
                groups[part.copies].append(part)
            nests = tuple(build(some, step, width) for some in groups.values())
            found[node] = Mean(node, parts, nests, step, width, dtype)
    return found


# ---- averages without pairs ----------------------------------------------------------------------


def _raised_factors(part: Component, values: Values, place: Place) -> list[Array]:
    return [raise_scalar(f, values[f], place).astype(FLOAT64) for f in part.factors]


def _apart(part: Component, values: Values, place: Place) -> Array:
    """A product of ordinary values, or of kets on one copy, whose average it is."""
    whole = reduce(np.multiply, _raised_factors(part, values, place))
    return np.asarray(whole.mean(axis=-1)) if part.weights else whole


def _adjoints_apart(
    part: Component, values: Values, adjoint: Array, place: Place
) -> dict[Node, Array]:
    factors = _raised_factors(part, values, place)
    if part.weights:
        [n] = place.tail
        adjoint = adjoint[..., None] / n
    found: dict[Node, Array] = {}
    for node, bar, factor in zip(
        part.factors, factor_adjoints(factors, adjoint), factors, strict=True
    ):
        value = lower_adjoint(node, bar, factor.shape)
        if node.type.kind is Kind.KET:
            value = value.astype(place.dtype, copy=False)
        found[node] = found[node] + value if node in found else value
    return found
