"""What is the same for all samples of a graph of kets: spaces, dots, order and lifetimes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from nexort.limit.sample.region import Region
from nexort.limit.sample.spaces import Spaces, walk_by_structure
from nexort.program.nodes import Node, Op, walk
from nexort.program.types import Kind
from nexort.program.unrolled import Unrolled

Regions = Mapping[Node, Region]
"""The expectations over iid copies."""


@dataclass(frozen=True)
class SampleGraph:
    """Kets over initial objects, with the data and sizes of ``step``."""

    step: Unrolled
    spaces: Spaces
    regions: Regions
    initial: tuple[Node, ...]
    """The initial vectors, in order of appearance."""
    dots: Mapping[Node, tuple[Node, ...]] | None = None
    """For every application Wx of a matrix the applications W^T y that its dot is made of; None
    where any earlier one may be."""
    zero: frozenset[Node] = frozenset()
    """Bra-kets and averages that vanish by symmetry."""
    jumps: frozenset[Node] = frozenset()
    """Functions of a ket that are discontinuous at zero, whose arguments are measured."""
    projected: frozenset[Node] = frozenset()
    """Initial multi-vectors that are only contracted with numbers: never sampled as a whole."""

    def rank(self, node: Node) -> int:
        """How many kets a multi-ket is."""
        return int(np.prod(self.step.shape(node.type.axes), dtype=int))

    def roots(self, nodes: Iterable[Node]) -> Counter[int]:
        """How many roots some nodes take of every space, at the most."""
        found = Counter[int]()
        for x in nodes:
            if x.op in (Op.INIT_VECTOR, Op.MATMUL):
                found[self.spaces.of[x, 0]] += self.rank(x)
        return found

    def arguments(self, nodes: Iterable[Node], key: object = None) -> int:
        """How many arguments the applications of one matrix among some nodes, or of all, have."""
        uses = [x for x in nodes if x.op is Op.MATMUL and key in (None, x.attr[:2])]
        return sum(map(self.rank, uses))


@dataclass(frozen=True)
class SampleSchedule:
    """Nodes in order of evaluation; ``drops[i]`` are not read after node i."""

    order: tuple[Node, ...]
    drops: tuple[tuple[Node, ...], ...]
    kept: frozenset[Node]


def is_ket(x: Node) -> bool:
    """Whether a node is a ket."""
    return x.type.kind is Kind.KET


def regions_of(roots: Iterable[Node]) -> dict[Node, Region]:
    """The expectations over iid copies under some roots."""
    return {x: Region(x) for x in walk(roots) if x.op is Op.MEAN}


def reads(x: Node, regions: Regions) -> tuple[Node, ...]:
    """The values that a node is made of."""
    if x in regions:
        closed = tuple(regions[x].closed)
        return closed if x.args[0].type.open else (*x.args, *closed)
    return x.args


def reachable(roots: Iterable[Node]) -> list[Node]:
    """The nodes under some roots that are values of their own, not open on iid copies, in an order
    that depends on the graph alone."""
    return [x for x in walk_by_structure(roots) if not x.type.open]


def late(order: Iterable[Node], regions: Regions) -> list[Node]:
    """The same with every initial vector just before what reads it first: its sample is then made
    orthogonal to all that cannot depend on it."""
    moved: dict[Node, None] = {}
    found: dict[Node, None] = {}
    for x in order:
        if x.op is Op.INIT_VECTOR:
            moved[x] = None
            continue
        found |= {a: None for a in reads(x, regions) if a in moved}
        found[x] = None
    return [*found, *(x for x in moved if x not in found)]


def schedule_nodes(order: Iterable[Node], kept: Iterable[Node], regions: Regions) -> SampleSchedule:
    """Some nodes in their order, each forgotten after its last use unless it is ``kept``."""
    order = tuple(order)
    kept = frozenset(kept)
    last: dict[Node, int] = {x: i for i, x in enumerate(order)}
    for i, x in enumerate(order):
        for a in reads(x, regions):
            last[a] = i
    drops: list[list[Node]] = [[] for _ in order]
    for x, i in last.items():
        if x not in kept:
            drops[i].append(x)
    return SampleSchedule(order, tuple(map(tuple, drops)), kept)
