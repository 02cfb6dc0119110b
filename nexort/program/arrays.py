"""Local instructions on arrays, as the limit and the outputs of trainings have them.

A scalar is an array of shape ``axes``, a ket one of shape ``axes + tail``: its tail holds the
sample points, (N,) for an ordinary ket; inside an expectation over iid copies the tail is (K, B),
tuples of copies by a block of points, with 1 where the ket does not depend on that side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nexort import activations
from nexort.program.nodes import Node, Op, Role, source
from nexort.program.types import Kind
from nexort.program.unrolled import Array
from nexort.support.diagnostics import InternalError
from nexort.support.roots import symmetric_root


def entrywise_array(node: Node, args: Sequence[Array], tail: int) -> Array:
    """CALL: axes aligned from the right; scalars get ``tail`` ones behind."""
    if node.type.kind is Kind.KET:
        args = [
            a if x.type.kind is Kind.KET else a.reshape(a.shape + (1,) * tail)
            for x, a in zip(node.args, args, strict=True)
        ]
    result: Array = activations.registry()[str(node.attr)].evaluate(*args)
    return result


def local_array(node: Node, args: Sequence[Array], tail: int, shape: tuple[int, ...]) -> Array:
    """A local instruction of its arguments; ``shape`` are the sizes of the node's axes."""
    match node.op:
        case Op.CALL:
            return entrywise_array(node, args, tail)
        case Op.CONTRACT:
            return contraction(node, args[0], args[1], tail)
        case Op.STACK:
            return np.stack(np.broadcast_arrays(*args))
        case Op.FACTOR if node.type.kind is Kind.SCALAR:
            return symmetric_root(args[0], node)
        case op if op.role is Role.SELECTION:
            return selection_view(node, args[0], tail, shape)
        case op:
            raise InternalError(f"{op.name} is no local instruction of arrays")


def selection_view(node: Node, value: Array, tail: int, shape: tuple[int, ...]) -> Array:
    """A view: entries of the argument where :func:`source` has them."""
    if node.type.kind is Kind.KET and node.args[0].type.kind is Kind.SCALAR:
        value = value.reshape(value.shape + (1,) * tail)
    axes = "abcdefghijklmnopqrstuvwxyz"[: len(shape)]
    found = source(node, axes, int)
    picked = value[tuple(k if isinstance(k, int) else slice(None) for k in found)]
    labels = "".join(k for k in found if isinstance(k, str))
    kept = "".join(k for k in axes if k in found)
    view: Array = np.einsum(f"{labels}...->{kept}...", picked)
    if len(kept) < len(shape):
        view = view[tuple(slice(None) if k in found else None for k in axes)]
        view = np.broadcast_to(view, shape + view.shape[len(shape) :])
    return view


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
