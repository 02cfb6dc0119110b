"""One replicate of a limit: the program run on a sample of its kets (Def 2.6.5).

Every ket is an array of its values at N sample points; scalars are sample averages. Initial
matrices act through innovation bases, with dots in Stein's form wherever the graph lets one arise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nexort import functions
from nexort.limit.dots import sources_of_dots
from nexort.limit.sample import arrays
from nexort.limit.sample.innovations import Fresh, Innovations, Roots
from nexort.limit.sample.points import Points
from nexort.limit.sample.region import Region
from nexort.limit.symmetry import vanishing
from nexort.program.nodes import Node, Op, walk
from nexort.program.types import Kind
from nexort.program.unrolled import Array, Unrolled
from nexort.support.diagnostics import InternalError

PAIRS = 2**24
"""Evaluations (point, tuple of copies) of one outer nonlinearity in one replicate."""


@dataclass(frozen=True)
class Plan:
    """What is the same for all replicates: order, lifetimes, dots, regions."""

    program: Unrolled
    order: tuple[Node, ...]
    last: Mapping[Node, int]
    kept: frozenset[Node]
    dots: Mapping[Node, tuple[Node, ...]]
    regions: Mapping[Node, Region]
    zero: frozenset[Node]
    """Bra-kets and averages that vanish by symmetry."""
    jumps: frozenset[Node]
    """Functions of a ket that are discontinuous at zero."""
    projected: frozenset[Node]
    """Initial multi-vectors that are only contracted with numbers: never sampled as a whole."""
    unknown: frozenset[Node] = frozenset()
    """Expectations that are not shown to exist, so that none of them vanishes by symmetry."""
    heavy: frozenset[Node] = frozenset()
    """Expectations of what is not shown to have a finite variance."""

    @staticmethod
    def of(
        program: Unrolled,
        unknown: frozenset[Node] = frozenset(),
        heavy: frozenset[Node] = frozenset(),
    ) -> Plan:
        """The plan of an unrolled program without operators."""
        kept = frozenset(m for output in program.outputs for m in output.members)
        nodes = walk(kept)
        regions = {x: Region(x) for x in nodes if x.op is Op.MEAN}
        order = tuple(x for x in nodes if not x.type.open)
        last: dict[Node, int] = {}
        plain: set[Node] = set()
        for position, x in enumerate(order):
            reads = (*x.args, *regions[x].closed) if x in regions else x.args
            for a in reads:
                last[a] = position
                if not (_projects(x) and a is x.args[0]):
                    plain.add(a)
        initial = {x for x in order if x.op is Op.INIT_VECTOR and len(x.type.axes) == 1}
        return Plan(
            program,
            order,
            last,
            kept,
            sources_of_dots(kept),
            regions,
            vanishing(kept) - unknown,
            frozenset(x for x in order if jumps(x)),
            frozenset(initial - plain),
            unknown,
            heavy,
        )

    @property
    def sampled(self) -> bool:
        """Whether anything random enters the outputs."""
        return any(x.op in (Op.INNER, Op.AVERAGE, Op.MEAN) for x in self.order)

    @property
    def numbers_per_point(self) -> int:
        """How many numbers are held for every sample point at the most: live kets, bases, roots."""

        def size(x: Node) -> int:
            return int(np.prod(self.program.shape(x.type.axes))) if x.type.kind is Kind.KET else 0

        live = peak = kept = 0
        ends: dict[int, int] = {}
        for position, x in enumerate(self.order):
            if x.op in (Op.MATMUL, Op.INIT_VECTOR):
                kept += 3 * size(x)
            live += size(x)
            peak = max(peak, live + kept)
            last = self.last.get(x, position)
            ends[last] = ends.get(last, 0) + size(x)
            live -= ends.pop(position, 0)
        return peak

    @property
    def directions(self) -> int:
        """A bound on the rank of any initial matrix's innovation basis."""
        ranks: dict[object, int] = {}
        for x in self.order:
            if x.op is Op.MATMUL:
                ranks[x.attr] = ranks.get(x.attr, 0) + int(np.prod(self.program.shape(x.type.axes)))
        return max(ranks.values(), default=0)


def jumps(x: Node) -> bool:
    """A function of one ket with a jump at zero."""
    if x.op is not Op.CALL or len(x.args) != 1 or x.args[0].type.kind is not Kind.KET:
        return False
    return functions.registry()[str(x.attr)].jumps


def _projects(x: Node) -> bool:
    """``|u> @ c`` with |u> an initial multi-vector over one axis and c numbers."""
    return (
        x.op is Op.CONTRACT
        and x.attr == 1
        and x.args[0].op is Op.INIT_VECTOR
        and len(x.args[0].type.axes) == 1
        and x.args[1].type.kind is Kind.SCALAR
    )


