"""The transpose of a selection along axes: zero but at the selected entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nexort.program import build
from nexort.program.nodes import Node, Op
from nexort.program.types import Axes, Type


def scattered(
    value: Node, picks: Sequence[int | None], axes: Axes, sizes: Mapping[str, int]
) -> Node:
    """A node with ``axes`` whose selection ``picks`` (an entry, or None for a whole axis) is
    ``value``, and which is zero elsewhere."""
    if all(p is None for p in picks):
        return value
    first, *rest = picks
    axis = axes[0]
    size = axis.size if axis.size is not None else sizes[axis.name]
    if first is not None:
        inner = scattered(value, rest, axes[1:], sizes)
        hot = build.literal(tuple(int(k == first) for k in range(size)), (axis,))
        return build.contract(hot, inner, 0) if inner.type.axes else build.call("mul", hot, inner)
    if all(p is not None for p in rest) and len(rest) == 1:
        other = axes[1]
        count = other.size if other.size is not None else sizes[other.name]
        hot = build.literal(tuple(int(k == rest[0]) for k in range(count)), (other,))
        return build.contract(value, hot, 0)
    parts = [scattered(build.take(value, [k]), rest, axes[1:], sizes) for k in range(size)]
    kind = parts[0].type
    return Node(Op.STACK, tuple(parts), None, Type(kind.kind, (axis, *kind.axes), kind.copies))
