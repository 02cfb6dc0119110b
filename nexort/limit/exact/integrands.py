"""Integrands of a program's expectations, as graphs over independent variables' leaves.

A leaf is a Gaussian ket at an entry (a linear form over initial vectors and hats), or something
that is not taken apart, of which only a range is known: an expectation over iid copies, a ket with
a dot that is not linear, a scalar that has no exact number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from itertools import product
from typing import Any

import numpy as np

from nexort.activations import Array
from nexort.limit.exact import failures
from nexort.limit.exact.budget import NotExact
from nexort.limit.exact.engine import ExactEngine
from nexort.limit.exact.factored import dependency_order
from nexort.limit.exact.forms import Gaussian
from nexort.limit.exact.labels import NeedsPin
from nexort.limit.exact.operations import operation
from nexort.limit.exact.scalars import align_indices, select_indices
from nexort.limit.exact.values import Value, What
from nexort.limit.exact.whole import frame_of
from nexort.limit.existence.ranges import BOUNDED, VARIABLE, WILD, NotShown, ValueRange, bounds
from nexort.limit.existence.texts import graph_text
from nexort.program import build
from nexort.program.nodes import Node, Op, Role, walk
from nexort.program.roundings import Rounded, has_error
from nexort.program.types import Kind, scalar
from nexort.support.diagnostics import InternalError

At = tuple[int, ...]
COMPUTED = 2e-8
"""The error of numbers that are computed, as a part: twice what quadrature aims at."""

TERMS = 256
"""Of a contraction that is written out."""

TAME = replace(VARIABLE, up=(1, 1.0))
UNKNOWN = replace(VARIABLE, up=WILD)


@dataclass(frozen=True)
class Integrand:
    """A graph over leaves."""

    graph: Node
    leaves: tuple[Node, ...]


class Integrands:
    """Graphs of kets at entries; ``unknown`` are expectations that are not known to exist."""

    def __init__(
        self, engine: ExactEngine, hard: int, laws: Mapping[Node, ValueRange] | None = None
    ) -> None:
        """``laws``: what is known of kets that are SLOT nodes."""
        self.engine = engine
        self.laws = laws or {}
        self.unknown: set[Node] = set()
        self.hard = hard
        """How many more integrands may take more than interval arithmetic."""
        self.ranges: dict[Node, ValueRange] = {}
        """Of the leaves that are not Gaussian."""
        self._gaussians: dict[Node, tuple[Gaussian, int]] = {}
        """The Gaussian ket and its copy that a leaf stands for."""
        self._leaves: dict[object, Node] = {}
        self._graphs: dict[tuple[Node, At, int], Node] = {}
        self._frame = frame_of(engine.program, 1e-8)
        self._arrays: dict[Value, Any] = {}

    def of(self, factors: Sequence[tuple[Node, At]]) -> Integrand:
        """The integrand of the expectation of a product of kets."""
        parts = [self.graph(x, at) for x, at in factors]
        graph = reduce(lambda a, b: build.call("mul", a, b), parts)
        return Integrand(graph, tuple(x for x in walk([graph]) if x.op is Op.SLOT))

    def text(self, integrand: Integrand) -> str:
        """The function, and what its variables are."""
        gaussian = all(x in self._gaussians for x in integrand.leaves)
        return graph_text(integrand.graph, integrand.leaves, self.covariance, gaussian=gaussian)

    def covariance(self, leaves: Sequence[Node]) -> Array | None:
        """The covariance of some leaves, None where it has no exact number."""
        kets = [self._gaussians.get(x) for x in leaves]
        found = np.zeros((len(leaves), len(leaves)))
        for i, a in enumerate(kets):
            for j, b in enumerate(kets[: i + 1]):
                if a is None or b is None:
                    return None
                if a[1] == b[1]:
                    number = self._number_of(partial(self.engine.covariance, a[0], b[0]))
                    if number is None:
                        return None
                    found[i, j] = found[j, i] = number
        return found

    # ---- graphs ----------------------------------------------------------------------------------

    def graph(self, node: Node, at: At, copy: int = 0) -> Node:
        """A node at an entry; kets on an iid copy have leaves of their own."""
        key = (node, at, copy)
        if key not in self._graphs:
            self._graphs[key] = self._graph(node, at, copy)
        return self._graphs[key]

    def _graph(self, node: Node, at: At, copy: int) -> Node:
        if node.op is Op.CALL:
            parts = [self.graph(a, _ints(align_indices(a, at)), copy) for a in node.args]
            return build.call(str(node.attr), *parts)
        if node.type.kind is Kind.SCALAR:
            return self._scalar(node, at)
        match node.op:
            case Op.INIT_VECTOR | Op.MATMUL:
                return self._initial(node, at, copy)
            case Op.CONTRACT:
                return self._contracted(node, at, copy)
            case Op.STACK:
                return self.graph(node.args[at[0]], at[1:], copy)
            case Op.COPY:
                return self.graph(node.args[0], at, int(node.attr))
            case Op.MEAN:
                return self._mean(node, at, copy)
            case Op.SLOT:
                return self._leaf((node, at, copy), self.laws.get(node, UNKNOWN))
            case op if op.role is Role.SELECTION:
                return self.graph(node.args[0], _ints(select_indices(node, at)), copy)
            case op if op.local:
                return self._leaf((node, at, copy), UNKNOWN)
            case op:
                raise InternalError(f"{op.name} of kets has no integrand")

    def _gaussian(self, node: Node, at: At) -> Gaussian | None:
        """The Gaussian that an entry of a ket is, None where it is not known to be one."""
        try:
            return self.engine.form(node, at).gaussian
        except (NotExact, NeedsPin):
            return None

    def _initial(self, node: Node, at: At, copy: int) -> Node:
        z = self._gaussian(node, at)
        if z is not None and z.items:
            return self._leaf((z, copy), None, (z, copy))
        if z is not None:
            return build.constant(0)
        tame = node not in self.unknown and all(
            self._tame(y.args[0], copy) for y in self.engine.dots[node]
        )
        return self._leaf((node, at, copy), TAME if tame else UNKNOWN)

    def _tame(self, ket: Node, copy: int) -> bool:
        """Whether every power of a ket has an expectation, as far as its first entry tells."""
        at = tuple(0 for _ in ket.type.axes)
        return self._range(self.graph(ket, at, copy)).tame

    def _range(self, graph: Node) -> ValueRange:
        leaves = {x: self.ranges.get(x, VARIABLE) for x in walk([graph]) if x.op is Op.SLOT}
        try:
            return bounds(graph, leaves)
        except NotShown:
            return UNKNOWN

    def roots(self, leaves: Sequence[Node]) -> list[Node]:
        """Those that are not on an iid copy."""
        return [x for x in leaves if x in self._gaussians and self._gaussians[x][1] == 0]

    def _leaf(
        self, key: object, known: ValueRange | None, z: tuple[Gaussian, int] | None = None
    ) -> Node:
        if key not in self._leaves:
            leaf = Node(Op.SLOT, (), ("z", len(self._leaves)), scalar())
            self._leaves[key] = leaf
            if z is not None:
                self._gaussians[leaf] = z
            elif known is not None:
                self.ranges[leaf] = known
        return self._leaves[key]

    def _contracted(self, node: Node, at: At, copy: int) -> Node:
        z = self._gaussian(node, at)
        if z is not None and z.items:
            return self._leaf((z, copy), None, (z, copy))
        left, right = node.args
        cut = len(left.type.axes) - node.attr
        sizes = self.engine.program.shape(left.type.axes[cut:])
        if int(np.prod(sizes)) > TERMS:
            tame = self._tame(left, copy) and self._tame(right, copy)
            return self._leaf((node, at, copy), TAME if tame else UNKNOWN)
        terms = [
            build.call("mul", self.graph(left, (*at[:cut], *k), copy),
                       self.graph(right, (*k, *at[cut:]), copy))
            for k in product(*map(range, sizes))
        ]  # fmt: skip
        return reduce(lambda a, b: build.call("add", a, b), terms, build.constant(0))

    def _mean(self, node: Node, at: At, copy: int) -> Node:
        """An expectation over copies lies in the range of what is averaged."""
        inside = self._range(self.graph(node.args[0], at, copy))
        return self._leaf((node, at, copy), inside)

    # ---- scalars ---------------------------------------------------------------------------------

    def _scalar(self, node: Node, at: At) -> Node:
        if node.op is Op.CONST and not node.type.axes:
            return node
        if node not in self.unknown:
            number = self._number_of(partial(self.engine.scalar, node, at))
            if number is not None and np.isfinite(number):
                written = node.op in (Op.CONST, Op.DATA, Op.SIZE) or not has_error(number)
                whole = written and number == int(number) and abs(number) < 2**53
                return build.constant(int(number) if whole else number)
        return self._leaf((node, at), self._of_scalar(node, at))

    def _of_scalar(self, node: Node, at: At) -> ValueRange:
        """A number that is not known: an expectation lies in the range of its integrand. That it is
        not 0 where it divides is seen elsewhere."""
        low, high = -np.inf, np.inf
        if node.op.role is Role.AVERAGE:
            cut = len(node.args[0].type.axes)
            parts = [
                self.graph(x, k) for x, k in zip(node.args, (at[:cut], at[cut:]), strict=False)
            ]
            inside = self._range(reduce(partial(build.call, "mul"), parts))
            low, high = inside.low, inside.high
        return ValueRange(low, high, True, BOUNDED, BOUNDED)

    def _number_of(self, find: Callable[[], Value]) -> float | None:
        """A value without labels as a number, None where it is not exact; with an error where it
        is not known to have none."""
        try:
            value = find()
        except (NotExact, NeedsPin):
            return None
        if value.number is not None:
            return Rounded(value.number, value.error) if value.error else value.number
        try:
            with np.errstate(all="ignore"):
                for v in dependency_order([value]):
                    if v not in self._arrays:
                        args = [self._arrays[a] for a in v.args]
                        self._arrays[v] = operation(v)(self._frame, args)
        except failures.PROBLEMS as problem:
            raise failures.diagnose(self.engine, problem) from None
        found = float(np.asarray(self._arrays[value]))
        return found if _is_written(value) else Rounded(found, COMPUTED * abs(found))


def _is_written(value: Value) -> bool:
    """Whether this is an entry of a program's literals, or of its data: names of other data have a
    space."""
    if value.what is not What.ARRAY:
        return False
    kind, *name = value.attr[0]
    return kind != "data" or " " not in name[0]


def _ints(at: Sequence[Any]) -> At:
    return tuple(int(i) for i in at)
