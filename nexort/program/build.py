"""Typed construction of nodes: every rule of what may be combined with what is here.

A constructor raises :class:`TypeProblem`; the elaborator turns it into a diagnostic with spans.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import reduce

from nexort.program.index import Affine, Loop
from nexort.program.nodes import Node, Op, Role, source
from nexort.program.types import (
    ROOT,
    Axes,
    Axis,
    AxisMismatch,
    Kind,
    Type,
    broadcast,
    ket,
    operator,
    scalar,
    unify,
)
from nexort.support.diagnostics import count_text

Number = int | float


class TypeProblem(Exception):
    """Operands that do not go together. ``operands`` are the positions at fault, worst last."""

    def __init__(
        self, code: str, message: str, help: str | None = None, operands: tuple[int, ...] = ()
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.help, self.operands = code, message, help, operands


def _mismatch(problem: AxisMismatch, a: Node, b: Node, help: str | None = None) -> TypeProblem:
    if problem.left is None or problem.right is None:
        axis = problem.left or problem.right
        first, second = (a, b) if problem.left else (b, a)
        message = f"axis {axis} of a {first.type} has no partner in a {second.type}"
    else:
        message = f"axis {problem.left} of a {a.type} does not match "
        message += f"axis {problem.right} of a {b.type}"
    return TypeProblem("axis-mismatch", message, help, (0, 1))


def _article(type: Type) -> str:
    return f"an {type}" if type.kind is Kind.OPERATOR else f"a {type}"


# ---- scalars and kets ----------------------------------------------------------------------------


def constant(value: Number) -> Node:
    """A number."""
    return Node(Op.CONST, (), value, scalar())


def literal(value: Hashable, axes: Axes) -> Node:
    """A nested tuple of numbers, one level an axis."""
    return Node(Op.CONST, (), value, scalar(axes))


def is_number(node: Node, value: Number) -> bool:
    """Whether the node is that literal number."""
    return node.op is Op.CONST and not node.type.axes and node.attr == value


_SYMBOLS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "pow": "^", "neg": "-"}


def call(name: str, *args: Node) -> Node:
    """An entrywise function of scalars and kets; axes broadcast, copies join."""
    for position, arg in enumerate(args):
        if arg.type.kind is Kind.OPERATOR:
            raise TypeProblem(
                "wrong-kind",
                f"found an operator, expected a ket or a scalar in '{_SYMBOLS.get(name, name)}'",
                None, (position,),
            )  # fmt: skip
    axes: Axes = ()
    for position, arg in enumerate(args):
        try:
            axes = broadcast(axes, arg.type.axes)
        except AxisMismatch as problem:
            other = next(k for k in range(position) if _clash(args[k], arg))
            text = f"axes {_axes(args[other])} and {_axes(arg)} do not broadcast"
            text += f": {problem.left} against {problem.right}"
            hint = "axes are aligned from the right; use @ to contract, ^T to transpose"
            raise TypeProblem("axis-mismatch", text, hint, (other, position)) from None
    kets = [arg for arg in args if arg.type.kind is Kind.KET]
    if not kets:
        return Node(Op.CALL, args, name, scalar(axes))
    copies = reduce(frozenset.union, (arg.type.copies for arg in kets))
    return Node(Op.CALL, args, name, ket(axes, copies))


def _clash(a: Node, b: Node) -> bool:
    try:
        broadcast(a.type.axes, b.type.axes)
    except AxisMismatch:
        return True
    return False


def _axes(node: Node) -> str:
    return f"[{', '.join(map(str, node.type.axes))}]"


def contract(left: Node, right: Node, joined: int = 1) -> Node:
    """``left @ right``: the last axes of left summed with the first of right."""
    for position, side in enumerate((left, right)):
        if side.type.kind is Kind.OPERATOR:
            message = "@ contracts axes of kets and scalars, found an operator"
            advice = "an operator acts by standing before a ket: W |x>"
            raise TypeProblem("wrong-kind", message, advice, (position,))
        if len(side.type.axes) < joined:
            raise TypeProblem(
                "axis-mismatch",
                f"@ contracts the last axis of the left with the first axis of the right, "
                f"but {_article(side.type)} has no axis",
                "use * for the entrywise product", (position,),
            )  # fmt: skip
    if joined == 0 and not (left.type.axes and right.type.axes):
        return call("mul", left, right)
    split = len(left.type.axes) - joined
    for a, b in zip(left.type.axes[split:], right.type.axes[:joined], strict=True):
        try:
            unify(a, b)
        except AxisMismatch as problem:
            hint: str | None = None
            if right.type.axes[-1] == a and right.type.kind is Kind.SCALAR:
                hint = "transpose the right side: @ (...)^T"
            elif left.type.axes[0] == b and left.type.kind is Kind.SCALAR:
                hint = "transpose the left side: (...)^T @"
            raise _mismatch(problem, left, right, hint) from None
    axes = left.type.axes[:split] + right.type.axes[joined:]
    kets = [x for x in (left, right) if x.type.kind is Kind.KET]
    if not kets:
        return Node(Op.CONTRACT, (left, right), joined, scalar(axes))
    copies = reduce(frozenset.union, (x.type.copies for x in kets))
    return Node(Op.CONTRACT, (left, right), joined, ket(axes, copies))


def take(value: Node, items: Sequence[Affine | int | None]) -> Node:
    """Selection along the first axes; None keeps an axis."""
    if len(items) > len(value.type.axes):
        found = count_text(len(items), "index", "indices")
        has = count_text(len(value.type.axes), "axis", "axes") if value.type.axes else "no axis"
        message = f"found {found} along axes, but {_article(value.type)} has {has}"
        raise TypeProblem("axis-mismatch", message, None, (0,))
    padded = (*items, *[None] * (len(value.type.axes) - len(items)))
    axes = tuple(a for a, item in zip(value.type.axes, padded, strict=True) if item is None)
    if len(axes) == len(padded):
        return value
    return Node(Op.TAKE, (value,), padded, Type(value.type.kind, axes, value.type.copies))


def transpose(value: Node) -> Node:
    """The axes of a scalar or ket in reverse order."""
    if value.op is Op.TRANSPOSE:
        return value.args[0]
    if len(value.type.axes) < 2:
        return value
    reversed_type = Type(value.type.kind, value.type.axes[::-1], value.type.copies)
    return Node(Op.TRANSPOSE, (value,), None, reversed_type)


def diagonal(value: Node) -> Node:
    """The diagonal of a scalar or ket with two equal last axes."""
    axes = value.type.axes
    if value.type.kind is Kind.OPERATOR or len(axes) < 2 or axes[-1] != axes[-2]:
        message = f"diag needs two equal axes, found {_article(value.type)}"
        raise TypeProblem("axis-mismatch", message, "diag(<x|x>) has one axis less", (0,))
    return Node(Op.DIAGONAL, (value,), None, Type(value.type.kind, axes[:-1], value.type.copies))


NAMED = {"diag": (Op.DIAGONAL, diagonal)}
"""The selections that programs write as functions of one argument."""


def factor(value: Node) -> Node:
    """The root R of a positive semidefinite matrix, R^T R = value."""
    axes = value.type.axes
    if value.type.kind is not Kind.SCALAR or len(axes) != 2 or axes[0] != axes[1]:
        message = f"a covariance has two equal axes, found {_article(value.type)}"
        raise TypeProblem("axis-mismatch", message, None, (0,))
    return Node(Op.FACTOR, (value,), None, value.type)


def stack(items: Sequence[Node]) -> Node:
    """A list literal: a new first axis."""
    first = items[0].type
    for position, item in enumerate(items):
        if item.type.kind is Kind.OPERATOR or item.type != first:
            message = f"a list holds values of one type, found {_article(item.type)}"
            message += f" beside {_article(first)}"
            raise TypeProblem("wrong-kind", message, None, (0, position))
    axis = Axis(str(len(items)), len(items))
    if all(x.op is Op.CONST for x in items):
        return literal(tuple(x.attr for x in items), (axis, *first.axes))
    return Node(Op.STACK, tuple(items), None, Type(first.kind, (axis, *first.axes), first.copies))


def spread(value: Node, type: Type) -> Node:
    """``value`` repeated to a wider type."""
    return value if value.type == type else Node(Op.SPREAD, (value,), None, type)


def total(loop: Loop, body: Node) -> Node:
    """``sum(l in ...) body``."""
    op = Op.OP_SUM if body.type.kind is Kind.OPERATOR else Op.SUM
    return Node(op, (body,), loop, body.type)


def local_over(node: Node, args: tuple[Node, ...]) -> Node:
    """The same local instruction of other arguments: of a ket or a scalar on the copies that they
    are on."""
    axes = node.type.axes
    if node.op.role is Role.SELECTION:
        seen = source(node, range(len(axes)), lambda _: None)
        own = args[0].type.axes
        axes = tuple(own[seen.index(k)] if k in seen else a for k, a in enumerate(axes))
    kets = [a.type.copies for a in args if a.type.kind is Kind.KET]
    if kets:
        return Node(node.op, args, node.attr, ket(axes, reduce(frozenset.union, kets)))
    constant_ket = node.type.kind is not node.args[0].type.kind is Kind.SCALAR
    if node.op is Op.SPREAD and constant_ket:
        return Node(node.op, args, node.attr, Type(node.type.kind, axes, node.type.copies))
    return Node(node.op, args, node.attr, scalar(axes))


# ---- bra-kets ------------------------------------------------------------------------------------


def _check_closed(value: Node, position: int, what: str) -> None:
    if value.type.open:
        raise TypeProblem(
            "open-copy", f"{what} needs an ordinary ket, found one on iid copies",
            "average over the copies first: E{1}[ ... ]", (position,),
        )  # fmt: skip


def inner(left: Node, right: Node) -> Node:
    """``<x|y>``."""
    for position, side in enumerate((left, right)):
        _check_closed(side, position, "a bra-ket")
    return Node(Op.INNER, (left, right), None, scalar(left.type.axes + right.type.axes))


def average(value: Node) -> Node:
    """``<1|x>``."""
    _check_closed(value, 0, "an average")
    return Node(Op.AVERAGE, (value,), None, scalar(value.type.axes))


def copy(value: Node, number: int) -> Node:
    """``|x>{k}``."""
    if value.type.kind is not Kind.KET:
        message = f"only kets have iid copies, found {_article(value.type)}"
        raise TypeProblem("wrong-kind", message, None, (0,))
    if number < 1:
        raise TypeProblem("bad-copy", "iid copies are numbered from 1", None, (0,))
    _check_closed(value, 0, "an iid copy")
    return Node(Op.COPY, (value,), number, ket(value.type.axes, frozenset({number})))


def mean(copies: Sequence[int], body: Node) -> Node:
    """``E{copies}[body]``; a scalar where the body does not depend on the free ket's own index."""
    if body.type.kind is Kind.OPERATOR:
        raise TypeProblem("wrong-kind", "E averages kets, found an operator", None, (0,))
    averaged = frozenset(copies)
    missing = averaged - body.type.copies
    if missing:
        message = f"copy {min(missing)} does not occur in the body of E"
        raise TypeProblem("bad-copy", message, f"mark a ket as |x>{{{min(missing)}}}", (0,))
    left = body.type.copies - averaged
    if left - ROOT:
        raise TypeProblem(
            "open-copy", f"copy {min(left - ROOT)} is not averaged here",
            "average over all copies at once, as in E{1,2}[ ... ], or give the inner expectation "
            "a name", (0,),
        )  # fmt: skip
    result = ket(body.type.axes) if left else scalar(body.type.axes)
    return Node(Op.MEAN, (body,), tuple(sorted(averaged)), result)


