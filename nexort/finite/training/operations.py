"""Single instructions on arrays, and their adjoints (vector-Jacobian products), of raised values.
:func:`lower_adjoint` brings adjoints back.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nexort.finite.arrays import (
    FLOAT64,
    DType,
    Place,
    bare,
    contract_arrays,
    contract_labels,
    finite_local,
    finite_selection,
    with_copies,
)
from nexort.finite.training.slopes import partial_slope
from nexort.program.nodes import Node, Op, Role
from nexort.program.types import Kind
from nexort.program.unrolled import Array
from nexort.support.diagnostics import InternalError


def lower_adjoint(node: Node, adjoint: Array, shape: tuple[int, ...]) -> Array:
    """The adjoint of a value of that raised shape, from one that was broadcast. Scalars are summed
    in float64 and lose the dimensions behind the axes."""
    if node.type.kind is Kind.SCALAR:
        total = sum_to_shape(adjoint, shape, FLOAT64)
        return total.reshape(shape[: len(node.type.axes)]).astype(FLOAT64, copy=False)
    return sum_to_shape(adjoint, shape, adjoint.dtype)


def sum_to_shape(value: Array, shape: tuple[int, ...], dtype: DType) -> Array:
    """The adjoint of broadcasting: the sum over the dimensions that were repeated."""
    extra = value.ndim - len(shape)
    over = (k for k, size in enumerate(shape, start=extra) if size == 1 != value.shape[k])
    repeated = (*range(extra), *over)
    return value.sum(axis=repeated, dtype=dtype).reshape(shape) if repeated else value


# ---- values --------------------------------------------------------------------------------------


def forward_value(node: Node, args: Sequence[Array], place: Place) -> Array:
    """A node's value from the raised values of its arguments; no MATMUL, MEAN, FACTOR or leaf."""
    match node.op:
        case Op.INNER:
            x, y = (v.astype(FLOAT64) for v in args)
            return np.asarray(np.tensordot(x, y, axes=(-1, -1)) / x.shape[-1])
        case Op.AVERAGE:
            return np.asarray(args[0].mean(axis=-1, dtype=FLOAT64))
        case Op.COPY:
            return args[0]
        case op if op.local:
            return finite_local(node, args, place)
        case op:
            raise InternalError(f"{op.name} in a network at width n")


# ---- adjoints ------------------------------------------------------------------------------------


def backward(node: Node, args: Sequence[Array], adjoint: Array, place: Place, number: int) -> Array:
    """The part of argument ``number``'s adjoint that comes from this node: the raised arguments'
    values and the node's adjoint given. It may still have to be :func:`lower_adjoint`."""
    match node.op:
        case Op.CALL:
            by = partial_slope(str(node.attr), number, args)
            return adjoint if isinstance(by, float) and by == 1 else np.asarray(adjoint * by)
        case Op.CONTRACT:
            return _contracted(node, args, adjoint, place, number)
        case Op.STACK:
            return np.asarray(adjoint[number])
        case Op.SPREAD | Op.COPY:
            return adjoint
        case Op.INNER:
            return _bra_ket(args, adjoint, place, number)
        case Op.AVERAGE:
            n = args[0].shape[-1]
            return np.broadcast_to((adjoint / n).astype(args[0].dtype)[..., None], args[0].shape)
        case op if op.role is Role.SELECTION:
            full = np.zeros(args[0].shape, adjoint.dtype)
            finite_selection(node, full)[...] = adjoint
            return full
        case op:
            raise InternalError(f"the adjoint of {op.name} at width n")


def _contracted(
    node: Node, args: Sequence[Array], adjoint: Array, place: Place, number: int
) -> Array:
    """By x of z = sum x y: the sum of z's adjoint and y over what x does not have."""
    labels = contract_labels(node)
    other = 1 - number
    y = bare(node.args[other], args[other], place)
    z = bare(node, adjoint, place)
    return with_copies(
        contract_arrays(z, labels[2], y, labels[other], labels[number]), node.args[number], place
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
