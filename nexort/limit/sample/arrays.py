"""Array meaning of the entrywise and axis operations.

A scalar is an array of shape ``axes``, a ket one of shape ``axes + tail``: its tail holds the
sample points, (N,) for an ordinary ket; inside an expectation over iid copies the tail is (K, B),
tuples of copies by a block of points, with 1 where the ket does not depend on that side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nexort import activations
from nexort.program.nodes import Node, Op
from nexort.program.types import Kind
from nexort.program.unrolled import Array
from nexort.support.diagnostics import InternalError
from nexort.support.roots import symmetric_root


def entrywise(node: Node, args: Sequence[Array], tail: int) -> Array:
    """CALL: axes aligned from the right; scalars get ``tail`` ones behind."""
    if node.type.kind is Kind.KET:
        args = [
            a if x.type.kind is Kind.KET else a.reshape(a.shape + (1,) * tail)
            for x, a in zip(node.args, args, strict=True)
        ]
    result: Array = activations.registry()[str(node.attr)].evaluate(*args)
    return result


LOCAL = frozenset(
    (Op.CALL, Op.CONTRACT, Op.TAKE, Op.TRANSPOSE, Op.DIAGONAL, Op.SPREAD, Op.FACTOR, Op.STACK)
)
"""What combines points of its arguments one by one: no average, no matrix."""


def local(node: Node, args: Sequence[Array], tail: int, shape: tuple[int, ...]) -> Array:
    """One of ``LOCAL``, from its arguments; ``shape`` is that of its axes."""
    match node.op:
        case Op.CALL:
            return entrywise(node, args, tail)
        case Op.CONTRACT:
            return contraction(node, args[0], args[1], tail)
        case Op.STACK:
            return np.stack(np.broadcast_arrays(*args))
        case _:
            return structural(node, args[0], tail, shape)


def structural(node: Node, value: Array, tail: int, shape: tuple[int, ...]) -> Array:
    """TAKE, TRANSPOSE, DIAGONAL, SPREAD and FACTOR; ``shape`` are the sizes of the node's axes."""
    behind = tail if node.args[0].type.kind is Kind.KET else 0
    axes = value.ndim - behind
    match node.op:
        case Op.TAKE:
            picks = node.attr
            assert isinstance(picks, tuple)
            return value[tuple(slice(None) if p is None else p for p in picks)]
        case Op.TRANSPOSE:
            return value.transpose(*reversed(range(axes)), *range(axes, value.ndim))
        case Op.DIAGONAL:
            diagonal = np.diagonal(value, axis1=axes - 2, axis2=axes - 1)
            return np.moveaxis(diagonal, -1, axes - 2)
        case Op.SPREAD:
            if node.type.kind is Kind.KET and not behind:
                value = value.reshape(value.shape + (1,) * tail)
                behind = tail
            return np.broadcast_to(value, shape + value.shape[value.ndim - behind :])
        case Op.FACTOR:
            return symmetric_root(value, node)
        case _:
            raise InternalError(f"{node.op.name} is not a structural operation")


def contraction(node: Node, left: Array, right: Array, tail: int) -> Array:
    """CONTRACT: the last axes of left with the first of right, points by points."""
    joined = node.attr
    assert isinstance(joined, int)
    tails = [tail if x.type.kind is Kind.KET else 0 for x in node.args]
    a, b = left.ndim - tails[0], right.ndim - tails[1]
    if not tails[0]:  # a product of matrices, whatever the right side's tail
        rows, inner = left.shape[: a - joined], math.prod(left.shape[a - joined :])
        found = left.reshape(-1, inner) @ right.reshape(inner, -1)
        return np.asarray(found.reshape(rows + right.shape[joined:]))
    if not tails[1] and a == joined:
        inner = math.prod(right.shape[:joined])
        found = right.reshape(inner, -1).T @ left.reshape(inner, -1)
        return np.asarray(found.reshape(right.shape[joined:] + left.shape[joined:]))
    letters = iter("abcdefghijklmnopqrstuvw")
    first = [next(letters) for _ in range(a)]
    second = first[a - joined :] + [next(letters) for _ in range(b - joined)]
    points = "XYZ"[:tail]
    lefts, left = _squeezed(left, points[: tails[0]])
    rights, right = _squeezed(right, points[: tails[1]])
    kept = "".join(p for p in points if p in lefts + rights)
    out = first[: a - joined] + second[joined:]
    spec = f"{''.join(first)}{lefts},{''.join(second)}{rights}->{''.join(out)}{kept}"
    result: Array = np.einsum(spec, left, right, optimize=True)
    if not tail or node.type.kind is Kind.SCALAR:
        return result
    shape = iter(result.shape[len(out) :])
    return result.reshape(
        result.shape[: len(out)] + tuple(next(shape) if p in kept else 1 for p in points)
    )


def _squeezed(value: Array, points: str) -> tuple[str, Array]:
    """The tail's letters without those of length 1, so that a product of two tails is a matrix
    product and never a broadcast."""
    if not points:
        return "", value
    start = value.ndim - len(points)
    flat = [start + k for k in range(len(points)) if value.shape[start + k] == 1]
    kept = "".join(p for k, p in enumerate(points) if start + k not in flat)
    return kept, np.squeeze(value, axis=tuple(flat))
