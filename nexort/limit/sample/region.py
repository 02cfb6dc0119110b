"""Expectations over iid copies: OuterNonlin of any order on a sample (Def 2.6.5, OuterNonlin).

f(x) = E psi(x; x^1; ..; x^r) is estimated for every sample point by an average over tuples of
sample points. With one copy the tuples are all points. With more, they are a balanced incomplete
design: the copies run through the points in independent random orders, so that every point serves
equally often as every copy and the part of psi that depends on one copy alone keeps the full
accuracy of the sample; another design for every block of points averages out the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from nexort.program import arrays
from nexort.program.nodes import Node, Op, walk
from nexort.program.types import Kind
from nexort.program.unrolled import Array

BLOCK = 2**18
"""Numbers in one temporary of a block: cache-sized."""

ROUNDS = 4
"""Random orders a block for two or more copies."""


class Region:
    """The open part of a MEAN node: what has to be computed tuple by tuple."""

    def __init__(self, node: Node) -> None:
        self.node = node
        copies = node.attr
        assert isinstance(copies, tuple)
        self.copies: tuple[int, ...] = copies
        self.inside = _open_nodes(node.args[0])
        users: dict[Node, int] = {}
        for position, x in enumerate(self.inside):
            for a in x.args:
                users[a] = position
        self.last = users

    @property
    def closed(self) -> Iterable[Node]:
        """The ordinary nodes that the region reads."""
        inside = set(self.inside)
        for x in self.inside:
            for a in x.args:
                if a not in inside:
                    yield a

    def average(
        self,
        value: Callable[[Node], Array],
        shape: Callable[[Node], tuple[int, ...]],
        size: int,
        tuples: int,
        rng: np.random.Generator,
    ) -> Array:
        """The ket (axes, size), or the scalar, that the expectation is."""
        free = self.node.type.kind is Kind.KET
        if not free:
            return self._block(value, shape, self._design(size, ROUNDS * size, rng), slice(0, 0))
        step = max(1, min(size, BLOCK // min(size, tuples)))
        parts = []
        for start in range(0, size, step):
            design = self._design(size, tuples, rng, start)
            parts.append(self._block(value, shape, design, slice(start, start + step)))
        return np.concatenate(parts, axis=-1)

    def _design(
        self, size: int, tuples: int, rng: np.random.Generator, start: int = 0
    ) -> dict[int, Array]:
        """For every copy, the sample points that the tuples run through."""
        if len(self.copies) == 1:
            count = min(size, tuples)
            # an aligned segment of a Sobol sequence is itself a low-discrepancy set
            first = (start // count * count) % size
            return {self.copies[0]: np.arange(first, first + count)}
        count = min(tuples, ROUNDS * size)
        orders: dict[int, Array] = {}
        for k in self.copies:
            rounds = [rng.permutation(size) for _ in range(-(-count // size))]
            orders[k] = np.concatenate(rounds)[:count]
        return orders

    def _block(
        self,
        value: Callable[[Node], Array],
        shape: Callable[[Node], tuple[int, ...]],
        design: dict[int, Array],
        block: slice,
    ) -> Array:
        made: dict[Node, Array] = {}

        def operand(x: Node) -> Array:
            if x in made:
                return made[x]
            array = value(x)
            return array[..., None, block] if x.type.kind is Kind.KET else array

        for position, x in enumerate(self.inside):
            if x.op is Op.COPY:
                assert isinstance(x.attr, int)
                made[x] = value(x.args[0])[..., design[x.attr], None]
            else:
                made[x] = arrays.local_array(x, [operand(a) for a in x.args], 2, shape(x))
            for a in x.args:
                if self.last[a] == position:
                    made.pop(a, None)
        body = operand(self.node.args[0])
        average: Array = body.mean(axis=-2)
        return average if self.node.type.kind is Kind.KET else average[..., 0]


def _open_nodes(body: Node) -> list[Node]:
    """The nodes on iid copies under a body, arguments first."""
    found: set[Node] = set()
    stack = [body]
    while stack:
        x = stack.pop()
        if x not in found and x.type.open:
            found.add(x)
            if x.op is not Op.COPY:
                stack.extend(x.args)
    return [x for x in walk(found) if x in found]
