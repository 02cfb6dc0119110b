"""Update functions with memory: ``update adam(g) { state m = 0; m = ...; return ... }``."""

from __future__ import annotations

from collections.abc import Mapping

from nexort.elaborate.context import Context
from nexort.elaborate.scope import BoundArgument, Scope
from nexort.program.declarations import UpdateRule
from nexort.program.nodes import Node, Op, walk
from nexort.program.types import scalar
from nexort.syntax import tree as t


def update_rule(e: Context, tree: t.Update) -> UpdateRule:
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


def _rule(e: Context, tree: t.Update) -> UpdateRule:
    first, *rest = tree.parameters
    parameters = [(p.name, None if p.default is None else e.node(p.default)) for p in rest]
    for p, (_, default) in zip(rest, parameters, strict=True):
        if default is not None and default.type != scalar():
            message = f"a hyperparameter is a scalar without axes, found a {default.type}"
            raise e.problem("bad-declaration", message, p.span)

    def slot(*attr: str) -> Node:
        return Node(Op.SLOT, (), attr, scalar())

    names = e.scope.entries
    names[first.name] = BoundArgument(slot("history"), first.span)
    if first.name != "t":
        names["t"] = BoundArgument(slot("step"), tree.span)
    for p in rest:
        names[p.name] = BoundArgument(slot("parameter", p.name), p.span)
    states: dict[str, Node] = {}
    assigns: list[tuple[str, Node]] = []
    for assign in tree.body:
        node = _entrywise(e, assign.value)
        if assign.state:
            if assign.name in names:
                message = f"'{assign.name}' is defined twice"
                raise e.problem("redefinition", message, assign.span)
            if not _constant(node, states):
                message = f"the state '{assign.name}' starts from numbers and hyperparameters"
                raise e.problem("bad-declaration", message, assign.value.span)
            states[assign.name] = node
            names[assign.name] = BoundArgument(slot("state", assign.name), assign.span)
        else:
            known = names.get(assign.name)
            if known is not None and assign.name not in states:
                message = f"'{assign.name}' has a value already, and is not a state"
                raise e.problem("redefinition", message, assign.span, help="choose another name")
            assigns.append((assign.name, node))
            if assign.name not in states:
                names[assign.name] = BoundArgument(slot("state", assign.name), assign.span)
    result = _entrywise(e, tree.result)
    return UpdateRule(
        tree.name,
        tuple(parameters),
        tuple(states.items()),
        tuple(assigns),
        result,
        tree.span,
    )


def as_update(e: Context, tree: t.Optimizer) -> t.Update:
    """``optimizer NAME(lr, ...) { ... update expr; ... }`` as an update function of the gradient g.

    The learning rate multiplies the update, outside of it. Raises NexortError.
    """
    values = [x for x in tree.body if isinstance(x, t.Updated)]
    if len(values) != 1:
        message = f"an optimizer has one line 'update', found {len(values)}"
        hint = "update m, the value that lr multiplies"
        span = values[-1].span if values else tree.span
        raise e.problem("bad-declaration", message, span, help=hint)
    [value] = values
    body = tuple(
        t.Assign(UPDATE, x.value, False, x.span) if isinstance(x, t.Updated) else x
        for x in tree.body
    )
    parameters = tuple(p for p in tree.parameters if p.name != "lr")
    for p in parameters:
        if p.name in ("g", "t"):
            message = f"'{p.name}' is the {'gradient' if p.name == 'g' else 'step'} here"
            raise e.problem("redefinition", message, p.span, help="choose another name")
    result = t.Name(UPDATE, value.span)
    first = t.Parameter("g", None, tree.span)
    return t.Update(tree.name, (first, *parameters), body, result, tree.span)


OUTSIDE = {
    "lr": (
        "'lr' has no value here: it multiplies what is given to 'update'",
        "write update g, not update lr * g",
    )
}
"""What an optimizer's body does not see, and why."""

UPDATE = "the update"
"""The local name of an optimizer's value; no name of a file has a space."""


def _entrywise(e: Context, tree: t.Expr) -> Node:
    """A value of an update function: functions of its arguments and states, entry by entry."""
    node = e.node(tree)
    reads: set[Node] = set()
    for x in walk([node]):
        if x.op is Op.SLOT or any(a in reads for a in x.args):
            reads.add(x)
    if node.type != scalar() or any(x.op not in (Op.SLOT, Op.CALL, Op.SUM) for x in reads):
        message = "an update function is entrywise: its values are scalars without axes"
        raise e.problem("wrong-kind", message, tree.span)
    return node


def _constant(node: Node, states: Mapping[str, Node]) -> bool:
    """Whether a state's first value can be told before the first step."""
    slots = [x.attr for x in walk([node]) if x.op is Op.SLOT]
    return all(s[0] == "parameter" or (s[0] == "state" and s[1] in states) for s in slots)
