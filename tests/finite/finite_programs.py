"""Unrolled programs by hand, and a second evaluator of them that broadcasts everything out."""

from collections.abc import Mapping, Sequence

import numpy as np

from nexort.activations import registry
from nexort.finite.matrices import HEIGHT
from nexort.finite.schedule import symbol_of
from nexort.finite.streams import Streams, gaussian_draw
from nexort.program import build
from nexort.program.nodes import Node, Op, walk
from nexort.program.types import Axes, ket, scalar
from nexort.program.unrolled import Unrolled, UnrolledOutput

Outputs = Node | Sequence[Node]


def vector(name: str, axes: Axes = (), indices: tuple[int, ...] = ()) -> Node:
    return Node(Op.INIT_VECTOR, (), (name, indices), ket(axes))


def number(name: str, axes: Axes = (), indices: tuple[int, ...] = ()) -> Node:
    return Node(Op.INIT_SCALAR, (), (name, indices), scalar(axes))


def data(name: str, axes: Axes = ()) -> Node:
    return Node(Op.DATA, (), name, scalar(axes))


def matmul(name: str, x: Node, transposed: bool = False, indices: tuple[int, ...] = ()) -> Node:
    return Node(Op.MATMUL, (x,), (name, indices, transposed), x.type)


def call(name: str, *args: Node | float) -> Node:
    return build.call(name, *(a if isinstance(a, Node) else build.constant(a) for a in args))


def unrolled(
    outputs: Mapping[str, Outputs],
    sizes: Mapping[str, int] | None = None,
    arrays: Mapping[str, np.ndarray] | None = None,
    laws: Mapping[str, Node] | None = None,
) -> Unrolled:
    found = []
    for name, value in outputs.items():
        members = (value,) if isinstance(value, Node) else tuple(value)
        family = () if isinstance(value, Node) else (len(members),)
        indices = tuple((k,) if family else () for k in range(len(members)))
        axes = members[0].type.axes
        found.append(UnrolledOutput(name, members, indices, family, axes, None))
    return Unrolled(tuple(found), arrays or {}, sizes or {}, laws or {}, {})


def wishart(powers: int) -> Unrolled:
    """<v|(W^T W)^k v> for k = 1..powers."""
    v = x = vector("v")
    moments = []
    for _ in range(powers):
        x = matmul("W", matmul("W", x), True)
        moments.append(build.inner(v, x))
    return unrolled({"m": moments})


def dense_matrix(streams: Streams, symbol: tuple[str, tuple[int, ...]]) -> np.ndarray:
    """An initial Gaussian matrix in full, variance 1/n."""
    n = streams.width
    starts = range(0, n, HEIGHT)
    rows = [
        streams.rows(symbol, gaussian_draw, k, min(HEIGHT, n - s)) for k, s in enumerate(starts)
    ]
    return np.concatenate(rows) / np.sqrt(n)


def dense(program: Unrolled, width: int, run: int = 0) -> dict[str, np.ndarray]:
    """What ``simulate`` computes in one run, with n numbers for every copy in every value."""
    streams = Streams(0, run, width, np.dtype("float64"))
    members = [m for output in program.outputs for m in output.members]
    nodes = walk(members)
    copies = 1 + max((max(x.type.copies, default=0) for x in nodes), default=0)
    values: dict[Node, np.ndarray] = {}
    for node in nodes:
        values[node] = _dense(node, [values[a] for a in node.args], program, streams, copies)
    found = {}
    for output in program.outputs:
        shape = (*output.family_shape, *program.shape(output.axes))
        found[output.name] = np.stack([values[m] for m in output.members]).reshape(shape)
    return found


def _dense(  # noqa: C901, PLR0911, PLR0912
    node: Node, args: list[np.ndarray], program: Unrolled, streams: Streams, copies: int
) -> np.ndarray:
    """Shape (*axes, c_0, c_1, ...), 1 for a copy that the value does not depend on."""
    ones, n = (1,) * copies, streams.width
    shape, rank = program.shape(node.type.axes), len(node.type.axes)
    labels = "abcdefgh"
    match node.op:
        case Op.CONST:
            return np.asarray(node.attr, float).reshape(*shape, *ones)
        case Op.DATA:
            return np.asarray(program.data[node.attr], float).reshape(*shape, *ones)
        case Op.INIT_SCALAR:
            return streams.scalar(symbol_of(node), shape).reshape(*shape, *ones)
        case Op.INIT_VECTOR:
            return streams.vector(symbol_of(node), shape).reshape(*shape, n, *ones[1:])
        case Op.CALL:
            return registry()[node.attr].evaluate(*args)
        case Op.CONTRACT:
            a, b = (len(x.type.axes) for x in node.args)
            left, right = labels[:a], labels[a - node.attr : a - node.attr + b]
            result = left[: a - node.attr] + right[node.attr :]
            return np.einsum(f"{left}...,{right}...->{result}...", *args)
        case Op.TAKE:
            return args[0][tuple(slice(None) if i is None else i for i in node.attr)]
        case Op.TRANSPOSE:
            return np.einsum(f"{labels[:rank]}...->{labels[:rank][::-1]}...", args[0])
        case Op.DIAGONAL:
            word = labels[:rank]
            return np.einsum(f"{word}{word[-1]}...->{word}...", args[0])
        case Op.STACK:
            return np.stack(args)
        case Op.SPREAD:
            tail = tuple(n if k in node.type.copies else 1 for k in range(copies))
            return np.broadcast_to(args[0], (*shape, *tail))
        case Op.COPY:
            return np.moveaxis(args[0], len(shape), len(shape) + node.attr)
        case Op.MEAN:
            dims = tuple(args[0].ndim - copies + k for k in node.attr)
            return args[0].mean(axis=dims, keepdims=True)
        case Op.AVERAGE:
            return args[0].mean(axis=len(shape), keepdims=True)
        case Op.INNER:
            x, y = (v.reshape(*v.shape[: v.ndim - copies], n) for v in args)
            return (np.tensordot(x, y, axes=(-1, -1)) / n).reshape(*shape, *ones)
        case Op.MATMUL:
            matrix = dense_matrix(streams, symbol_of(node))
            word = "ba" if node.attr[2] else "ab"
            x = args[0].reshape(*shape, n)
            return np.einsum(f"{word},...b->...a", matrix, x).reshape(*shape, n, *ones[1:])
        case _:
            raise AssertionError(node)
