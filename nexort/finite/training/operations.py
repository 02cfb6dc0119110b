"""Single instructions on arrays, and their adjoints (vector-Jacobian products).

Within a node's rule all values have the same number of dimensions after their named axes: none for
scalars, one (n) for kets, one a copy for functions of iid copies; it is 1 where a value does not
depend on the copy. :func:`raised` brings arguments to this form, :func:`lowered` adjoints back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nexort.finite.arrays import (
    COPY_LABEL,
    DType,
    Labels,
    call,
    contract,
    contract_labels,
    reshape_axes,
)
from nexort.finite.training.slopes import slope
from nexort.program.nodes import Node, Op
from nexort.program.types import Kind
from nexort.program.unrolled import Array
from nexort.support.diagnostics import InternalError, Span, fail

FLOAT64: DType = np.dtype(np.float64)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node is evaluated: the sizes of its axes; the dimensions behind them, and the copies
    they belong to (copy 0 for a closed ket); the dtype of kets."""

    axes: tuple[int, ...]
    tail: tuple[int, ...]
    copies: tuple[int, ...]
    dtype: DType


def raised(node: Node, value: Array, place: Place) -> Array:
    """A scalar among kets: their dtype, and a 1 for every dimension behind the axes."""
    if node.type.kind is Kind.KET or not place.tail:
        return value
    return value.astype(place.dtype)[(..., *[None] * len(place.tail))]


def lowered(node: Node, adjoint: Array, shape: tuple[int, ...]) -> Array:
    """The adjoint of a value of that raised shape, from one that was broadcast. Scalars are summed
    in float64 and lose the dimensions behind the axes."""
    if node.type.kind is Kind.SCALAR:
        total = summed(adjoint, shape, FLOAT64)
        return total.reshape(shape[: len(node.type.axes)]).astype(FLOAT64, copy=False)
    return summed(adjoint, shape, adjoint.dtype)


def summed(value: Array, shape: tuple[int, ...], dtype: DType) -> Array:
    """The adjoint of broadcasting: the sum over the dimensions that were repeated."""
    extra = value.ndim - len(shape)
    over = (k for k, size in enumerate(shape, start=extra) if size == 1 != value.shape[k])
    repeated = (*range(extra), *over)
    return value.sum(axis=repeated, dtype=dtype).reshape(shape) if repeated else value


# ---- values --------------------------------------------------------------------------------------


def forward(node: Node, args: Sequence[Array], place: Place) -> Array:
    """A node's value from the raised values of its arguments; no MATMUL, MEAN, FACTOR or leaf."""
    match node.op:
        case Op.CALL:
            return call(str(node.attr), args)
        case Op.CONTRACT:
            left, right, result = _labels(node)
            x, y = (_bare(a, v, place) for a, v in zip(node.args, args, strict=True))
            return _placed(contract(x, left, y, right, result), node, place)
        case Op.TAKE | Op.TRANSPOSE | Op.DIAGONAL:
            return reshape_axes(node, args[0])
        case Op.STACK:
            return np.stack(args)
        case Op.SPREAD:
            tail = [n if k in node.type.copies else 1 for n, k in _dimensions(place)]
            return np.broadcast_to(args[0], (*place.axes, *tail))
        case Op.INNER:
            x, y = (v.astype(FLOAT64) for v in args)
            return np.asarray(np.tensordot(x, y, axes=(-1, -1)) / x.shape[-1])
        case Op.AVERAGE:
            return np.asarray(args[0].mean(axis=-1, dtype=FLOAT64))
        case Op.COPY:
            return args[0]
        case _:
            raise InternalError(f"{node.op.name} in a network at width n")


def factor(matrix: Array, span: Span | None) -> Array:
    """R with R^T R = matrix, from its eigenvectors. Raises NexortError for one that is indefinite
    beyond roundoff."""
    if not np.isfinite(matrix).all():
        return np.full(matrix.shape, np.nan)
    found, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    if found.size and found[0] < -1e-6 * abs(found[-1]):
        message = f"found a covariance with the negative eigenvalue {found[0]:.3g}"
        raise fail("not-a-covariance", message, span)
    return np.asarray(np.sqrt(np.maximum(found, 0))[:, None] * vectors.T)


