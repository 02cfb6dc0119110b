"""Update functions at given numbers: what does not depend on gradients, states, hyperparameters and
steps becomes a number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from nexort.program import build
from nexort.program.declarations import UpdateRule
from nexort.program.nodes import Node, Op, walk
from nexort.program.unrolled import Array
from nexort.training.scalars import scalar_value


def rule_at(
    rule: UpdateRule, graph: Callable[[Node], Node], data: Mapping[str, Array]
) -> UpdateRule:
    """The rule over slots, numbers and functions alone. ``graph`` gives a graph with the numbers of
    a program, its sums written out."""

    def plain(root: Node) -> Node:
        return _plain(graph(root), data)

    return replace(
        rule,
        states=tuple((name, plain(node)) for name, node in rule.states),
        assigns=tuple((name, plain(node)) for name, node in rule.assigns),
        result=plain(rule.result),
    )


def _plain(root: Node, data: Mapping[str, Array]) -> Node:
    order = walk([root])
    reads: set[Node] = set()
    for x in order:
        if x.op is Op.SLOT or any(a in reads for a in x.args):
            reads.add(x)
    done: dict[Node, Node] = {}

    def number(x: Node) -> Node:
        if x.op is Op.CONST:
            return x
        return build.constant(float(scalar_value(x, {}, data, lambda _: ())))

    for x in order:
        if x in reads:
            done[x] = x.with_args(tuple(done[a] if a in reads else number(a) for a in x.args))
    return done[root] if root in reads else number(root)
