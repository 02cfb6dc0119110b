"""Graphs as a reader would write them: signs in front, numbers first, no products with 1."""

from __future__ import annotations

from nexort.expand.placing import is_ones
from nexort.program import build
from nexort.program.nodes import Node, Op, Role, rewrite
from nexort.program.types import Kind, scalar


def tidy(root: Node) -> Node:
    """The same value, by identities of + - * / alone."""
    return rewrite([root], _rule)[root]


def _rule(x: Node) -> Node:
    if x.op is Op.CONTRACT and x.attr == 1:
        return _contraction(x)
    if x.op is Op.AVERAGE:
        x = _average(x)
    if x.op in (Op.SPREAD, Op.AVERAGE, Op.TRANSPOSE, Op.DIAGONAL) and _is(x.args[0], "neg"):
        return build.call("neg", Node(x.op, x.args[0].args, x.attr, x.type))
    if x.op is not Op.CALL:
        return x
    match str(x.attr), x.args:
        case "mul", (a, b):
            return _product(x, a, b)
        case "add", (a, b) if a is b:
            return _rule(build.call("mul", build.constant(2), a))
        case "add", (a, b) if _is(b, "neg"):
            return build.call("sub", a, b.args[0])
        case "add", (a, b) if _is(a, "neg"):
            return build.call("sub", b, a.args[0])
        case "sub", (a, b) if _is(b, "neg"):
            return build.call("add", a, b.args[0])
        case "neg", (a,) if _is(a, "neg"):
            return a.args[0]
        case "div", (a, b) if _is(a, "neg"):
            return _rule(build.call("neg", build.call("div", a.args[0], b)))
        case _:
            return x


def _product(x: Node, a: Node, b: Node) -> Node:
    for one, other in ((a, b), (b, a)):
        if build.is_number(one, 1) and other.type == x.type:
            return other
        if build.is_number(one, -1):
            return _rule(build.call("neg", other))
        if is_ones(one) and other.type == x.type:
            return other
    for first, second in ((a, b), (b, a)):
        if _is(first, "neg"):
            factors = (first.args[0], second) if first is a else (second, first.args[0])
            return _rule(build.call("neg", _rule(build.call("mul", *factors))))
    if _is(a, "div") and build.is_number(a.args[0], 1):
        return _rule(build.call("div", b, a.args[1]))
    if b.op is Op.CONST and not b.type.axes and a.op is not Op.CONST:
        return build.call("mul", b, a)
    return x


def _average(x: Node) -> Node:
    """<1|(|x> * |y>)> is <x|y>, of a ket and one without axes, or with the axes of both; <1|c> is
    c."""
    level = _level(x.args[0])
    if level is not None:
        return level
    [product] = x.args
    outer = product.op is Op.CONTRACT and product.attr == 0
    if not (outer or _is(product, "mul")):
        return x
    a, b = product.args
    apart = outer or not a.type.axes or not b.type.axes
    named = Op.INIT_VECTOR in (a.op, b.op)
    if apart and named and a.type.kind is b.type.kind is Kind.KET:
        return build.inner(a, b)
    return x


def _level(x: Node) -> Node | None:
    """The scalar that all entries of a ket are, as far as its graph shows."""
    if x.type.kind is Kind.SCALAR:
        return x
    if x.op not in (Op.CALL, Op.CONTRACT) and x.op.role is not Role.SELECTION:
        return None
    args = [_level(a) for a in x.args]
    known = tuple(a for a in args if a is not None)
    if len(known) < len(args):
        return None
    kind = scalar(x.type.axes)
    return build.spread(known[0], kind) if x.op is Op.SPREAD else build.local_over(x, known)


def _contraction(x: Node) -> Node:
    """ones @ (a * b) is a @ b where both are of the one axis that is summed."""
    left, right = x.args
    for k, side in enumerate(x.args):
        if _is(side, "neg"):
            args = (side.args[0], right) if k == 0 else (left, side.args[0])
            return _rule(build.call("neg", _contraction(build.contract(*args))))
    for one, other in ((left, right), (right, left)):
        axes = other.type.axes
        if is_ones(one) and _is(other, "mul") and len(axes) == 1:
            a, b = other.args
            if a.type.axes == b.type.axes == axes:
                return build.contract(a, b)
    return x


def _is(x: Node, name: str) -> bool:
    return x.op is Op.CALL and x.attr == name
