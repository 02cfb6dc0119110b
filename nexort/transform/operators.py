"""Operators expanded: every application becomes MATMUL, bra-kets and outer nonlinearities.

Identities: (A + c B)|z> = A|z> + c B|z>; (A B)|z> = A(B|z>);
(|x> chi <y|)|z> = |x> Diag(chi) <y|z>; (|x> chi <y|)^T = |y> chi <x|;
Q(|x> chi <y|)|z> = E{1}[Q(sum_i chi_i |x_i> |y_i>{1}) |z>{1}] (Def 2.6.1, order 1).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from nexort.diagnostics import InternalError, NexortError, Span, fail
from nexort.program import build
from nexort.program.nodes import Node, Op, rewrite
from nexort.program.types import Axis, ket
from nexort.program.unrolled import Unrolled


def expand_operators(program: Unrolled) -> Unrolled:
    """The same program without operators. Raises NexortError for Q of an operator that is not a
    sum of linear outer products."""
    roots = [node for output in program.outputs for node in output.members]
    sizes = program.sizes

    def rule(node: Node) -> Node:
        if node.op is not Op.APPLY:
            return node
        return _apply(node.args[0], node.args[1], False, sizes)

    try:
        done = rewrite(roots, rule)
    except _NotLinear as error:
        raise _explain(error, program) from None
    outputs = tuple(
        replace(output, members=tuple(done[m] for m in output.members))
        for output in program.outputs
    )
    spans: dict[Node, Span] = {}
    for old, span in program.spans.items():
        if old in done:
            spans.setdefault(done[old], span)
    return replace(program, outputs=outputs, spans=spans)


class _NotLinear(Exception):
    def __init__(self, found: Node) -> None:
        super().__init__()
        self.found = found


def _explain(error: _NotLinear, program: Unrolled) -> NexortError:
    from nexort.program.nodes import walk

    span = next((s for node, s in program.spans.items() if error.found in walk([node])), None)
    return fail(
        "wrong-kind",
        "a nonlinearity acts on an operator that is not a sum of linear outer products",
        span,
        help="Q(|x> chi <y|): initial matrices and nonlinear operators cannot stand inside Q",
    )


Term = tuple[Node, Node, bool]
"""Coefficient, leaf operator, whether it is transposed."""


def _terms(acting: Node, transposed: bool) -> Iterator[Term]:
    """An operator as a sum of multiples of leaves, in the order written."""
    stack: list[Term] = [(build.constant(1), acting, transposed)]
    while stack:
        factor, node, flipped = stack.pop()
        match node.op:
            case Op.OP_ADD:
                stack.extend((factor, a, flipped) for a in reversed(node.args))
            case Op.OP_SCALE:
                stack.append((_times(factor, node.args[0]), node.args[1], flipped))
            case Op.ADJOINT:
                stack.append((factor, node.args[0], not flipped))
            case _:
                yield factor, node, flipped


def _times(a: Node, b: Node) -> Node:
    if build.is_number(a, 1):
        return b
    return a if build.is_number(b, 1) else build.call("mul", a, b)


def _apply(acting: Node, value: Node, transposed: bool, sizes: Mapping[str, int]) -> Node:
    total: Node | None = None
    for factor, leaf, flipped in _terms(acting, transposed):
        term = _times(factor, _apply_leaf(leaf, value, flipped, sizes))
        total = term if total is None else build.call("add", total, term)
    if total is None:
        zero = ket(acting.type.axes + value.type.axes)
        return build.spread(build.constant(0), zero)
    return total


def _apply_leaf(leaf: Node, value: Node, flipped: bool, sizes: Mapping[str, int]) -> Node:
    match leaf.op:
        case Op.INIT_MATRIX:
            name, indices = leaf.attr
            return _matmul(name, indices, flipped, leaf.type.axes, value, sizes)
        case Op.COMPOSE:
            left, right = leaf.args
            first, second = (left, right) if flipped else (right, left)
            return _apply(second, _apply(first, value, flipped, sizes), flipped, sizes)
        case Op.OUTER:
            x, chi, y = leaf.args if not flipped else leaf.args[::-1]
            return build.contract(_times(chi, x), build.inner(y, value), len(x.type.axes))
        case Op.ENTRYWISE:
            body = _with_entries(leaf.args[0], flipped)
            averaged = build.mean((1,), build.call("mul", body, build.copy(value, 1)))
            return build.spread(averaged, value.type)
        case _:
            raise InternalError(f"{leaf.op.name} is not an operator")


def _matmul(
    name: str,
    indices: tuple[int, ...],
    flipped: bool,
    axes: tuple[Axis, ...],
    value: Node,
    sizes: Mapping[str, int],
) -> Node:
    """One matrix, or a stack over the operator's axes of independent ones."""
    if not axes:
        return Node(Op.MATMUL, (value,), (name, indices, flipped), value.type)
    axis, *rest = axes
    size = axis.size if axis.size is not None else sizes[axis.name]
    parts = tuple(
        _matmul(name, (*indices, k), flipped, tuple(rest), value, sizes) for k in range(size)
    )
    return Node(Op.STACK, parts, None, ket((*axes, *value.type.axes)))


def _with_entries(body: Node, flipped: bool) -> Node:
    """Q's body with the entries of its operators in terms of kets on copies 0 and 1."""

    def place(node: Node) -> Node:
        if node.op is Op.CALL:
            return build.call(str(node.attr), *node.args)
        if node.op is not Op.ENTRY:
            return node
        total: Node | None = None
        for factor, leaf, turned in _terms(node.args[0], flipped):
            if leaf.op is not Op.OUTER:
                raise _NotLinear(leaf)
            x, chi, y = leaf.args if not turned else leaf.args[::-1]
            pair = build.contract(_times(chi, x), build.copy(y, 1), len(x.type.axes))
            term = _times(factor, pair)
            total = term if total is None else build.call("add", total, term)
        return build.constant(0) if total is None else total

    return rewrite([body], place)[body]
