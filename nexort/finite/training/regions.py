"""Back through a function of several iid copies, block by block of its indices.

For an average A_alpha = n^-r sum over betas of psi(x_alpha; x_beta1; ...) with adjoint a, the
adjoint of psi at (alpha, beta1, ...) is a_alpha n^-r; it goes back through psi's instructions to
the values at alpha, at beta1, ..., and every block adds its part to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from itertools import product
from math import prod

import numpy as np

from nexort.finite.arrays import FLOAT64, DType, Place, is_mixed
from nexort.finite.averages import Component, mixed_nodes
from nexort.finite.crew import Crew
from nexort.finite.training.operations import backward, forward_value, lower_adjoint
from nexort.program.nodes import Node
from nexort.program.types import Kind
from nexort.program.unrolled import Array, Unrolled

BLOCK_ENTRIES = 2**20
"""Entries of all values and adjoints of a block together: about a core's share of the cache."""

Spans = tuple[tuple[int, int], ...]
"""First and last (exclusive) index of a block, for every copy."""


def factor_adjoints(factors: Sequence[Array], adjoint: Array) -> Iterator[Array]:
    """The adjoints of the factors of a product, broadcast to the shape of the product."""
    whole = np.broadcast_shapes(adjoint.shape, *(f.shape for f in factors))
    for k in range(len(factors)):
        others = (f for j, f in enumerate(factors) if j != k)
        yield np.broadcast_to(reduce(np.multiply, others, adjoint), whole)


class PairRegion:
    """The functions of several copies behind an average on pairs. ``needed`` are the closed values
    whose adjoints are wanted."""

    def __init__(
        self, part: Component, step: Unrolled, width: int, dtype: DType, needed: frozenset[Node]
    ) -> None:
        self.part, self.width, self.dtype = part, width, dtype
        self.inside = sorted(mixed_nodes(part.pairs), key=lambda x: x.serial)
        read = [a for x in self.inside for a in x.args if not is_mixed(a)]
        self.leaves = tuple(dict.fromkeys((*read, *part.weights)))
        self.shapes = {x: step.shape(x.type.axes) for x in (*self.inside, *self.leaves)}
        self.needed = needed.intersection(self.leaves)
        self.active = set(self.needed)
        for x in self.inside:
            if self.active.intersection(x.args):
                self.active.add(x)
        side = width
        while side > 1 and self._entries(side) > BLOCK_ENTRIES:
            side = side * 3 // 4
        self.spans = [(k, min(k + side, width)) for k in range(0, width, side)]

    def _entries(self, side: int) -> int:
        one = (prod((*self.shapes[x], *(side for _ in x.type.copies))) for x in self.inside)
        return 2 * sum(one)

    def adjoints(
        self, values: Mapping[Node, Array], adjoint: Array, crew: Crew
    ) -> dict[Node, Array]:
        """The needed adjoints, from that of the average: shape (*axes, n) where copy 0 is among
        the copies, otherwise (*axes)."""

        def outermost(span: tuple[int, int]) -> dict[Node, Array]:
            totals = {x: np.zeros(values[x].shape) for x in self.needed}
            for rest in product(self.spans, repeat=len(self.part.copies) - 1):
                crew.check()
                self._block((span, *rest), values, adjoint, totals)
            return totals

        found = {x: np.zeros(values[x].shape) for x in self.needed}
        for part in crew.blocks(outermost, self.spans):
            for x, value in part.items():
                found[x] += value
        return {
            x: v.astype(self.dtype if x.type.kind is Kind.KET else FLOAT64, copy=False)
            for x, v in found.items()
        }

    def _block(
        self,
        spans: Spans,
        values: Mapping[Node, Array],
        adjoint: Array,
        totals: Mapping[Node, Array],
    ) -> None:
        copies = self.part.copies
        here = dict(zip(copies, spans, strict=True))
        known = {x: self._cut(x, values[x], here) for x in self.leaves}
        for x in self.inside:
            found = forward_value(x, [known[a] for a in x.args], self._place(x, here))
            known[x] = found.astype(self.dtype, copy=False)
        scale = float(self.width) ** -len(self.part.averaged)
        if 0 in copies:
            bar = adjoint[..., slice(*here[0])][(..., *[None] * (len(copies) - 1))]
        else:
            bar = adjoint[(..., *[None] * len(copies))]
        bars: dict[Node, Array] = {}
        factors = (*self.part.pairs, *self.part.weights)
        start = (bar * scale).astype(self.dtype)
        for x, value in zip(factors, factor_adjoints([known[f] for f in factors], start),
                            strict=True):  # fmt: skip
            self._add(x, value, known, bars)
        for x in reversed(self.inside):
            if x in bars:
                value = bars.pop(x)
                args = [known[a] for a in x.args]
                for k, a in enumerate(x.args):
                    if a in self.active:
                        part = backward(x, args, value, self._place(x, here), k)
                        self._add(a, part, known, bars)
        for x, value in bars.items():
            if x.type.kind is Kind.KET:
                [copy] = x.type.copies
                bare = value.reshape(*self.shapes[x], -1)
                totals[x][..., slice(*here[copy])] += bare
            else:
                totals[x][...] += value

    def _add(
        self, x: Node, value: Array, known: Mapping[Node, Array], bars: dict[Node, Array]
    ) -> None:
        """Add to an adjoint, if it is wanted."""
        if x in self.active:
            part = lower_adjoint(x, value, known[x].shape)
            bars[x] = bars[x] + part if x in bars else part

    def _cut(self, x: Node, value: Array, here: Mapping[int, tuple[int, int]]) -> Array:
        """A closed value within a block, raised."""
        if x.type.kind is Kind.SCALAR:
            return value.astype(self.dtype)[(..., *[None] * len(here))]
        [copy] = x.type.copies
        part = value[..., slice(*here[copy])]
        return part[(..., *(slice(None) if k == copy else None for k in here))]

    def _place(self, x: Node, here: Mapping[int, tuple[int, int]]) -> Place:
        tail = tuple(stop - start for start, stop in here.values())
        return Place(self.shapes[x], tail, tuple(here), self.dtype)
