"""The output at initialization, a Gaussian process (Thm 2.4.7: f_0 -> N(0, <x^L|x^L>)).

f is n^(1/2) times a scalar that vanishes in the limit; what of it survives is linear in the
averages <1|z> that vanish. n^(1/2) <1|z> tends to a Gaussian of covariance <z|z>, so f has the
covariance of the ket that the scalar becomes when every vanishing <1|z> is replaced by |z>.
"""

from __future__ import annotations

from nexort.diagnostics import fail
from nexort.limit.symmetry import vanishing
from nexort.program import build
from nexort.program.nodes import Node, Op, walk
from nexort.program.types import Kind, ket


def fluctuation(out: Node) -> Node:
    """The ket, with the axes of f, whose covariance f has at initialization; ``out`` is a scalar
    graph over standard initial objects.

    Raises NexortError where the output is not linear in vanishing averages.
    """
    averages = {x for x in walk([out]) if x.op in (Op.INNER, Op.AVERAGE)}
    small = vanishing([out]) & averages or averages
    found: dict[Node, Node] = {}
    for x in walk([out]):
        if x in small:
            found[x] = _entries(x)
        elif x.type.kind is Kind.SCALAR and any(a in found for a in x.args):
            found[x] = _linear(x, found)
    return found[out] if out in found else build.spread(out, ket(out.type.axes))


def _entries(x: Node) -> Node:
    """|z> of <1|z>."""
    if x.op is Op.AVERAGE:
        return x.args[0]
    left, right = x.args
    if left.type.axes and right.type.axes:
        return build.contract(left, right, 0)
    return build.call("mul", left, right)


def _linear(x: Node, found: dict[Node, Node]) -> Node:
    moving = [a in found for a in x.args]
    args = tuple(found.get(a, a) for a in x.args)
    name = str(x.attr) if x.op is Op.CALL else ""
    match x.op:
        case Op.CALL if name in ("add", "sub", "neg") and all(moving):
            return build.call(name, *args)
        case Op.CALL if (
            name in ("mul", "div") and moving.count(True) == 1 and (name == "mul" or moving[0])
        ):
            return build.call(name, *args)
        case Op.CONTRACT if moving.count(True) == 1:
            return build.contract(args[0], args[1], int(x.attr))
        case Op.TAKE | Op.TRANSPOSE | Op.DIAGONAL | Op.SPREAD | Op.STACK if all(moving):
            return Node(x.op, args, x.attr, ket(x.type.axes))
    message = "the output at initialization is not a sum of averages that vanish"
    hint = "start from centre, or give the output at initialization"
    raise fail("no-limit", message, help=hint)
