"""Scalars of a training at given values of kets and scalars: outputs, error signals, starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from nexort.program import arrays
from nexort.program.nodes import Node, Op, walk
from nexort.program.types import Kind
from nexort.program.unrolled import Array, Unrolled
from nexort.support.diagnostics import InternalError

LOOK = (
    "look for a division by zero, a root or logarithm of a negative number, or growth beyond "
    "floating point (1.8e308)"
)


def scalar_value(
    root: Node,
    slots: Mapping[Node, Array],
    data: Mapping[str, Array],
    shape: Callable[[Node], tuple[int, ...]],
) -> Array:
    """A scalar graph over SLOT nodes with given values (kets: axes + (N,)), data and numbers."""
    values: dict[Node, Array] = {}
    with np.errstate(all="ignore"):
        for x in walk([root]):
            values[x] = _value(x, values, slots, data, shape)
    return values[root]


def first_singular(
    step: Unrolled, root: Node, slots: Mapping[Node, Array], *, grown: bool
) -> tuple[Node, str] | None:
    """The first node of a graph that is not finite though its arguments are, and its value in
    words; with ``grown`` also one that is only too large."""
    values: dict[Node, Array] = {}
    with np.errstate(all="ignore"):
        for x in walk([root]):
            values[x] = _value(x, values, slots, step.data, lambda y: step.shape(y.type.axes))
            bad = ~np.isfinite(values[x])
            if x.op is not Op.CALL or not bad.any():
                continue
            args = [values[a] for a in x.args]
            if not all(np.isfinite(a).all() for a in args):
                continue
            tails = [x.type.kind is Kind.KET and a.type.kind is not Kind.KET for a in x.args]
            args = [a[..., None] if k else a for a, k in zip(args, tails, strict=True)]
            at = np.unravel_index(int(bad.argmax()), bad.shape)
            numbers = [float(np.broadcast_to(a, bad.shape)[at]) for a in args]
            if grown or np.isnan(values[x][at]) or _is_pole(str(x.attr), numbers):
                return x, _written(str(x.attr), numbers)
    return None


def _is_pole(name: str, args: list[float]) -> bool:
    """Whether an infinite value is so at a point, not by growth."""
    match name, args:
        case "div", [_, b]:
            return b == 0
        case "pow", [a, _]:
            return a == 0
    return name == "log"


def _written(name: str, args: list[float]) -> str:
    """1 / 0."""
    texts = [f"{a:.6g}" for a in args]
    match name, texts:
        case "div" | "pow" as operation, [a, b]:
            first = f"({a})" if a.startswith("-") else a
            return f"{first} / {b}" if operation == "div" else f"{first}^{b}"
    return f"{name}({', '.join(texts)})"


def _value(
    x: Node,
    values: Mapping[Node, Array],
    slots: Mapping[Node, Array],
    data: Mapping[str, Array],
    shape: Callable[[Node], tuple[int, ...]],
) -> Array:
    args = [values[a] for a in x.args]
    match x.op:
        case Op.SLOT:
            return slots[x]
        case Op.CONST:
            return np.asarray(x.attr, dtype=float)
        case Op.DATA:
            return data[str(x.attr)]
        case Op.INNER:
            left, right = (_rows(a, shape(b)) for a, b in zip(args, x.args, strict=True))
            product: Array = left @ right.T / left.shape[-1]
            return product.reshape(shape(x))
        case Op.AVERAGE:
            return np.asarray(args[0].mean(axis=-1))
        case op if op.local:
            return arrays.local_array(x, args, 1, shape(x))
        case op:
            raise InternalError(f"{op.name} in an output of a training run")


def _rows(value: Array, axes: tuple[int, ...]) -> Array:
    """A ket as a matrix, one row an axis position."""
    full = np.broadcast_to(value, (*axes, value.shape[-1]))
    return full.reshape(-1, value.shape[-1])
