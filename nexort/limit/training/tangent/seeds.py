"""How gradients depend on the seed they start from, told from the graph.

A gradient is linear in the seed. Where a node's entry i along some axis depends on the seed's
entry i alone (the network treats inputs independently), one backward pass from a seed of ones has
the passes from all basis seeds in it, one a position of the axis.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nexort.program import build
from nexort.program.nodes import Node, Op, Role, source, walk
from nexort.program.types import Kind, ket, scalar
from nexort.training.task import Gradient, Key

Along = tuple[int | None, ...]
"""For every axis of f, the axis of a node that runs along with it, or None."""


def trace(roots: Iterable[Node], seed: Node) -> dict[Node, Along]:
    """The nodes that depend on the seed, and which of their axes run along with its axes."""
    found: dict[Node, Along] = {seed: tuple(range(len(seed.type.axes)))}
    for x in walk(roots):
        if x not in found and any(a in found for a in x.args):
            parts = [
                tuple(None if j is None else _moved(x, position, j) for j in found[a])
                for position, a in enumerate(x.args)
                if a in found
            ]
            found[x] = tuple(k[0] if len(set(k)) == 1 else None for k in zip(*parts, strict=True))
    return found


def _moved(x: Node, position: int, j: int) -> int | None:
    """Where the axis j of an argument is in a node."""
    rank, inner = len(x.type.axes), len(x.args[position].type.axes)
    match x.op:
        case op if op.role is Role.SELECTION:
            return source(x, range(rank), lambda _: None)[j]
        case Op.CALL:
            return j + rank - inner
        case Op.CONTRACT:
            joined = int(x.attr)
            if position == 0:
                return j if j < inner - joined else None
            return j - joined + len(x.args[0].type.axes) - joined if j >= joined else None
        case Op.INNER:
            return j + (len(x.args[0].type.axes) if position else 0)
        case Op.STACK:
            return j + 1
        case Op.MATMUL | Op.AVERAGE | Op.MEAN | Op.COPY:
            return j
        case _:
            return None


@dataclass(frozen=True)
class GradientTail:
    """The gradient of a vector weight as a linear function of kets whose entries run along with f,
    with scalars as coefficients: ``root`` over a SLOT for each of ``kets`` and of ``scalars``. Of a
    scalar weight, ``kets`` are scalars."""

    root: Node
    slots: tuple[Node, ...]
    kets: tuple[Node, ...]
    along: tuple[Along, ...]
    scalars: tuple[tuple[Node, Node], ...]
    """(slot, scalar)."""


def separate(
    gradients: Mapping[Key, Gradient], seed: Node
) -> tuple[frozenset[int], Mapping[Node, Along], Mapping[Key, GradientTail]]:
    """The axes of f along which all gradients separate, the trace, and the tails of vectors and of
    scalars."""
    pairs = [pair for g in gradients.values() for pair in g.pairs]
    whole = {key: g.ket or g.scalar for key, g in gradients.items()}
    ends = {key: root for key, root in whole.items() if root is not None}
    along = trace([*(x for pair in pairs for x in pair), *ends.values()], seed)
    good = frozenset(range(len(seed.type.axes)))
    for pair in pairs:
        for x in pair:
            if x in along:
                good = frozenset(k for k in good if along[x][k] is not None)
    tails: dict[Key, GradientTail] = {}
    for key, root in ends.items():
        if root in along:
            cutter = _Cutter(along, good)
            tails[key] = cutter.cut(root)
            good = cutter.good
    return good, along, tails


class _Cutter:
    """Finds the kets that a gradient is a linear function of."""

    def __init__(self, along: Mapping[Node, Along], good: frozenset[int]) -> None:
        self.along, self.good = along, good
        self.slots: dict[Node, Node] = {}
        self.places: dict[Node, Along] = {}
        self.scalars: dict[Node, Node] = {}

    def cut(self, root: Node) -> GradientTail:
        """The gradient's tail; ``good`` loses the axes that do not separate."""
        top = self._descend(root)
        kets = tuple(self.slots)
        return GradientTail(
            top,
            tuple(self.slots.values()),
            kets,
            tuple(self.places[x] for x in kets),
            tuple((slot, x) for x, slot in self.scalars.items()),
        )

    def _descend(self, x: Node) -> Node:
        if x not in self.along:
            return x
        if all(self.along[x][k] is not None for k in self.good):
            return self._slot(x, self.along[x])
        others = [a for a in x.args if a not in self.along]
        numbers = all(a.type.kind is Kind.SCALAR for a in others)
        match x.op:
            case Op.CONTRACT if not numbers or all(a.type.kind is Kind.SCALAR for a in x.args):
                return self._summed(x)
            case op if op.local and numbers:
                return self._rebuilt(x)
            case _:
                return self._whole(x)

    def _rebuilt(self, x: Node) -> Node:
        if any(a in self.along and a.type.kind is not x.type.kind for a in x.args):
            return self._whole(x)
        args = tuple(self._descend(a) if a in self.along else self._scalar(a) for a in x.args)
        return build.local_over(x, args)

    def _scalar(self, x: Node) -> Node:
        if x not in self.scalars:
            self.scalars[x] = Node(Op.SLOT, (), ("number", len(self.scalars)), x.type)
        return self.scalars[x]

    def _summed(self, x: Node) -> Node:
        """left @ right as the sum over the joined axes of left * right."""
        left, right = x.args
        joined = int(x.attr)
        ranks = len(left.type.axes), len(right.type.axes)
        if joined not in ranks or ranks[1] != joined:
            return self._whole(x)
        product = build.call("mul", left, right)
        for side in (left, right):
            if side in self.along:
                shift = len(product.type.axes) - len(side.type.axes)
                places = tuple(None if j is None else j + shift for j in self.along[side])
        if any(places[k] is None for k in self.good):
            return self._whole(x)
        slot = self._slot(product, places)
        ones = build.spread(build.constant(1), scalar(right.type.axes))
        return build.contract(slot, ones, joined)

    def _whole(self, x: Node) -> Node:
        """Give up the axes along which a ket does not separate."""
        self.good = frozenset(k for k in self.good if self.along[x][k] is not None)
        return self._slot(x, self.along[x])

    def _slot(self, x: Node, places: Along) -> Node:
        if x not in self.slots:
            self.slots[x] = Node(Op.SLOT, (), ("tail", len(self.slots)), ket(x.type.axes))
            self.places[x] = places
        return self.slots[x]
