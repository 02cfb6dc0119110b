"""Derivatives of entrywise graphs, for ``phi'``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nexort.program import build
from nexort.program.nodes import Node, Op, rewrite, walk

Partial = Callable[[str, int, tuple[Node, ...]], Node]


def derivative(body: Node, by: Node, partial: Partial) -> Node:
    """d body / d by, for a graph of CALL and SUM nodes over ``by`` and nodes that do not depend on
    it. Raises TypeProblem for any other.

    ``partial(name, i, args)`` is the derivative of a registry function by its i-th argument. Right
    almost everywhere: jumps contribute nothing (numerics: the sampler's dots use Stein's form).
    """
    zero, one = build.constant(0), build.constant(1)
    slopes: dict[Node, Node] = {by: one}
    for node in walk([body]):
        if node in slopes:
            continue
        if all(build.is_number(slopes[a], 0) for a in node.args):
            slopes[node] = zero
            continue
        if node.op is Op.SUM:
            slopes[node] = build.total(node.attr, slopes[node.args[0]])
            continue
        if node.op is not Op.CALL:
            message = "a derivative is of an entrywise function"
            raise build.TypeProblem("wrong-kind", message, "write the derivative as a function")
        name = str(node.attr)
        total = zero
        for position, arg in enumerate(node.args):
            slope = slopes[arg]
            if build.is_number(slope, 0):
                continue
            power = node.args[-1].attr if node.args[-1].op is Op.CONST else None
            if name == "pow" and position == 0 and isinstance(power, int | float):
                outer = _power_slope(node.args[0], power)
            else:
                outer = partial(name, position, node.args)
            total = _sum(total, _times(outer, slope))
        slopes[node] = total
    return slopes[body]


def _power_slope(base: Node, exponent: int | float) -> Node:
    """d x^c / dx = c x^(c-1) for a literal c."""
    if exponent in (0, 1):
        return build.constant(exponent)
    lower = base if exponent == 2 else build.call("pow", base, build.constant(exponent - 1))
    return _times(build.constant(exponent), lower)


def _times(a: Node, b: Node) -> Node:
    for x, y in ((a, b), (b, a)):
        if build.is_number(x, 0):
            return build.constant(0)
        if build.is_number(x, 1):
            return y
    return build.call("mul", a, b)


def _sum(a: Node, b: Node) -> Node:
    if build.is_number(a, 0):
        return b
    return a if build.is_number(b, 0) else build.call("add", a, b)


def substitute(body: Node, values: Mapping[Node, Node]) -> Node:
    """``body`` with nodes replaced; types of CALL nodes follow the replacements."""

    def place(node: Node) -> Node:
        if node in values:
            return values[node]
        if node.op is Op.CALL:
            return build.call(str(node.attr), *node.args)
        return node

    return rewrite([body], place)[body]
