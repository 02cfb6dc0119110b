"""Transposes of selections along axes, and axes in another order, from the operations there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nexort.program import build
from nexort.program.nodes import Node, Op
from nexort.program.types import Axes, Axis, Type


def scatter(value: Node, picks: Sequence[int | None], axes: Axes, sizes: Mapping[str, int]) -> Node:
    """A node with ``axes`` whose selection ``picks`` (an entry, or None for a whole axis) is
    ``value``, and which is zero elsewhere."""
    if all(p is None for p in picks):
        return value
    first, *rest = picks
    axis = axes[0]
    size = _size(axis, sizes)
    if first is not None:
        inner = scatter(value, rest, axes[1:], sizes)
        hot = build.literal(tuple(int(k == first) for k in range(size)), (axis,))
        return build.contract(hot, inner, 0) if inner.type.axes else build.call("mul", hot, inner)
    if all(p is not None for p in rest) and len(rest) == 1:
        other = axes[1]
        hot = build.literal(tuple(int(k == rest[0]) for k in range(_size(other, sizes))), (other,))
        return build.contract(value, hot, 0)
    parts = [scatter(build.take(value, [k]), rest, axes[1:], sizes) for k in range(size)]
    return _stack(parts, axis)


def on_diagonal(value: Node, axes: Axes, sizes: Mapping[str, int]) -> Node:
    """A node with ``axes`` whose diagonal over the last two is ``value``, and which is zero off it:
    sum_k value[.., k] 1(k = i = j)."""
    places = range(_size(axes[-1], sizes))
    if len(axes) == 2:
        eye = tuple(tuple(int(i == j) for j in places) for i in places)
        return build.call("mul", build.literal(eye, axes), value)
    cube = tuple(tuple(tuple(int(k == i == j) for j in places) for i in places) for k in places)
    return build.contract(value, build.literal(cube, (axes[-1], *axes[-2:])), 1)


def rotate_axes(value: Node, first: int, sizes: Mapping[str, int]) -> Node:
    """The ``first`` leading axes of a value moved behind the others."""
    axes = value.type.axes
    if first in (0, len(axes)):
        return value
    if len(axes) == 2:
        return build.transpose(value)
    before = (None,) * first
    parts = [
        rotate_axes(build.take(value, (*before, k)), first, sizes)
        for k in range(_size(axes[first], sizes))
    ]
    return _stack(parts, axes[first])


def _stack(parts: Sequence[Node], axis: Axis) -> Node:
    """A new first axis, which keeps its name."""
    kind = parts[0].type
    return Node(Op.STACK, tuple(parts), None, Type(kind.kind, (axis, *kind.axes), kind.copies))


def _size(axis: Axis, sizes: Mapping[str, int]) -> int:
    return axis.size if axis.size is not None else sizes[axis.name]
