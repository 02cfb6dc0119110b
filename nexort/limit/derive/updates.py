"""Update functions with memory as formulas: what a step does to their states (Def 2.9.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nexort.limit.derive.algebra import BoundNames, Env, rebuilt, reindex
from nexort.limit.derive.arithmetic import HALF, power
from nexort.limit.derive.derivation import HISTORY, UpdateFunction, UpdateState
from nexort.limit.derive.formula import Fold, Formula, IndexNumber, Indices, Symbol
from nexort.limit.derive.indexing import Indexer, never
from nexort.program.declarations import UpdateRule
from nexort.program.index import Affine
from nexort.program.linearity import Linearity, linearity
from nexort.program.network import STEP
from nexort.program.nodes import Node, Op, walk
from nexort.program.program import Program

HERE = Affine.variable(STEP)
"""The step of an update function, which is printed for its own."""


@dataclass
class UpdateFunctions:
    """The update functions that a derivation uses; each has one name for its hyperparameters."""

    program: Program
    names: BoundNames
    functions: dict[tuple[object, ...], UpdateFunction] = field(default_factory=dict)

    def of(self, rule: UpdateRule, parameters: Mapping[str, Formula]) -> UpdateFunction:
        """The function of a rule at formulas of its hyperparameters."""
        key = (rule.name, *sorted(parameters.items(), key=lambda x: x[0]))
        if key not in self.functions:
            same = sum(k[0] == rule.name for k in self.functions)
            name = rule.name + (str(same) if same else "")
            self.functions[key] = _written(name, rule, parameters, self)
        return self.functions[key]


def over_history(function: UpdateFunction, var: str, last: Affine, body: Formula) -> Formula:
    """Q over the history of ``body``, ``var`` = 0..``last``; what has no states is written in."""
    if function.states:
        return Fold(function.name, var, last, body, function.linear)
    argument = reindex(body, {var: last})
    result = reindex(function.result, {STEP: last})
    return _substituted(result, Symbol(HISTORY, (), (last,)), argument)


def _written(
    name: str, rule: UpdateRule, parameters: Mapping[str, Formula], owner: UpdateFunctions
) -> UpdateFunction:
    """The states of a step over those of the step before. What is assigned twice, and without
    states everything, is written in."""
    starts: dict[str, Formula] = {}
    for state, node in rule.states:
        starts[state] = _formula(node, starts, parameters, owner)
    last = {state: k for k, (state, _) in enumerate(rule.assigns)}
    values: dict[str, Formula] = {
        state: Symbol(state, (), (HERE - Affine(1),), "state") if state in last else start
        for state, start in starts.items()
    }
    memory = any(state in last for state in starts)
    states: list[UpdateState] = []
    for k, (state, node) in enumerate(rule.assigns):
        value = _formula(node, values, parameters, owner)
        if memory and last[state] == k:
            states.append(UpdateState(state, value, starts.get(state)))
            value = Symbol(state, (), (HERE,), "state")
        values[state] = value
    result = _formula(rule.result, values, parameters, owner)
    return UpdateFunction(name, tuple(states), result, is_update_linear(rule))


def _formula(
    root: Node,
    states: Mapping[str, Formula],
    parameters: Mapping[str, Formula],
    owner: UpdateFunctions,
) -> Formula:
    """A graph of an update function over its arguments, states and the step ``t``."""
    slots: dict[tuple[str, ...], Formula] = {("parameter", p): v for p, v in parameters.items()}
    slots |= {("state", s): v for s, v in states.items()}
    slots["history",] = Symbol(HISTORY, (), (HERE,), "state")
    slots["step",] = IndexNumber(HERE)
    return _Slots(owner, slots).formula(root, (), {})


class _Slots(Indexer):
    """Formulas of graphs with slots."""

    def __init__(self, owner: UpdateFunctions, slots: Mapping[tuple[str, ...], Formula]) -> None:
        super().__init__(owner.program, owner.names, never)
        self.slots = slots

    def _leaf(self, node: Node, labels: Indices, env: Env) -> Formula:
        if node.op is Op.SLOT:
            return self.slots[node.attr]
        return super()._leaf(node, labels, env)

    def _call(self, node: Node, labels: Indices, env: Env) -> Formula:
        match node.attr, node.args:
            case "add", (Node(op=Op.SLOT, attr=("step",)), Node(op=Op.CONST, attr=int(more))):
                return IndexNumber(HERE + Affine(more))
            case "sqrt", (inner,):
                return power(self.formula(inner, labels, env), HALF)
            case _:
                return super()._call(node, labels, env)


def _substituted(formula: Formula, old: Symbol, new: Formula) -> Formula:
    """The result of an update function at an argument."""
    if isinstance(formula, Symbol) and formula.name == old.name and formula.kind == "state":
        return new
    return rebuilt(formula, lambda f: _substituted(f, old, new))


# ---- linear functions ----------------------------------------------------------------------------


def is_update_linear(rule: UpdateRule) -> bool:
    """Whether an update function is linear in its arguments: then it moves out of expectations."""
    values: dict[str, int | None] = {s: 1 for s, _ in rule.states}
    if any(not (n.op is Op.CONST and n.attr == 0) for _, n in rule.states):
        return False
    moving = {s for s, _ in rule.assigns}
    for state, node in rule.assigns:
        values[state] = _degree(node, values, moving)
    result = _degree(rule.result, values, moving)
    return result == 1 and all(values[s] == 1 for s in moving)


def _degree(root: Node, values: Mapping[str, int | None], moving: set[str]) -> int | None:
    """1 where linear, 0 where a number, None otherwise."""
    degree: dict[Node, int | None] = {}
    for x in walk([root]):
        inner = [degree[a] for a in x.args]
        if x.op is Op.SLOT:
            state = x.attr[0] == "state" and x.attr[1] in moving
            degree[x] = values[x.attr[1]] if state else int(x.attr[0] == "history")
        elif all(d == 0 for d in inner):
            degree[x] = 0
        elif x.op is not Op.CALL:
            degree[x] = None
        else:
            degree[x] = 1 if _is_of_degree_one(x, inner) else None
    return degree[root]


def _is_of_degree_one(x: Node, inner: list[int | None]) -> bool:
    """Whether a function of arguments of these degrees is linear."""
    match linearity(x):
        case Linearity.SUM:
            return set(inner) == {1}
        case Linearity.PRODUCT:
            return inner in ([0, 1], [1, 0])
        case Linearity.QUOTIENT:
            return inner == [1, 0]
        case None:
            return False