# ---- operators -----------------------------------------------------------------------------------


def adjoint(value: Node) -> Node:
    """``A^T``."""
    if value.op is Op.ADJOINT:
        return value.args[0]
    if len(value.type.axes) > 1 and value.op in (Op.COMPOSE, Op.REF, Op.TAKE):
        message = "the transpose of a product of operators with axes has its axes in reverse order"
        raise TypeProblem("axis-mismatch", message, "write B^T A^T for (A B)^T", (0,))
    return Node(Op.ADJOINT, (value,), None, value.type)


def apply(acting: Node, value: Node) -> Node:
    """``A |x>``."""
    if value.type.kind is not Kind.KET:
        message = f"an operator acts on kets, found {_article(value.type)}"
        hint = "put the operator before a ket: W |x>" if value.type.kind is Kind.SCALAR else None
        raise TypeProblem("wrong-kind", message, hint, (0, 1))
    _check_closed(value, 1, "an operator")
    return Node(Op.APPLY, (acting, value), None, ket(acting.type.axes + value.type.axes))


def compose(left: Node, right: Node) -> Node:
    """``A B``."""
    return Node(Op.COMPOSE, (left, right), None, operator(left.type.axes + right.type.axes))


def scale(factor: Node, value: Node) -> Node:
    """``c A``."""
    if factor.type.kind is not Kind.SCALAR or factor.type.axes:
        message = (
            f"an operator is multiplied by a scalar without axes, found {_article(factor.type)}"
        )
        raise TypeProblem("wrong-kind", message, None, (0,))
    return value if is_number(factor, 1) else Node(Op.OP_SCALE, (factor, value), None, value.type)


