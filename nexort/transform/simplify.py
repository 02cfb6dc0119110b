"""Program to program: rules that no output needs are dropped; independent copies factor.

Common subexpressions are shared by construction (nodes are interned).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from nexort.program import build
from nexort.program.declarations import Block, Rule
from nexort.program.nodes import Node, Op, rewrite, walk
from nexort.program.program import Program
from nexort.program.types import Kind


def simplify(program: Program) -> Program:
    """Apply every simplification; meaning and outputs stay the same."""
    return factor_copies(drop_dead_rules(program))


# ---- dead rules ----------------------------------------------------------------------------------


def drop_dead_rules(program: Program) -> Program:
    """Keep the rules of families that an output reaches. A program without output stays whole."""
    if not program.outputs:
        return program
    uses: dict[str, set[str]] = {}
    for _, rule in program.rules():
        uses.setdefault(rule.name, set()).update(_families(program, rule.value))
    live: set[str] = set()
    stack = [o.family for o in program.outputs if o.family is not None]
    for output in program.outputs:
        if output.value is not None:
            stack.extend(_families(program, output.value))
    while stack:
        name = stack.pop()
        if name not in live:
            live.add(name)
            stack.extend(uses.get(name, ()))
    families = {n: f for n, f in program.families.items() if n in live}
    return replace(program, families=families, body=_kept(program.body, live))


def _families(program: Program, value: Node) -> set[str]:
    """The families that a value reads, itself or in an update function."""
    nodes = walk([value])
    for name in {x.attr[0] for x in nodes if x.op is Op.FOLD}:
        rule = program.updates[name]
        nodes += walk([*dict(rule.states).values(), *(x for _, x in rule.assigns), rule.result])
    return {x.attr[0] for x in nodes if x.op is Op.REF}


def _kept(items: tuple[Rule | Block, ...], live: set[str]) -> tuple[Rule | Block, ...]:
    kept: list[Rule | Block] = []
    for item in items:
        if isinstance(item, Rule):
            if item.name in live:
                kept.append(item)
            continue
        body = _kept(item.body, live)
        if body:
            kept.append(item if body == item.body else replace(item, body=body))
    return tuple(kept)


# ---- independent copies --------------------------------------------------------------------------


def factor_copies(program: Program) -> Program:
    """Replace every expectation over copies by products of smaller ones where it factors."""

    def visit(items: tuple[Rule | Block, ...]) -> tuple[Rule | Block, ...]:
        return tuple(
            replace(item, value=_factored(item.value))
            if isinstance(item, Rule)
            else replace(item, body=visit(item.body))
            for item in items
        )

    return replace(program, body=visit(program.body))


def _factored(value: Node) -> Node:
    if not any(x.op is Op.MEAN for x in walk([value])):
        return value
    done = rewrite([value], _factor_mean)
    return build.spread(done[value], value.type)


def _factor_mean(node: Node) -> Node:
    """E{S}[f g] = E{A}[f] E{B}[g] where f and g share no copy; what is on no copy of S moves out.

    Copies are independent, and the expectation is linear over what they do not touch.
    """
    if node.op is not Op.MEAN:
        return node
    averaged = frozenset(node.attr)
    groups: list[tuple[frozenset[int], Node]] = []
    factors = _factors(node.args[0])
    if len(factors) > MOST_FACTORS:
        return node
    for factor in factors:
        touched = factor.type.copies & averaged
        joined = factor
        apart = []
        for copies, product in groups:
            if copies & touched or (not copies and not touched):
                touched, joined = touched | copies, build.call("mul", product, joined)
            else:
                apart.append((copies, product))
        groups = [*apart, (touched, joined)]
    if len(groups) == 1:
        return node
    parts = [_renumbered(copies, body) if copies else body for copies, body in groups]
    result = parts[0]
    for part in parts[1:]:
        result = build.call("mul", result, part)
    return build.spread(result, node.type)


MOST_FACTORS = 256
"""Longer products, such as nested squares, stay as they are."""


def _factors(body: Node) -> list[Node]:
    """The factors of a product, from left to right; no further than a little over the most."""
    found: list[Node] = []
    stack = [body]
    while stack and len(found) <= MOST_FACTORS:
        node = stack.pop()
        if node.op is Op.CALL and node.attr == "mul":
            stack.extend(reversed(node.args))
        else:
            found.append(node)
    return found


def _renumbered(copies: frozenset[int], body: Node) -> Node:
    """E over the copies of a group, numbered from 1, so that equal expectations are shared."""
    number: Mapping[int, int] = {old: k + 1 for k, old in enumerate(sorted(copies))}
    if body.op is Op.COPY:
        return build.average(body.args[0])

    def place(node: Node) -> Node:
        if node.op is Op.COPY:
            assert isinstance(node.attr, int)
            return build.copy(node.args[0], number[node.attr])
        if node.type.kind is Kind.KET and node.type.open:
            return _retyped(node, number)
        return node

    renamed = rewrite([body], place)[body]
    return build.mean(tuple(number.values()), renamed)


def _retyped(node: Node, number: Mapping[int, int]) -> Node:
    copies = frozenset(number.get(k, k) for k in node.type.copies)
    if copies == node.type.copies:
        return node
    return Node(node.op, node.args, node.attr, replace(node.type, copies=copies))
