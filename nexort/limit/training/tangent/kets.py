"""A graph without weights on samples: kets are arrays axes + (N,) over the points of their spaces.

Each neuron space has points of its own. Of a space whose kets stand on both sides of an outer
product the sample is two independent halves, which can stand for independent copies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from nexort.limit.dots import sources_of_dots
from nexort.limit.sample import arrays
from nexort.limit.sample.innovations import Innovations, Roots
from nexort.limit.sample.points import Points
from nexort.limit.sample.region import Region
from nexort.limit.training.maximal.spaces import Spaces
from nexort.limit.training.tangent.laws import Direction, Law, exact_laws
from nexort.program.nodes import Node, Op, walk
from nexort.program.types import Kind
from nexort.program.unrolled import Array, Unrolled
from nexort.support.diagnostics import InternalError

TUPLES = 2**24
"""Evaluations (point, tuple of copies) of one outer nonlinearity."""


@dataclass(frozen=True)
class Graph:
    """Kets over standard initial objects: their data and sizes, spaces, expectations over copies,
    and for every application Wx of a matrix the applications W^T y that its dot is made of."""

    step: Unrolled
    spaces: Spaces
    regions: Mapping[Node, Region]
    dots: Mapping[Node, tuple[Node, ...]]
    roots: tuple[Node, ...]
    laws: Mapping[Direction, Law] = field(default_factory=dict)
    """Of images that are sampled from their exact covariance."""

    def with_laws(self, memory: int) -> Graph:
        """The same, with all exact laws. Raises NexortError."""
        return replace(self, laws=exact_laws(self.step, ordered(self.roots), self.dots, memory))

    @staticmethod
    def of(step: Unrolled, roots: Iterable[Node], spaces: Spaces) -> Graph:
        """The graph under some roots. Spaces are numbered by the roots' order."""
        roots = list(roots)
        numbers: dict[int, int] = {}
        for x in ordered(roots):
            for copy in sorted(x.type.copies):
                numbers.setdefault(spaces.of[x, copy], len(numbers))
        for pair in spaces.sides.values():
            for old in pair:
                numbers.setdefault(old, len(numbers))
        spaces = Spaces(
            {x: numbers[k] for x, k in spaces.of.items() if k in numbers},
            {key: (numbers[a], numbers[b]) for key, (a, b) in spaces.sides.items()},
            len(numbers),
        )
        regions = {x: Region(x) for x in walk(roots) if x.op is Op.MEAN}
        return Graph(step, spaces, regions, sources_of_dots(roots), tuple(roots))


def ordered(roots: Iterable[Node]) -> list[Node]:
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


