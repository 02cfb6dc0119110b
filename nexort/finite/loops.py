"""Sums over pairs, triples, ... of indices: the loops of a nest, with everything in a block small.

A value in a block has shape ``(*axes, b_0, b_1, ...)``, one dimension for each copy of the nest and
1 where it does not depend on the copy.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nexort.finite.arrays import COPY_LABEL, DType, Place, contract_arrays, finite_local
from nexort.finite.averages import Component
from nexort.finite.crew import Crew
from nexort.finite.nests import Nest
from nexort.program.nodes import Node
from nexort.program.types import Kind
from nexort.program.unrolled import Array

Spans = tuple[tuple[int, int], ...]
"""A block: first and last (exclusive) index in each loop entered so far."""

Pairs = dict[Node, dict[Spans, Array]]
"""Functions of pairs kept from nest to nest, block by block."""


class Loops:
    """One run of a nest.

    ``values`` has the leaves and weights: scalars, and kets of shape ``(*axes, n)``.
    """

    def __init__(
        self, nest: Nest, values: Mapping[Node, Array], pairs: Pairs, dtype: DType, crew: Crew
    ) -> None:
        self.nest, self.pairs, self.dtype, self.crew = nest, pairs, dtype, crew
        n, side = nest.width, nest.side
        self.spans = [(k, min(k + side, n)) for k in range(0, n, side)]
        self.depth = len(nest.copies)
        self.fixed: dict[Node, Array] = {}
        self.cut: list[list[tuple[Node, Array]]] = [[] for _ in nest.copies]
        for leaf in nest.leaves:
            value = values[leaf]
            if leaf.type.kind is Kind.SCALAR:
                self.fixed[leaf] = value.astype(dtype)[(..., *[None] * self.depth)]
            else:
                [copy] = leaf.type.copies
                self.cut[nest.copies.index(copy)].append((leaf, value))
        self.weights = [_weights(c, values) for c in nest.components]
        self.axes = [
            np.broadcast_shapes(*(nest.shapes[f] for f in (*c.pairs, *c.weights)))
            for c in nest.components
        ]
        for node in nest.writes:
            pairs[node] = {}

    def averages(self) -> list[Array]:
        """The components' averages n^-r sum, float64: shape ``(*axes, n)`` where copy 0 is among
        the copies, otherwise ``(*axes)``."""
        n, copies = self.nest.width, self.nest.copies
        totals = [np.zeros((*axes, *[n for k in copies if not k])) for axes in self.axes]
        parts = self.crew.blocks(self._outermost, self.spans)
        for (start, stop), part in zip(self.spans, parts, strict=True):
            here = (..., slice(start, stop)) if 0 in copies else ...
            for total, value in zip(totals, part, strict=True):
                total[here] += value
        scale = float(n) ** -sum(1 for k in copies if k)
        return [total * scale for total in totals]

    def _outermost(self, span: tuple[int, int]) -> list[Array]:
        tail = [span[1] - span[0] for k in self.nest.copies if not k]
        sums = [np.zeros((*axes, *tail)) for axes in self.axes]
        self._pass((span,), dict(self.fixed), sums)
        return sums

    def _pass(self, spans: Spans, known: dict[Node, Array], sums: list[Array]) -> None:
        """One pass of a loop; ``spans`` are the blocks of this loop and those around it."""
        self.crew.check()
        level = len(spans) - 1
        block = (*[None] * level, slice(*spans[level]), *[None] * (self.depth - 1 - level))
        for leaf, value in self.cut[level]:
            known[leaf] = value[(..., *block)]
        innermost = level + 1 == self.depth
        if innermost:
            known.update((x, self.pairs[x][spans]) for x in self.nest.reads)
        for step in self.nest.levels[level]:
            if step.node is None:
                self._add(step.component, spans, known, sums)
            else:
                known[step.node] = self._value(step.node, known, spans)
            for node in step.free:
                del known[node]
        if not innermost:
            for inner in self.spans:
                self._pass((*spans, inner), known, sums)
        for step in self.nest.levels[level]:
            if step.node is not None:
                known.pop(step.node, None)

    def _value(self, node: Node, known: dict[Node, Array], spans: Spans) -> Array:
        sides = [stop - start for start, stop in spans]
        tail = (*sides, *[1] * (self.depth - len(sides)))
        place = Place(self.nest.shapes[node], tail, tuple(self.nest.copies), self.dtype)
        found = finite_local(node, [known[a] for a in node.args], place).astype(
            self.dtype, copy=False
        )
        if node in self.nest.writes:
            found = self.pairs[node][spans] = np.ascontiguousarray(found)
        return found

    def _add(self, number: int, spans: Spans, known: dict[Node, Array], sums: list[Array]) -> None:
        """Add this block's sum over the betas, one copy after the other."""
        component = self.nest.components[number]
        value, *others = (known[f] for f in component.pairs)
        for other in others:
            value = np.multiply(value, other)
        copies = list(self.nest.copies)
        rank = value.ndim - self.depth
        for copy in component.averaged[::-1]:
            labels = (*_aligned(rank), *(COPY_LABEL + k for k in copies))
            position = copies.index(copy)
            copies.remove(copy)
            weight = self.weights[number].get(copy)
            if weight is None:
                value = value.sum(axis=rank + position)
                continue
            of_weight = (*_aligned(weight.ndim - 1), COPY_LABEL + copy)
            rank = max(rank, weight.ndim - 1)
            result = (*_aligned(rank), *(COPY_LABEL + k for k in copies))
            part = weight[..., slice(*spans[self.nest.copies.index(copy)])]
            value = contract_arrays(value, labels, part, of_weight, result)
        sums[number] += value


def _weights(component: Component, values: Mapping[Node, Array]) -> dict[int, Array]:
    """For each copy the product of the factors on it alone."""
    found: dict[int, Array] = {}
    for node in component.weights:
        [copy] = node.type.copies
        found[copy] = found[copy] * values[node] if copy in found else values[node]
    return found


def _aligned(rank: int) -> tuple[int, ...]:
    """Labels of axes that are aligned from the right."""
    return tuple(range(rank))[::-1]
