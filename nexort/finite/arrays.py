"""Local instructions on arrays whose last dimensions are not named axes.

A scalar is an array of shape ``(*axes)``, a ket ``(*axes, n)``, and a function of iid copies inside
an outer product ``(*axes, copy 0, copy 1, ...)`` with a 1 for every copy it does not depend on.
``rank`` counts the named axes.

Within an instruction all values have the same number of dimensions after their named axes: none for
scalars, one (n) for kets, one a copy for functions of iid copies; it is 1 where a value does not
depend on the copy. :func:`raise_scalar` brings arguments to this form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nexort.activations import registry
from nexort.program.nodes import Node, Op, Role
from nexort.program.types import Kind
from nexort.program.unrolled import Array
from nexort.support.diagnostics import InternalError, Span, fail

Labels = tuple[int, ...]
DType = np.dtype[Any]
FLOAT64: DType = np.dtype(np.float64)
COPY_LABEL = 40
"""Label of copy 0 in :func:`contract_arrays`; copy k has ``COPY_LABEL + k``, named axes less."""


def is_mixed(node: Node) -> bool:
    """Whether a node is a function of several iid copies, to be evaluated block by block."""
    return node.type.kind is Kind.KET and len(node.type.copies) > 1


def call_entrywise(name: str, args: Sequence[Array]) -> Array:
    """The entrywise function of that name."""
    return np.asarray(registry()[name].evaluate(*args))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node is evaluated: the sizes of its axes; the dimensions behind them, and the copies
    they belong to (copy 0 for a closed ket); the dtype of kets."""

    axes: tuple[int, ...]
    tail: tuple[int, ...]
    copies: tuple[int, ...]
    dtype: DType


def raise_scalar(node: Node, value: Array, place: Place) -> Array:
    """A scalar among kets: their dtype, and a 1 for every dimension behind the axes."""
    if node.type.kind is Kind.KET or not place.tail:
        return value
    return value.astype(place.dtype)[(..., *[None] * len(place.tail))]


# ---- local instructions --------------------------------------------------------------------------


def finite_local(
    node: Node, args: Sequence[Array], place: Place, span: Span | None = None
) -> Array:
    """A local instruction of the raised values of its arguments. Raises NexortError, at ``span``,
    for the root of an indefinite matrix."""
    match node.op:
        case Op.CALL:
            return call_entrywise(str(node.attr), args)
        case Op.CONTRACT:
            left, right, result = contract_labels(node)
            x, y = (bare(a, v, place) for a, v in zip(node.args, args, strict=True))
            return with_copies(contract_arrays(x, left, y, right, result), node, place)
        case Op.STACK:
            return np.stack(args)
        case Op.SPREAD:
            sides = zip(place.tail, place.copies, strict=True)
            tail = [n if k in node.type.copies else 1 for n, k in sides]
            return np.broadcast_to(args[0], (*place.axes, *tail))
        case Op.FACTOR if node.type.kind is Kind.SCALAR:
            return matrix_factor(args[0], span)
        case op if op.role is Role.SELECTION:
            return finite_selection(node, args[0])
        case op:
            raise InternalError(f"{op.name} is no local instruction at width n")


def finite_selection(node: Node, value: Array) -> Array:
    """A view of the entries of a value that a selection, SPREAD excepted, is made of."""
    rank = len(node.args[0].type.axes)
    match node.op:
        case Op.TAKE:
            assert isinstance(node.attr, tuple)
            index = tuple(slice(None) if item is None else item for item in node.attr)
            return np.asarray(value[(*index, ...)])
        case Op.TRANSPOSE:
            return value.transpose(*range(rank)[::-1], *range(rank, value.ndim))
        case Op.DIAGONAL:
            behind = range(rank, value.ndim)
            kept = range(rank - 1)
            return np.asarray(np.einsum(value, [*kept, rank - 2, *behind], [*kept, *behind]))
        case op:
            raise InternalError(f"{op.name} at width n")


