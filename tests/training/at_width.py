"""A straight-line graph at width n, entry by entry, for tests: slow, plain, and its own code.

A ket is an array of shape axes + (n or 1,) * COPIES, one axis for the own index and one for every
iid copy, of length 1 where the ket does not depend on it; a scalar is an array of shape axes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nexort import activations
from nexort.program.nodes import Node, Op, walk
from nexort.program.types import Kind
from nexort.program.unrolled import Array, Unrolled
from nexort.training.task import Gradient, Key

COPIES = 4


class AtWidth:
    """Initial objects of one width, by name, and the values of SLOT nodes."""

    def __init__(
        self, step: Unrolled, entries: Mapping[Key, Array], slots: Mapping[Node, Array], width: int
    ) -> None:
        self.step, self.entries, self.slots, self.width = step, entries, slots, width

    def values(self, roots: Sequence[Node]) -> list[Array]:
        """The values of some nodes, broadcast to their axes; closed kets have shape axes + (n,)."""
        found: dict[Node, Array] = {}
        for x in walk(roots):
            found[x] = self._value(x, [found[a] for a in x.args])
        return [self._rows(r, found[r]) if _ends(r) else self._full(r, found[r]) for r in roots]

    def gradient(self, found: Gradient) -> Array:
        """By a weight's entries: (1/n) d v, (1/n) sum of |left><right|, or d c."""
        n = self.width
        if found.scalar is not None:
            return self.values([found.scalar])[0]
        if found.ket is not None:
            return self.values([found.ket])[0] / n
        total = np.zeros((n, n))
        for pair in found.pairs:
            left, right = (v.reshape(-1, n) for v in self.values(pair))
            total += left.T @ right
        return total / n

    def _full(self, x: Node, value: Array) -> Array:
        return np.broadcast_to(value, self.step.shape(x.type.axes))

    def _rows(self, x: Node, value: Array) -> Array:
        """A closed ket as an array of shape axes + (n,)."""
        axes = self.step.shape(x.type.axes)
        full = np.broadcast_to(value, (*axes, self.width, *(1,) * (COPIES - 1)))
        return full.reshape((*axes, self.width))

    def _ket(self, value: Array) -> Array:
        return value.reshape((*value.shape, *(1,) * (COPIES - 1)))

    def _value(self, x: Node, args: list[Array]) -> Array:
        match x.op:
            case Op.CONST:
                return np.asarray(x.attr, float)
            case Op.SLOT:
                return self.slots[x]
            case Op.INIT_SCALAR:
                return self.entries[x.attr]
            case Op.DATA:
                return self.step.data[x.attr]
            case Op.SIZE:
                return np.asarray(float(self.step.sizes[x.attr]))
            case Op.INIT_VECTOR:
                return self._ket(self.entries[x.attr])
            case Op.MATMUL:
                name, indices, flipped = x.attr
                w = self.entries[name, indices]
                return self._ket(self._rows(x.args[0], args[0]) @ (w if flipped else w.T))
            case Op.INNER:
                left, right = (self._rows(a, v) for a, v in zip(x.args, args, strict=True))
                return np.tensordot(left, right, axes=(-1, -1)) / self.width
            case Op.AVERAGE:
                return self._rows(x.args[0], args[0]).mean(axis=-1)
            case Op.COPY:
                return np.moveaxis(args[0], -COPIES, -COPIES + x.attr)
            case Op.MEAN:
                over = tuple(-COPIES + k for k in x.attr)
                value = args[0].mean(axis=over, keepdims=True)
                return value if _ends(x) else value.reshape(value.shape[:-COPIES])
            case _:
                return self._of_axes(x, args)

    def _of_axes(self, x: Node, args: list[Array]) -> Array:
        ends = _ends(x)
        if ends:
            args = [
                v if _ends(a) else v.reshape((*v.shape, *(1,) * COPIES))
                for a, v in zip(x.args, args, strict=True)
            ]
        match x.op:
            case Op.CALL:
                return activations.registry()[x.attr].evaluate(*args)
            case Op.CONTRACT:
                return _contracted(x, args, ends)
            case Op.TAKE:
                return args[0][tuple(slice(None) if p is None else p for p in x.attr)]
            case Op.TRANSPOSE:
                k = args[0].ndim - ends
                return args[0].transpose(*reversed(range(k)), *range(k, args[0].ndim))
            case Op.DIAGONAL:
                k = args[0].ndim - ends
                return np.moveaxis(np.diagonal(args[0], axis1=k - 2, axis2=k - 1), -1, k - 2)
            case Op.SPREAD:
                behind = args[0].shape[args[0].ndim - ends :]
                return np.broadcast_to(args[0], (*self.step.shape(x.type.axes), *behind))
            case Op.STACK:
                return np.stack(np.broadcast_arrays(*args))
            case _:
                raise AssertionError(x.op)


def _ends(x: Node) -> int:
    return COPIES if x.type.kind is Kind.KET else 0


def _contracted(x: Node, args: list[Array], ends: int) -> Array:
    """The last axes of the left with the first of the right, summed by hand."""
    left, right = args
    joined = int(x.attr)
    p, q = left.ndim - ends - joined, right.ndim - ends - joined
    inside = left.shape[p : p + joined]
    total: Any = 0.0
    for place in np.ndindex(inside):
        one = left[(*(slice(None),) * p, *place)]
        two = right[place]
        # axes of one, axes of two, copies
        one = one.reshape((*one.shape[:p], *(1,) * q, *one.shape[p:]))
        total = total + one * two
    return np.asarray(total)