def add_operators(left: Node, right: Node) -> Node:
    """``A + B``."""
    if left.type.axes != right.type.axes:
        message = f"operators with axes {_axes(left)} and {_axes(right)} do not add"
        raise TypeProblem("axis-mismatch", message, None, (0, 1))
    return Node(Op.OP_ADD, (left, right), None, left.type)


def outer(left: Node, chi: Node | None, right: Node) -> Node:
    """``|x> chi <y|``: the sum over the shared axes of chi_i |x_i><y_i|."""
    for position, side in enumerate((left, right)):
        _check_closed(side, 2 * position, "an outer product")
    try:
        if len(left.type.axes) != len(right.type.axes):
            longer = max(left.type.axes, right.type.axes, key=len)
            spare = longer[-1]
            if longer is left.type.axes:
                raise AxisMismatch(spare, None)
            raise AxisMismatch(None, spare)
        for a, b in zip(left.type.axes, right.type.axes, strict=True):
            unify(a, b)
    except AxisMismatch as problem:
        error = _mismatch(
            problem, left, right, "the ket and the bra of an outer product share axes"
        )
        raise TypeProblem(error.code, error.message, error.help, (0, 2)) from None
    if chi is not None:
        try:
            fits = broadcast(left.type.axes, chi.type.axes) == left.type.axes
        except AxisMismatch:
            fits = False
        if chi.type.kind is not Kind.SCALAR or not fits:
            message = f"chi has the axes of the ket, {_axes(left)}, found {_article(chi.type)}"
            raise TypeProblem("axis-mismatch", message, None, (0, 1))
    args = (left, constant(1) if chi is None else chi, right)
    return Node(Op.OUTER, args, None, operator())


def entry(value: Node) -> Node:
    """The entry of a linear outer product at (copy 0, copy 1), to be used in :func:`entrywise`."""
    if value.type.axes:
        raise TypeProblem("wrong-kind", "a nonlinearity acts on one operator at a time", None, (0,))
    if value.op in (Op.INIT_MATRIX, Op.COMPOSE, Op.ENTRYWISE):
        raise TypeProblem(
            "wrong-kind", "a nonlinearity of an operator takes linear outer products",
            "Q(|x> chi <y|); initial matrices and other nonlinear operators cannot stand inside",
            (0,),
        )  # fmt: skip
    return Node(Op.ENTRY, (value,), None, ket((), frozenset({0, 1})))


def entrywise(body: Node) -> Node:
    """``Q(|x> chi <y|)`` from the body Q(entry)."""
    if body.type.axes:
        message = f"a nonlinear operator has no axes, found {_axes(body)}"
        raise TypeProblem("axis-mismatch", message)
    return Node(Op.ENTRYWISE, (body,), None, operator())
