"""Update functions with memory: ``update adam(g) { state m = 0; m = ...; return ... }``."""

from __future__ import annotations

from nexort.elaborate.expressions import Elaborator
from nexort.elaborate.scope import Bound, Scope
from nexort.program.nodes import Node, Op
from nexort.program.program import UpdateRule
from nexort.program.types import scalar
from nexort.syntax import tree as t


def update_rule(e: Elaborator, tree: t.Update) -> UpdateRule:
    """The rule of an update function. Its first argument is the history's current value; ``t`` is
    the step, from 0; states keep their value from step to step. Raises NexortError."""
    if not tree.parameters:
        message = "an update function takes the current value as its first argument"
        raise e.problem("bad-declaration", message, tree.span, help="update sgd(g) { ... }")
    outer, e.scope = e.scope, Scope(e.scope)
    try:
        return _rule(e, tree)
    finally:
        e.scope = outer


def _rule(e: Elaborator, tree: t.Update) -> UpdateRule:
    first, *rest = tree.parameters
    parameters = [(p.name, None if p.default is None else e.node(p.default)) for p in rest]

    def slot(*attr: str) -> Node:
        return Node(Op.SLOT, (), attr, scalar())

    names = e.scope.entries
    names[first.name] = Bound(slot("history"), first.span)
    if first.name != "t":
        names["t"] = Bound(slot("step"), tree.span)
    for p in rest:
        names[p.name] = Bound(slot("parameter", p.name), p.span)
    states: dict[str, Node] = {}
    assigns: list[tuple[str, Node]] = []
    for assign in tree.body:
        node = e.node(assign.value)
        if assign.state:
            if assign.name in names:
                message = f"'{assign.name}' is defined twice"
                raise e.problem("redefinition", message, assign.span)
            states[assign.name] = node
            names[assign.name] = Bound(slot("state", assign.name), assign.span)
        else:
            known = names.get(assign.name)
            if known is not None and assign.name not in states:
                message = f"'{assign.name}' is not a state"
                raise e.problem("redefinition", message, assign.span)
            assigns.append((assign.name, node))
            if assign.name not in states:
                names[assign.name] = Bound(slot("state", assign.name), assign.span)
    result = e.node(tree.result)
    return UpdateRule(
        tree.name,
        tuple(parameters),
        tuple(states.items()),
        tuple(assigns),
        result,
        tree.span,
    )
