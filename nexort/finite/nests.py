"""Plans of sums over pairs, triples, ... of indices: loops over blocks.

A nest has one loop for each copy (alpha = copy 0 outermost, then beta_1, beta_2, ...). A value is
computed in the outermost loop that knows all its indices. Block sizes depend on the program and the
width only, so that neither threads nor the memory budget change a result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod

from nexort.finite.arrays import is_mixed
from nexort.finite.averages import Component, mixed_nodes
from nexort.program.nodes import Node
from nexort.program.unrolled import Unrolled

BLOCK_ENTRIES = 2**20
"""Entries of all temporaries of a block together: about a core's share of the cache."""

NOTHING: frozenset[Node] = frozenset()


@dataclass(frozen=True, slots=True)
class NestInstruction:
    """Evaluate a node, or (``node`` None) add a component's block to its sum; then free values."""

    node: Node | None
    component: int
    free: tuple[Node, ...]


@dataclass(frozen=True)
class Nest:
    """The loops over ``copies`` that average some components, all of them on these copies.

    ``levels`` has each loop's instructions, outermost first. ``leaves`` are the ordinary values
    that are read, ``reads`` the functions of pairs kept from earlier nests, ``writes`` those to
    keep for later ones. ``side`` is the block size in every index.
    """

    copies: tuple[int, ...]
    components: tuple[Component, ...]
    levels: tuple[tuple[NestInstruction, ...], ...]
    leaves: tuple[Node, ...]
    reads: tuple[Node, ...]
    writes: frozenset[Node]
    shapes: Mapping[Node, tuple[int, ...]]
    width: int
    side: int

    @property
    def evaluated(self) -> tuple[Node, ...]:
        """The functions of several copies that are computed."""
        return tuple(s.node for level in self.levels for s in level if s.node is not None)

    def work(self) -> int:
        """How many entries are computed in all blocks together."""
        return sum(_entries(x, self.shapes, self.width) for x in self.evaluated)

    def block_entries(self) -> int:
        """The largest number of entries of a block's temporaries alive at once."""
        return _peak(self.levels, self.components, self.shapes, self.side)


def build(
    components: Iterable[Component],
    program: Unrolled,
    width: int,
    *,
    kept: frozenset[Node] = NOTHING,
    keep: frozenset[Node] = NOTHING,
    side: int | None = None,
) -> Nest:
    """The nest of components with the same copies.

    ``kept`` are available from earlier nests, ``keep`` are wanted by later ones; ``side`` is chosen
    so that a block's values fill BLOCK_ENTRIES if it is not given.
    """
    wanted = tuple(components)
    copies = wanted[0].copies
    inner = mixed_nodes((f for c in wanted for f in c.pairs), kept)
    levels = _levels(inner, wanted)
    operands = tuple(dict.fromkeys(a for x in sorted(inner, key=_serial) for a in x.args))
    leaves = tuple(a for a in operands if not is_mixed(a))
    factors = [f for c in wanted for f in (*c.pairs, *c.weights)]
    reads = tuple(dict.fromkeys(x for x in (*operands, *factors) if is_mixed(x) and x in kept))
    shapes = {x: program.shape(x.type.axes) for x in (*inner, *operands, *factors)}
    if side is None:
        side = width
        while side > 1 and _peak(levels, wanted, shapes, side) > BLOCK_ENTRIES:
            side = side * 3 // 4
        side = -(-width // -(-width // side))
    return Nest(copies, wanted, levels, leaves, reads, keep & inner, shapes, width, side)


def _entries(node: Node, shapes: Mapping[Node, tuple[int, ...]], side: int) -> int:
    return prod((*shapes[node], *(side for _ in node.type.copies)))


def _serial(node: Node) -> int:
    return node.serial


def _levels(
    inner: set[Node], components: tuple[Component, ...]
) -> tuple[tuple[NestInstruction, ...], ...]:
    """Every node at its loop; components are summed right after the last of their factors."""
    copies = components[0].copies
    level = {x: copies.index(max(x.type.copies)) for x in inner}
    order: list[tuple[int, int, Node | int]] = [(level[x], x.serial, x) for x in inner]
    for number, component in enumerate(components):
        last = max(f.serial for f in component.pairs)
        order.append((len(copies) - 1, last, number))
    order.sort(key=lambda item: (item[0], item[1], isinstance(item[2], int)))
    uses = [x.args if isinstance(x, Node) else components[x].pairs for _, _, x in order]
    last_use = {x: k for k, nodes in enumerate(uses) for x in nodes}
    levels: list[list[NestInstruction]] = [[] for _ in copies]
    for k, (depth, _, item) in enumerate(order):
        ended = (x for x in dict.fromkeys(uses[k]) if last_use[x] == k)
        free = tuple(x for x in ended if level.get(x) == depth)
        node, number = (item, -1) if isinstance(item, Node) else (None, item)
        levels[depth].append(NestInstruction(node, number, free))
    return tuple(map(tuple, levels))


def _peak(
    levels: tuple[tuple[NestInstruction, ...], ...],
    components: tuple[Component, ...],
    shapes: Mapping[Node, tuple[int, ...]],
    side: int,
) -> int:
    def entries(node: Node) -> int:
        return _entries(node, shapes, side)

    live = most = 0
    for step in (step for level in levels for step in level):
        if step.node is not None:
            live += entries(step.node)
            most = max(most, live)
        else:
            pairs = components[step.component].pairs
            product = max(map(entries, pairs)) if len(pairs) > 1 else 0
            most = max(most, live + product)
        live -= sum(map(entries, step.free))
    return most