class Replicate:
    """One run over ``size`` points."""

    def __init__(self, plan: Plan, size: int, seed: np.random.SeedSequence) -> None:
        self.plan = plan
        self.program = plan.program
        self.size = size
        points_seed, design_seed = seed.spawn(2)
        self.roots: Fresh = Roots(Points(size, points_seed))
        self.rng = np.random.Generator(np.random.PCG64(design_seed))
        self.maps: dict[object, Innovations] = {}
        self.reach: dict[Node, int] = {}
        self.values: dict[Node, Array] = {}
        self.first_bad: Node | None = None
        self.squares: dict[Node, Array] = {}
        """Of every jump, the mean square of its argument, one number an axis position."""

    def run(self, *, watch: bool = False) -> list[Array]:
        """The members of the outputs, in order; ``watch`` records the first non-finite node."""
        plan, values = self.plan, self.values
        with np.errstate(all="ignore"):
            for position, node in enumerate(plan.order):
                if node not in plan.projected:
                    values[node] = self._value(node)
                    if watch and self.first_bad is None and not np.isfinite(values[node]).all():
                        self.first_bad = node
                for a in self._reads(node):
                    if plan.last[a] == position and a not in plan.kept:
                        values.pop(a, None)
        return [values[m] for output in self.program.outputs for m in output.members]

    @property
    def dropped(self) -> float:
        """The largest relative size of a dropped direction."""
        return max((m.dropped for m in self.maps.values()), default=0.0)

    @property
    def rank(self) -> int:
        """The largest rank of an innovation basis."""
        return max((m.rank for m in self.maps.values()), default=0)

    def _reads(self, node: Node) -> tuple[Node, ...]:
        regions = self.plan.regions
        return (*node.args, *regions[node].closed) if node in regions else node.args

    def _shape(self, node: Node) -> tuple[int, ...]:
        return self.program.shape(node.type.axes)

    def _value(self, node: Node) -> Array:
        values = self.values
        if node in self.plan.zero:
            return np.zeros(self._shape(node))
        if not node.args:
            return self._leaf(node)
        match node.op:
            case Op.CALL:
                if node in self.plan.jumps:
                    rows = self._rows(node.args[0])
                    self.squares[node] = np.einsum("ij,ij->i", rows, rows) / self.size
                return arrays.entrywise(node, [values[a] for a in node.args], 1)
            case Op.CONTRACT:
                return self._contract(node)
            case Op.TAKE | Op.TRANSPOSE | Op.DIAGONAL | Op.SPREAD | Op.FACTOR:
                return arrays.structural(node, values[node.args[0]], 1, self._shape(node))
            case Op.STACK:
                return np.stack(np.broadcast_arrays(*(values[a] for a in node.args)))
            case Op.INNER:
                return self._inner(node)
            case Op.AVERAGE:
                return np.asarray(self._ket(node.args[0]).mean(axis=-1))
            case Op.MATMUL:
                return self._matmul(node)
            case Op.MEAN:
                tuples = max(16, PAIRS // self.size)
                region = self.plan.regions[node]
                return region.average(self._ket, self._shape, self.size, tuples, self.rng)
            case _:
                raise InternalError(f"{node.op.name} in an unrolled program")

    def _leaf(self, node: Node) -> Array:
        match node.op:
            case Op.CONST:
                return np.asarray(node.attr, dtype=float)
            case Op.SIZE:
                return np.asarray(float(self.program.sizes[str(node.attr)]))
            case Op.DATA:
                return self.program.data[str(node.attr)]
            case Op.INIT_SCALAR:
                return np.zeros(self._shape(node))
            case Op.INIT_VECTOR:
                shape = self._shape(node)
                return self.roots.fresh(int(np.prod(shape))).reshape((*shape, self.size))
            case _:
                raise InternalError(f"{node.op.name} in an unrolled program")

    def _ket(self, node: Node) -> Array:
        """The node's array, a ket's tail at full length."""
        value = self.values[node]
        if node.type.kind is Kind.KET and value.shape[-1] != self.size:
            value = np.broadcast_to(value, (*value.shape[:-1], self.size))
        return value

    def _rows(self, node: Node) -> Array:
        """A ket as a matrix with one row an axis position."""
        value = self._ket(node)
        shape = self._shape(node)
        if value.shape[:-1] != shape:
            value = np.broadcast_to(value, (*shape, self.size))
        return value.reshape(-1, self.size)

    def _inner(self, node: Node) -> Array:
        left, right = (self._rows(a) for a in node.args)
        result: Array = (left @ right.T / self.size).reshape(self._shape(node))
        return result

    def _contract(self, node: Node) -> Array:
        left, right = node.args
        if left in self.plan.projected:
            [length] = self._shape(left)
            numbers = self.values[right]
            columns = numbers.reshape(length, -1).T
            kets = self._map(left, length).image(columns)
            return kets.reshape((*numbers.shape[1:], self.size))
        return arrays.contraction(node, self.values[left], self.values[right], 1)

    def _map(self, key: object, length: int) -> Innovations:
        if key not in self.maps:
            self.maps[key] = Innovations(self.roots, length)
        return self.maps[key]

    def _matmul(self, node: Node) -> Array:
        """|Wx> = hat(Wx) + dot(Wx)."""
        name, indices, flipped = node.attr
        # rows over sqrt(N): the sample inner product becomes the plain one
        rows = self._rows(node.args[0]) / np.sqrt(self.size)
        forward = self._map((name, indices, flipped), self.size)
        result = forward.image(rows)
        self.reach[node] = forward.rank
        sources = self.plan.dots[node]
        if sources:
            back = self._map((name, indices, not flipped), self.size)
            reach = max(self.reach[s] for s in sources)
            # E[g_k |x>] q_k, with q_k = sqrt(N) times a unit row
            slopes = rows @ back.kets[:reach].T
            result += slopes @ back.basis[:reach]
        return result.reshape((*self._shape(node), self.size))
