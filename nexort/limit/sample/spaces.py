"""Neuron spaces: which kets share their index, told from the graph.

Kets that meet in an entrywise operation or a bra-ket live over the same neurons; a matrix leads
from one space to another. A space is sampled by its own points, of its own roots alone, unless tied
weights or a bra-ket join it to others.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

from nexort.program.nodes import Node, Op
from nexort.program.types import Kind

Key = tuple[str, tuple[int, ...]]
"""A matrix: its name and its family's indices."""


@dataclass(frozen=True)
class Spaces:
    """``of[x, 0]``: the number of a ket's space, ``of[x, k]`` that of its k-th copy;
    ``sides[W]``: the spaces of a matrix's rows (its outputs) and columns; ``count`` in all."""

    of: Mapping[tuple[Node, int], int]
    sides: Mapping[Key, tuple[int, int]]
    count: int


def spaces(roots: Iterable[Node], joined: Iterable[tuple[Hashable, Hashable]] = ()) -> Spaces:
    """The spaces of the kets under some roots, numbered by the graph alone. ``joined`` are pairs of
    one space: (ket, its copy), and (weight, 'rows' or 'columns') of a matrix."""
    union = _Union()
    nodes = walk_by_structure(roots)
    for x in nodes:
        _join(union, x)
    for one, other in joined:
        union.join(one, other)
    numbers: dict[Hashable, int] = {}
    of = {}
    for x in nodes:
        for copy in sorted(x.type.copies):
            of[x, copy] = numbers.setdefault(union.root((x, copy)), len(numbers))
    sides = {
        key: (
            numbers.setdefault(union.root((key, "rows")), len(numbers)),
            numbers.setdefault(union.root((key, "columns")), len(numbers)),
        )
        for key in {(x.attr[0], x.attr[1]): None for x in nodes if x.op is Op.MATMUL}
    }
    return Spaces(of, sides, len(numbers))


def walk_by_structure(roots: Iterable[Node]) -> list[Node]:
    """Every node reachable from the roots, arguments before users, in an order that depends on the
    graph alone, not on when its nodes were made."""
    found: dict[Node, None] = {}
    for root in roots:
        stack = [(root, False)]
        while stack:
            x, done = stack.pop()
            if done:
                found[x] = None
            elif x not in found:
                stack.append((x, True))
                stack += [(a, False) for a in reversed(x.args) if a not in found]
    return list(found)


def _join(union: _Union, x: Node) -> None:
    kets = [a for a in x.args if a.type.kind is Kind.KET]
    match x.op:
        case Op.MATMUL:
            name, indices, flipped = x.attr
            ends = ("columns", "rows") if flipped else ("rows", "columns")
            union.join((x, 0), ((name, indices), ends[0]))
            union.join((x.args[0], 0), ((name, indices), ends[1]))
        case Op.INNER:
            union.join((kets[0], 0), (kets[1], 0))
        case Op.COPY:
            union.join((x, x.attr), (x.args[0], 0))
        case Op.MEAN:
            if x.type.kind is Kind.KET:
                union.join((x, 0), (x.args[0], 0))
        case _ if x.type.kind is Kind.KET:
            for a in kets:
                for copy in a.type.copies:
                    union.join((x, copy), (a, copy))


class _Union:
    """Disjoint sets of hashable things."""

    def __init__(self) -> None:
        self.parent: dict[Hashable, Hashable] = {}

    def root(self, x: Hashable) -> Hashable:
        """The set's representative."""
        while (above := self.parent.get(x, x)) != x:
            self.parent[x] = self.parent.get(above, above)
            x = above
        return x

    def join(self, *items: Hashable) -> None:
        """One set of all."""
        first = self.root(items[0])
        for x in items[1:]:
            self.parent[self.root(x)] = first
