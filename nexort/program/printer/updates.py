"""Update functions with memory as declarations."""

from __future__ import annotations

from collections.abc import Container

from nexort.program.declarations import UpdateRule
from nexort.program.nodes import Node, Op, walk
from nexort.program.printer.expressions import Expressions
from nexort.program.printer.trees import NOWHERE
from nexort.syntax import tree as t

VALUE = "the update"
"""The local name that an optimizer's value has."""


def update(rule: UpdateRule, write: Expressions, taken: Container[str]) -> t.Statement:
    """``update adam(g, eps=1e-8) { state m = 0; m = ...; return ... }``, or the optimizer."""
    local = {*(p for p, _ in rule.parameters), *(n for n, _ in rule.assigns), "t"}
    local |= {n for n, _ in rule.states}
    wanted = ("g", "x", *(f"x{k}" for k in range(len(local) + 1)))
    first = next(x for x in wanted if x not in local and x not in _read(rule))
    slots: dict[tuple[str, ...], str] = {("history",): first, ("step",): "t"}
    told = write.without(local, slots)
    parameters = [
        t.Parameter(p, None if default is None else write(default), NOWHERE)
        for p, default in rule.parameters
    ]
    body: list[t.Assign | t.Updated] = [t.Assign(n, told(x), True, NOWHERE) for n, x in rule.states]
    if any(n == VALUE for n, _ in rule.assigns):
        body += [
            t.Updated(told(x), NOWHERE) if n == VALUE else t.Assign(n, told(x), False, NOWHERE)
            for n, x in rule.assigns
        ]
        rate = t.Parameter("lr", None, NOWHERE)
        return t.Optimizer(rule.name, (rate, *parameters), tuple(body), NOWHERE)
    assigns = tuple(t.Assign(n, told(x), False, NOWHERE) for n, x in rule.assigns)
    history = t.Parameter(first, None, NOWHERE)
    states = tuple(x for x in body if isinstance(x, t.Assign))
    formals = (history, *parameters)
    return t.Update(rule.name, formals, (*states, *assigns), told(rule.result), NOWHERE)


def _read(rule: UpdateRule) -> set[str]:
    """The names of the file that an update function reads."""
    roots = [rule.result, *(x for _, x in (*rule.states, *rule.assigns))]
    named = (Op.PARAM, Op.SIZE, Op.DATA)
    return {_name(x) for x in walk(roots) if x.op in named or x.op is Op.REF}


def _name(x: Node) -> str:
    return str(x.attr[0] if x.op is Op.REF else x.attr)
