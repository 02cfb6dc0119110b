"""Update functions over their history: FOLD nodes as entrywise graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from nexort.program import build
from nexort.program.declarations import UpdateRule
from nexort.program.nodes import Node, Op

Slots = Mapping[tuple[str, ...], Node]


def fold_history(
    rule: UpdateRule,
    history: Sequence[Node],
    parameters: Sequence[Node],
    filled: Callable[[Node, Slots], Node],
) -> Node:
    """An update function at the last of its arguments, at least one: the states are carried from
    step to step. ``filled`` is a graph of the function with its slots filled."""
    slots: dict[tuple[str, ...], Node] = {}
    for (parameter, _), value in zip(rule.parameters, parameters, strict=True):
        slots["parameter", parameter] = value
    for state, start in rule.states:
        slots["state", state] = filled(start, slots)
    for number, value in enumerate(history):
        slots["history",] = value
        slots["step",] = build.constant(number)
        for state, expression in rule.assigns:
            slots["state", state] = filled(expression, slots)
    return filled(rule.result, slots)


def items_of(history: Node) -> Iterator[Node]:
    """The items of a list of lists, in order."""
    for item in history.args:
        if item.op is Op.LIST:
            yield from items_of(item)
        else:
            yield item
