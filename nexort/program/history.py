"""Update functions over their history: FOLD nodes as entrywise graphs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from nexort.program import build
from nexort.program.missing import Missing
from nexort.program.nodes import Node, Op, rewrite
from nexort.support.diagnostics import counted

if TYPE_CHECKING:
    from nexort.program.unroll import Unroller


def folded(unroller: Unroller, node: Node, args: tuple[Node, ...], env: Mapping[str, int]) -> Node:
    """An update function over its history: the states are carried from step to step."""
    name, count = node.attr
    history = tuple(_flat(args[0]))
    span = unroller.span_of(node)
    if count is not None:
        [step] = unroller.integers((count,), env, span)
        if step + 1 != len(history):
            takes = counted(step + 1, "argument")
            message = f"{name}[{step}] takes {takes}, found {len(history)}"
            help_text = "its arguments are the history up to its step, x[s] for s in 0..t"
            unroller.error("bad-argument", message, span, help=help_text)
            raise Missing
    if not history:
        unroller.error("bad-argument", f"the history of '{name}' is empty", span)
        raise Missing
    rule = unroller.program.updates[name]
    slots: dict[tuple[str, ...], Node] = {}
    for (parameter, _), value in zip(rule.parameters, args[1:], strict=True):
        slots["parameter", parameter] = value
    for state, start in rule.states:
        slots["state", state] = _filled(unroller, start, slots)
    result = rule.result
    for number, value in enumerate(history):
        slots["history",] = value
        slots["step",] = build.constant(number)
        for state, expression in rule.assigns:
            slots["state", state] = _filled(unroller, expression, slots)
        if number == len(history) - 1:
            result = _filled(unroller, rule.result, slots)
    return result if node.type.open else build.spread(result, node.type)


def _filled(unroller: Unroller, node: Node, slots: Mapping[tuple[str, ...], Node]) -> Node:
    """A graph of the update function with its slots filled."""

    def place(x: Node) -> Node:
        if x.op is Op.SLOT:
            return slots[x.attr]
        if x.op is Op.CALL:
            return unroller.call(build.call(str(x.attr), *x.args), x.args)
        return x

    plain = unroller.instance(node, unroller.base)
    return rewrite([plain], place)[plain]


def _flat(items: Node) -> Iterator[Node]:
    for item in items.args:
        if item.op is Op.LIST:
            yield from _flat(item)
        else:
            yield item
