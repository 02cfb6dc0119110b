"""Scalar nodes at indices as values."""

from __future__ import annotations

from collections.abc import Sequence

from nexort.limit.exact.budget import NotExact
from nexort.limit.exact.labels import At, Index, Label, following, top
from nexort.limit.exact.meanings import Meanings
from nexort.limit.exact.values import Value
from nexort.program.nodes import Node, Op, Role, source
from nexort.program.roundings import known_number


def lower(engine: Meanings, node: Node, at: At) -> Value:
    """The entries of a scalar node at canonical indices, one an axis. Raises NotExact."""
    values = engine.values
    match node.op:
        case Op.CONST:
            if isinstance(node.attr, tuple):
                return values.array(node.attr, at)
            return values.number(*known_number(node.attr))
        case Op.SIZE:
            return values.array(("size", str(node.attr)), ())
        case Op.DATA:
            return values.array(("data", str(node.attr)), at)
        case Op.INIT_SCALAR:
            return values.zero
        case Op.CALL:
            parts = [engine.scalar(a, align_indices(a, at)) for a in node.args]
            return values.call(str(node.attr), *parts)
        case Op.CONTRACT:
            left, right = node.args
            outer, inner, bound = split_contraction(node, at)
            product = values.mul(engine.scalar(left, outer), engine.scalar(right, inner))
            return values.sum(product, bound)
        case Op.INNER:
            engine.shown(node)
            left, right = node.args
            cut = len(left.type.axes)
            return engine.expect((left, at[:cut]), (right, at[cut:]))
        case Op.AVERAGE:
            engine.shown(node)
            return engine.expect((node.args[0], at))
        case Op.FACTOR:
            own = top([a.name for a in node.type.axes])
            return values.root(engine.scalar(node.args[0], own), own, at)
        case Op.STACK:
            parts = [engine.scalar(a, at[1:]) for a in node.args]
            first = at[0]
            return parts[first] if isinstance(first, int) else values.stack(parts, first)
        case op if op.role is Role.SELECTION:
            return engine.scalar(node.args[0], select_indices(node, at))
        case _:
            raise NotExact(REFUSED.get(node.op, f"{node.op.name} has no exact route"), node)


REFUSED = {
    Op.MEAN: "an expectation over iid copies is sampled",
    Op.SLOT: "a number that is not known",
}


def align_indices(node: Node, at: Sequence[Index]) -> At:
    """The indices of an argument with fewer axes: the language aligns from the right."""
    return tuple(at[len(at) - len(node.type.axes) :])


def select_indices(node: Node, at: At) -> At:
    """The argument's indices for a selection."""
    return source(node, at, int)


def split_contraction(node: Node, at: At) -> tuple[At, At, tuple[Label, ...]]:
    """The indices of both sides of a CONTRACT at canonical indices, and the joined labels."""
    left, right = node.args
    joined = node.attr
    cut = len(left.type.axes) - joined
    axes = [
        a if a.size is None else b
        for a, b in zip(left.type.axes[cut:], right.type.axes[:joined], strict=True)
    ]
    bound = following(at, [a.name for a in axes])
    return (*at[:cut], *bound), (*bound, *at[cut:]), bound