def _dimensions(place: Place) -> Sequence[tuple[int, int]]:
    return list(zip(place.tail, place.copies, strict=True))


def _labels(node: Node) -> tuple[Labels, Labels, Labels]:
    on = [tuple(COPY_LABEL + k for k in sorted(_copies(a))) for a in node.args]
    return contract_labels(node, on[0], on[1])


def _copies(node: Node) -> frozenset[int]:
    return node.type.copies if node.type.kind is Kind.KET else frozenset()


def _select(node: Node, place: Place, absent: int | None) -> Any:
    """Index that leaves out (0) or inserts (None) the copies a value does not depend on."""
    on = _copies(node)
    return (..., *(slice(None) if k in on else absent for k in place.copies))


def _bare(node: Node, value: Array, place: Place) -> Array:
    return np.asarray(value[_select(node, place, 0)])


def _placed(value: Array, node: Node, place: Place) -> Array:
    return np.asarray(value[_select(node, place, None)])


# ---- adjoints ------------------------------------------------------------------------------------


def backward(node: Node, args: Sequence[Array], adjoint: Array, place: Place, number: int) -> Array:
    """The part of argument ``number``'s adjoint that comes from this node: the raised arguments'
    values and the node's adjoint given. It may still have to be :func:`lowered`."""
    match node.op:
        case Op.CALL:
            by = slope(str(node.attr), number, args)
            return adjoint if isinstance(by, float) and by == 1 else np.asarray(adjoint * by)
        case Op.CONTRACT:
            return _contracted(node, args, adjoint, place, number)
        case Op.TAKE:
            full = np.zeros(args[0].shape, adjoint.dtype)
            full[tuple(slice(None) if k is None else k for k in node.attr)] = adjoint
            return full
        case Op.TRANSPOSE:
            rank = len(node.type.axes)
            return adjoint.transpose(*range(rank)[::-1], *range(rank, adjoint.ndim))
        case Op.DIAGONAL:
            rank = len(node.type.axes)
            full = np.zeros(args[0].shape, adjoint.dtype)
            places = np.arange(full.shape[rank])
            index: Any = (*[slice(None)] * (rank - 1), places, places)
            full[index] = adjoint
            return full
        case Op.STACK:
            return np.asarray(adjoint[number])
        case Op.SPREAD | Op.COPY:
            return adjoint
        case Op.INNER:
            return _bra_ket(args, adjoint, place, number)
        case Op.AVERAGE:
            n = args[0].shape[-1]
            return np.broadcast_to((adjoint / n).astype(args[0].dtype)[..., None], args[0].shape)
        case _:
            raise InternalError(f"the adjoint of {node.op.name} at width n")


def _contracted(
    node: Node, args: Sequence[Array], adjoint: Array, place: Place, number: int
) -> Array:
    """By x of z = sum x y: the sum of z's adjoint and y over what x does not have."""
    labels = _labels(node)
    other = 1 - number
    y = _bare(node.args[other], args[other], place)
    z = _bare(node, adjoint, place)
    return _placed(
        contract(z, labels[2], y, labels[other], labels[number]), node.args[number], place
    )


def _bra_ket(args: Sequence[Array], adjoint: Array, place: Place, number: int) -> Array:
    """d <x_i|y_j> = sum over entries of (y_j dx_i + x_i dy_j) / n."""
    other = args[1 - number]
    axes = other.ndim - 1
    weights = (adjoint / other.shape[-1]).astype(other.dtype)
    if number == 0:
        split = adjoint.ndim - axes
        return np.tensordot(weights, other, axes=(range(split, adjoint.ndim), range(axes)))
    return np.tensordot(weights, other, axes=(range(axes), range(axes)))


__all__ = ["FLOAT64", "Place", "backward", "factor", "forward", "lowered", "raised", "summed"]
