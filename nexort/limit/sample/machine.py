"""A graph of kets on samples (Def 2.6.5): every ket an array axes + (N,) over its space's points,
scalars averages over them, matrices operators between spaces."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from nexort.limit.sample.frames import NeuronSpace, lengths
from nexort.limit.sample.graph import SampleGraph, SampleSchedule, is_ket
from nexort.limit.sample.matrices import InitialOperator, Projection
from nexort.limit.sample.spaces import Key
from nexort.program import arrays
from nexort.program.nodes import Node, Op
from nexort.program.unrolled import Array
from nexort.support.diagnostics import InternalError

ROUNDING = 1e-13
"""A bra-ket of at most this part of its kets' lengths is zero."""

TUPLES = 2**24
"""Evaluations (point, tuple of copies) of one outer nonlinearity."""


class SampledOperator(Protocol):
    """A matrix between two neuron spaces: as it was drawn, moved, decayed, or of a known law."""

    def apply(self, x: Node, kets: Array, reach: int | None) -> Array:
        """The image of the argument's kets (m, N) by a MATMUL node, shape (m, N'). Its dot is made
        of the first ``reach`` directions that the transpose has met, of all where None."""
        ...

    def met(self, flipped: bool) -> int:
        """How many directions of arguments the matrix, or its transpose, has met."""
        ...


@dataclass(frozen=True, slots=True)
class Sampling:
    """How points are chosen."""

    careful: bool = False
    """Whether later roots are orthogonal to arguments of matrices before them."""
    mirrored: bool = False
    """Whether with every point comes its negative."""
    halves: bool = False
    """Whether points of a space that a matrix leads back to are two independent halves."""
    even: bool = False
    """Whether only the initial vectors' dimensions are evenly filled."""
    cutoff: float = 1e-6
    """Directions of arguments shorter than this part of them are dropped."""


PLAIN = Sampling()


