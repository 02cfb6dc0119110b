"""Axis operations on arrays whose last dimensions are not named axes.

A scalar is an array of shape ``(*axes)``, a ket ``(*axes, n)``, and a function of iid copies inside
an outer product ``(*axes, copy 0, copy 1, ...)`` with a 1 for every copy it does not depend on.
``rank`` counts the named axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nexort.activations import registry
from nexort.program.nodes import Node, Op
from nexort.program.types import Kind
from nexort.program.unrolled import Array
from nexort.support.diagnostics import InternalError

Labels = tuple[int, ...]
DType = np.dtype[Any]
COPY_LABEL = 40
"""Label of copy 0 in :func:`contract`; copy k has ``COPY_LABEL + k``, named axes have less."""


def mixed(node: Node) -> bool:
    """Whether a node is a function of several iid copies, to be evaluated block by block."""
    return node.type.kind is Kind.KET and len(node.type.copies) > 1


def call(name: str, args: Sequence[Array]) -> Array:
    """The entrywise function of that name."""
    return np.asarray(registry()[name].evaluate(*args))


def reshape_axes(node: Node, value: Array) -> Array:
    """TAKE, TRANSPOSE or DIAGONAL of an array whose dimensions after the axes stay as they are."""
    rank = len(node.args[0].type.axes)
    match node.op:
        case Op.TAKE:
            assert isinstance(node.attr, tuple)
            index = tuple(slice(None) if item is None else item for item in node.attr)
            return np.asarray(value[index])
        case Op.TRANSPOSE:
            return value.transpose(*range(rank)[::-1], *range(rank, value.ndim))
        case Op.DIAGONAL:
            found = np.diagonal(value, axis1=rank - 2, axis2=rank - 1)
            return np.moveaxis(found, -1, rank - 2)
        case _:
            raise InternalError(f"{node.op.name} does not reshape axes")


def contract_labels(node: Node, left: Labels, right: Labels) -> tuple[Labels, Labels, Labels]:
    """Labels for a CONTRACT node whose operands live on the copies labelled ``left``, ``right``."""
    joined = node.attr
    assert isinstance(joined, int)
    a, b = (len(arg.type.axes) for arg in node.args)
    of_left = tuple(range(a))
    of_right = tuple(range(a - joined, a - joined + b))
    copies = tuple(sorted({*left, *right}))
    result = (*of_left[: a - joined], *of_right[joined:], *copies)
    return (*of_left, *left), (*of_right, *right), result


def contract(x: Array, of_x: Labels, y: Array, of_y: Labels, result: Labels) -> Array:
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