class Halves:
    """Standard Gaussian kets on independent parts of a sample."""

    def __init__(self, size: int, seed: np.random.SeedSequence, parts: int) -> None:
        self.size = size
        self.parts = [Roots(Points(size // parts, s)) for s in seed.spawn(parts)]

    def fresh(self, count: int) -> Array:
        """``count`` new kets, shape (count, N)."""
        return np.concatenate([part.fresh(count) for part in self.parts], axis=1)


class Kets:
    """The values of a graph's nodes on N points a neuron space."""

    def __init__(self, graph: Graph, size: int, seed: np.random.SeedSequence) -> None:
        self.graph, self.size = graph, size
        tied = {rows for rows, columns in graph.spaces.sides.values() if rows == columns}
        *seeds, design = seed.spawn(graph.spaces.count + 1)
        self.roots = [Halves(size, s, 2 if i in tied else 1) for i, s in enumerate(seeds)]
        self.rng = np.random.Generator(np.random.PCG64(design))
        self.values: dict[Node, Array] = {}
        self.initial: dict[Node, Array] = {}
        self.maps: dict[Direction, Innovations] = {}
        self.drawn: dict[Direction, Array] = {}
        self.reach: dict[Node, int] = {}

    def evaluate(self, roots: Iterable[Node]) -> dict[Node, Array]:
        """The arrays of some nodes, scalars of shape axes and kets of shape axes + (N,); all calls
        are of one joint law."""
        roots = list(roots)
        order = [x for x in ordered(roots) if not x.type.open]
        last = {x: i for i, x in enumerate(order)}
        for i, x in enumerate(order):
            for a in self._reads(x):
                last[a] = i
        ends: dict[int, list[Node]] = {}
        for x, i in last.items():
            ends.setdefault(i, []).append(x)
        kept = set(roots)
        self.values = {}
        for i, x in enumerate(order):
            self.values[x] = self._value(x)
            for a in ends.get(i, ()):
                if a not in kept:
                    self.values.pop(a, None)
        found = {x: self._full(x) for x in roots}
        self.values = {}
        return found

    def _reads(self, x: Node) -> tuple[Node, ...]:
        if x in self.graph.regions:
            closed = tuple(self.graph.regions[x].closed)
            return closed if x.args[0].type.open else (*x.args, *closed)
        return x.args

    def _shape(self, x: Node) -> tuple[int, ...]:
        return self.graph.step.shape(x.type.axes)

    def _full(self, x: Node) -> Array:
        """A node's array, axes and points at full length."""
        points = (self.size,) if x.type.kind is Kind.KET else ()
        return np.broadcast_to(self.values[x], (*self._shape(x), *points))

    def _rows(self, x: Node) -> Array:
        return self._full(x).reshape(-1, self.size)

    def _value(self, x: Node) -> Array:
        match x.op:
            case Op.CONST:
                return np.asarray(x.attr, dtype=float)
            case Op.SIZE:
                return np.asarray(float(self.graph.step.sizes[str(x.attr)]))
            case Op.DATA:
                return self.graph.step.data[str(x.attr)]
            case Op.INIT_SCALAR:
                return np.zeros(self._shape(x))
            case Op.INIT_VECTOR:
                return self._initial(x)
            case op if op in arrays.LOCAL:
                return arrays.local(x, [self.values[a] for a in x.args], 1, self._shape(x))
            case Op.INNER:
                left, right = (self._rows(a) for a in x.args)
                return np.asarray(left @ right.T / self.size).reshape(self._shape(x))
            case Op.AVERAGE:
                return np.asarray(self._full(x.args[0]).mean(axis=-1))
            case Op.MATMUL:
                return self._applied(x)
            case Op.MEAN:
                tuples = max(16, TUPLES // self.size)
                region = self.graph.regions[x]
                return region.average(self._full, self._shape, self.size, tuples, self.rng)
            case _:
                raise InternalError(f"{x.op.name} in a step of a training run")

    def _initial(self, x: Node) -> Array:
        if x not in self.initial:
            shape = self._shape(x)
            new = self.roots[self.graph.spaces.of[x, 0]].fresh(int(np.prod(shape, dtype=int)))
            self.initial[x] = new.reshape((*shape, self.size))
        return self.initial[x]

    def _applied(self, x: Node) -> Array:
        """|Wx> = hat(Wx) + dot(Wx), the dot only where it does not vanish by symmetry."""
        name, indices, flipped = x.attr
        law = self.graph.laws.get(x.attr)
        if law is not None:
            if x.attr not in self.drawn:
                self.drawn[x.attr] = self._image(x.attr).fresh(law.rank)
            image = law.coefficients[x] @ self.drawn[x.attr]
            return np.asarray(image).reshape((*self._shape(x), self.size))
        # rows over sqrt(N): the sample inner product becomes the plain one
        rows = self._rows(x.args[0]) / np.sqrt(self.size)
        forward = self._map((name, indices, flipped))
        result = forward.image(rows)
        self.reach[x] = forward.rank
        sources = self.graph.dots[x]
        if sources:
            back = self._map((name, indices, not flipped))
            reach = max(self.reach[s] for s in sources)
            result += (rows @ back.kets[:reach].T) @ back.basis[:reach]
        return result.reshape((*self._shape(x), self.size))

    def _image(self, way: Direction) -> Halves:
        """The space that a direction of a matrix leads to."""
        name, indices, flipped = way
        return self.roots[self.graph.spaces.sides[name, indices][1 if flipped else 0]]

    def _map(self, way: Direction) -> Innovations:
        if way not in self.maps:
            self.maps[way] = Innovations(self._image(way), self.size)
        return self.maps[way]