class Machine:
    """The values of a graph's nodes on N points a neuron space."""

    def __init__(
        self,
        graph: SampleGraph,
        size: int,
        seed: np.random.SeedSequence,
        how: Sampling = PLAIN,
        *,
        alone: Iterable[Node] | None = None,
        space: Callable[..., NeuronSpace] = NeuronSpace,
    ) -> None:
        """``alone``: all nodes that will be evaluated, where they are known; ``space`` makes the
        spaces."""
        self.graph, self.size, self.cutoff = graph, size, how.cutoff
        tied = {rows for rows, columns in graph.spaces.sides.values() if rows == columns}
        *seeds, design = seed.spawn(graph.spaces.count + 1)
        whole = [x for x in graph.initial if x not in graph.projected]
        first = graph.roots(whole) if how.even else None
        most = None if alone is None else graph.roots(alone)
        self.spaces = [
            space(
                size,
                s,
                halves=how.halves and i in tied,
                careful=how.careful,
                mirrored=how.mirrored,
                even=None if first is None else first[i],
                most=None if most is None else most[i],
            )
            for i, s in enumerate(seeds)
        ]
        self.rng = np.random.Generator(np.random.PCG64(design))
        self.values: dict[Node, Array] = {}
        self.roots: dict[Node, Array] = {}
        self.operators: dict[Key, SampledOperator] = {}
        self.projections: dict[Node, Projection] = {}
        self.reach: dict[Node, int] = {}
        self.squares: dict[Node, Array] = {}
        """Of every jump, the mean square of its argument, one number an axis position."""
        # initial vectors have the first coordinates of their points, which are the most even
        self.coordinates = {x: self._space(x).take(graph.rank(x)) for x in whole if graph.rank(x)}

    def run(
        self, schedule: SampleSchedule, seen: Callable[[Node, Array], None] | None = None
    ) -> None:
        """Evaluate some nodes; those that the schedule keeps stay in ``values``. ``seen`` is told
        of each."""
        for x, drops in zip(schedule.order, schedule.drops, strict=True):
            if x not in self.values and x not in self.graph.projected:
                self.values[x] = self._value(x)
                if seen is not None:
                    seen(x, self.values[x])
            for a in drops:
                self.values.pop(a, None)

    def ket(self, x: Node) -> Array:
        """A node's array, a ket's axes and points at full length."""
        value = self.values[x]
        shape = self.shape(x)
        if is_ket(x):
            shape = (*shape, self.size)
        return value if value.shape == shape else np.broadcast_to(value, shape)

    def rows(self, x: Node) -> Array:
        """A ket as a matrix with one row an axis position."""
        return self.ket(x).reshape(-1, self.size)

    def shape(self, x: Node) -> tuple[int, ...]:
        """The sizes of a node's axes."""
        return self.graph.step.shape(x.type.axes)

    # ---- initial objects: what trainings change --------------------------------------------------

    def vector(self, x: Node) -> Array:
        """The value of an initial vector."""
        if x not in self.roots:
            self.roots[x] = self.root(x)
        return self.roots[x]

    def scalar(self, x: Node) -> Array:
        """The value of an initial scalar."""
        return np.zeros(self.shape(x))

    def operator(self, key: Key) -> SampledOperator:
        """A matrix that was met for the first time."""
        return self.initial(key)

    # ----------------------------------------------------------------------------------------------

    def root(self, x: Node) -> Array:
        """A standard normal multi-ket; where the graph does not tell what depends on it, orthogonal
        to what cannot: at its first use, all kets of its space."""
        return self._fresh(x, self.graph.rank(x)).reshape((*self.shape(x), self.size))

    def initial(self, key: Key, scale: float = 1.0) -> InitialOperator:
        """A matrix with entries N(0, scale^2/n)."""
        rows, columns = (self.spaces[i] for i in self.graph.spaces.sides[key])
        return InitialOperator(rows, columns, scale, self.cutoff)

    def _space(self, x: Node) -> NeuronSpace:
        return self.spaces[self.graph.spaces.of[x, 0]]

    def _fresh(self, x: Node, count: int) -> Array:
        """``count`` new roots of x's space."""
        space, of = self._space(x), self.graph.spaces.of
        new = self.coordinates.pop(x, None)
        if new is None:
            new = space.take(count)
        if self.graph.dots is not None:
            return space.root(new)
        older = [y for y in self.values if is_ket(y) and self.spaces[of[y, 0]] is space]
        return space.root(new, np.concatenate([self.rows(y) for y in older]) if older else None)

    def _value(self, x: Node) -> Array:
        if x in self.graph.zero:
            return np.zeros(self.shape(x))
        match x.op:
            case Op.CONST:
                return np.asarray(x.attr, dtype=float)
            case Op.SIZE:
                return np.asarray(float(self.graph.step.sizes[str(x.attr)]))
            case Op.DATA:
                return self.graph.step.data[str(x.attr)]
            case Op.INIT_SCALAR:
                return self.scalar(x)
            case Op.INIT_VECTOR:
                return self.vector(x)
            case Op.CONTRACT if x.args[0] in self.graph.projected:
                return self._projected(x)
            case op if op.local:
                if x in self.graph.jumps:
                    rows = self.rows(x.args[0])
                    self.squares[x] = np.einsum("ij,ij->i", rows, rows) / self.size
                return arrays.local_array(x, [self.values[a] for a in x.args], 1, self.shape(x))
            case Op.INNER:
                left, right = (self.rows(a) for a in x.args)
                product: Array = left @ right.T / self.size
                # kets that were made orthogonal
                rounding = ROUNDING * np.outer(lengths(left), lengths(right))
                none = (np.abs(product) <= rounding) & np.isfinite(rounding)
                return np.where(none, 0.0, product).reshape(self.shape(x))
            case Op.AVERAGE:
                return np.asarray(self.ket(x.args[0]).mean(axis=-1))
            case Op.MATMUL:
                return self._applied(x)
            case Op.MEAN:
                tuples = max(16, TUPLES // self.size)
                region = self.graph.regions[x]
                return region.average(self.ket, self.shape, self.size, tuples, self.rng)
            case _:
                raise InternalError(f"{x.op.name} in an unrolled program")

    def _applied(self, x: Node) -> Array:
        """|Wx>."""
        name, indices, flipped = x.attr
        key = name, indices
        if key not in self.operators:
            self.operators[key] = self.operator(key)
        reach = None
        if self.graph.dots is not None:
            reach = max((self.reach[s] for s in self.graph.dots[x]), default=0)
        image = self.operators[key].apply(x, self.rows(x.args[0]), reach)
        self.reach[x] = self.operators[key].met(flipped)
        return image.reshape((*self.shape(x), self.size))

    def _projected(self, x: Node) -> Array:
        """``|u> @ c``, c numbers."""
        u, numbers = x.args[0], self.values[x.args[1]]
        [length] = self.shape(u)
        if u not in self.projections:
            fresh = partial(self._fresh, u)
            self.projections[u] = Projection(length, self.size, fresh, self.cutoff)
        kets = self.projections[u].apply(numbers.reshape(length, -1).T)
        return kets.reshape((*numbers.shape[1:], self.size))