def matrix_factor(matrix: Array, span: Span | None) -> Array:
    """R with R^T R = matrix, from its eigenvectors. Raises NexortError for one that is indefinite
    beyond roundoff."""
    if not np.isfinite(matrix).all():
        return np.full(matrix.shape, np.nan)
    found, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    if found.size and found[0] < -1e-6 * abs(found[-1]):
        message = f"found a covariance with the negative eigenvalue {found[0]:.3g}"
        raise fail("not-a-covariance", message, span)
    return np.asarray(np.sqrt(np.maximum(found, 0))[:, None] * vectors.T)


# ---- contractions --------------------------------------------------------------------------------


def contract_labels(node: Node) -> tuple[Labels, Labels, Labels]:
    """Labels of the left, the right side and the result of a CONTRACT node: of its axes and of the
    copies they are on."""
    joined = node.attr
    assert isinstance(joined, int)
    a, b = (len(arg.type.axes) for arg in node.args)
    of_left = tuple(range(a))
    of_right = tuple(range(a - joined, a - joined + b))
    left, right = (tuple(COPY_LABEL + k for k in sorted(_copies(x))) for x in node.args)
    copies = tuple(sorted({*left, *right}))
    result = (*of_left[: a - joined], *of_right[joined:], *copies)
    return (*of_left, *left), (*of_right, *right), result


def contract_arrays(x: Array, of_x: Labels, y: Array, of_y: Labels, result: Labels) -> Array:
    """The sum of x y over the labels that are not in ``result``, one label a dimension.

    A label that is summed belongs to both. The sum is a matrix product where it can be one; summed
    labels are never broadcast out.
    """
    if result and result[-1] in of_x and result[-1] not in of_y:
        x, of_x, y, of_y = y, of_y, x, of_x  # keeps the last dimension contiguous
    shared = [k for k in of_x if k in of_y]
    joined = [k for k in shared if k not in result]
    if len(joined) == len(shared):
        pairs = [of_x.index(k) for k in joined], [of_y.index(k) for k in joined]
        found = np.asarray(np.tensordot(x, y, axes=pairs))
        order = [k for k in (*of_x, *of_y) if k not in joined]
        return found.transpose([order.index(k) for k in result])
    only_x = [k for k in of_x if k not in shared]
    only_y = [k for k in of_y if k not in shared]
    if joined and only_x and only_y:
        batch = [k for k in shared if k in result]
        return _batched(x, of_x, y, of_y, (batch, only_x, joined, only_y), result)
    return np.asarray(np.einsum(x, list(of_x), y, list(of_y), list(result)))


def _batched(
    x: Array,
    of_x: Labels,
    y: Array,
    of_y: Labels,
    groups: tuple[list[int], list[int], list[int], list[int]],
    result: Labels,
) -> Array:
    """A stack of matrix products, one for each value of the batch labels."""
    batch, only_x, joined, only_y = groups
    size = dict(zip(of_x, x.shape, strict=True)) | dict(zip(of_y, y.shape, strict=True))

    def matrices(value: Array, labels: Labels, rows: list[int], columns: list[int]) -> Array:
        moved = value.transpose([labels.index(k) for k in (*batch, *rows, *columns)])
        area = [int(np.prod([size[k] for k in side])) for side in (rows, columns)]
        return moved.reshape([*(size[k] for k in batch), *area])

    found = matrices(x, of_x, only_x, joined) @ matrices(y, of_y, joined, only_y)
    order = [*batch, *only_x, *only_y]
    found = found.reshape([size[k] for k in order])
    return found.transpose([order.index(k) for k in result])


def _copies(node: Node) -> frozenset[int]:
    return node.type.copies if node.type.kind is Kind.KET else frozenset()


def _select(node: Node, place: Place, absent: int | None) -> Any:
    """Index that leaves out (0) or inserts (None) the copies a value does not depend on."""
    on = _copies(node)
    return (..., *(slice(None) if k in on else absent for k in place.copies))


def bare(node: Node, value: Array, place: Place) -> Array:
    """Without the dimensions of copies that a value does not depend on."""
    return np.asarray(value[_select(node, place, 0)])


def with_copies(value: Array, node: Node, place: Place) -> Array:
    """With a 1 for each of them."""
    return np.asarray(value[_select(node, place, None)])
