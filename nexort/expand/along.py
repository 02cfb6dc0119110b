"""Derivatives of right sides along a direction: what moving some leaves does to a rule's target."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

from nexort.expand.reverse import slope_of
from nexort.expand.rules import Key
from nexort.expand.tidy import tidy
from nexort.program import build
from nexort.program.linearity import linearity
from nexort.program.nodes import Node, Op, walk
from nexort.support.diagnostics import InternalError
from nexort.training.backprop import product_node


def along(root: Node, leaves: Mapping[Key, Node], operators: Mapping[Key, Key]) -> Node | None:
    """The derivative of a graph where the leaves move by what they are mapped to, and the matrices
    W of ``operators`` by the operators that they are mapped to. None where none of them is read."""
    found: dict[Node, Node | None] = {}
    for x in walk([root]):
        if x.op in (Op.INIT_VECTOR, Op.INIT_SCALAR):
            found[x] = leaves.get(x.attr)
            continue
        terms = [
            _by(x, k, d, found)
            for k, a in enumerate(x.args)
            if (d := found[a]) is not None and not (x.op is Op.STACK and _first(x, found) != k)
        ]
        if x.op is Op.MATMUL and x.attr[:2] in operators:
            name, key = operators[x.attr[:2]]
            terms.append(Node(x.op, x.args, (name, key, x.attr[2]), x.type))
        kept = [t for t in terms if t is not None]
        found[x] = reduce(lambda a, b: build.call("add", a, b), kept) if kept else None
    total = found[root]
    return None if total is None else tidy(total)


def _by(x: Node, k: int, d: Node, found: Mapping[Node, Node | None]) -> Node | None:
    """The part of the derivative that comes through argument k, which moves by d."""
    if x.op is Op.CALL:
        slope = slope_of(str(x.attr), k, x.args)
        return None if build.is_number(slope, 0) else product_node(slope, d)
    if x.op is Op.MEAN:
        copies = [c for c in x.attr if c in d.type.copies]
        return build.mean(copies, d) if copies else d
    if x.op is Op.STACK:
        return build.stack([_or_zero(a, found) for a in x.args])
    if linearity(x) is None and x.op not in (Op.MATMUL, Op.COPY):
        raise InternalError(f"the derivative of {x.op.name}")
    args = tuple(d if j == k else a for j, a in enumerate(x.args))
    return Node(x.op, args, x.attr, x.type)


def _first(x: Node, found: Mapping[Node, Node | None]) -> int:
    return next(k for k, a in enumerate(x.args) if found[a] is not None)


def _or_zero(a: Node, found: Mapping[Node, Node | None]) -> Node:
    d = found[a]
    return build.spread(build.constant(0), a.type) if d is None else build.spread(d, a.type)
