"""What moves a weight: its update function, learning rate and decay, as formulas over the step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nexort.limit.derive.algebra import (
    Names,
    add,
    mul,
    neg,
    reindexed,
)
from nexort.limit.derive.derivation import UpdateFunction
from nexort.limit.derive.formula import ONE, Formula, Indices
from nexort.limit.derive.indexing import Indexer, never
from nexort.limit.derive.updates import HERE, UpdateFunctions, over_history
from nexort.program.index import Affine
from nexort.program.network import (
    STEP_VARIABLE,
    Line,
    Normalization,
    OptimizerUse,
    Training,
    last_of,
)
from nexort.program.nodes import Node, Op, walk
from nexort.program.program import Program, UpdateRule


@dataclass(frozen=True, slots=True)
class Move:
    """How a weight moves: w <- (1 - decay) w - rate Q(g_0, ..., g_t), each a formula over the step
    ``t``. ``memory`` says whether Q has states; without, ``function.result`` is all of it."""

    function: UpdateFunction
    memory: bool
    linear: bool
    rate: Formula
    keep: Formula
    norm: Normalization | None = None
    """What Q is divided by."""

    def applied(self, var: str, last: Affine, body: Formula) -> Formula:
        """Q over the history of ``body`` for ``var`` = 0..``last``."""
        return over_history(self.function, var, last, body)


@dataclass
class Moves:
    """The moves of a training's weights; every update function has one name."""

    program: Program
    training: Training
    names: Names

    def __post_init__(self) -> None:
        self.written = UpdateFunctions(self.program, self.names)

    @property
    def functions(self) -> Mapping[tuple[object, ...], UpdateFunction]:
        """The update functions so far."""
        return self.written.functions

    def of(self, weight: str, indices: Indices) -> Move:
        """The move of a member of a family of weights, or of all that no line singles out."""
        use = optimizer(self.training, weight, indices)
        decay = line_of(self.training.decays, weight, indices)
        rate = self.number(use.rate)
        keep: Formula = ONE
        if use.weight_decay is not None:
            keep = mul(keep, add(ONE, neg(mul(rate, self.number(use.weight_decay)))))
        if decay is not None:
            keep = mul(keep, add(ONE, neg(self.number(decay.rate))))
        function = self._function(use)
        memory = bool(function.states)
        norm = line_of(self.training.normalizations, weight, indices)
        return Move(function, memory, is_linear(use.rule), rate, keep, norm)

    def number(self, node: Node) -> Formula:
        """A graph over numbers, params, data and the step, as a formula over ``t``."""
        return Indexer(self.program, self.names, never).formula(node, (), {})

    def _function(self, use: OptimizerUse) -> UpdateFunction:
        parameters = {
            p: reindexed(self.number(node), {STEP_VARIABLE: HERE})
            for p, node in use.arguments.items()
        }
        return self.written.of(use.rule, parameters)


def optimizer(training: Training, weight: str, indices: Indices) -> OptimizerUse:
    """The line that moves a weight."""
    found = line_of(training.optimizers, weight, indices)
    assert found is not None
    return found


def line_of(lines: Iterable[Line], weight: str, indices: Indices) -> Line | None:
    """The line that speaks of a weight."""
    return last_of(lines, weight, lambda at, _: at == indices)


def singled_out(training: Training) -> dict[str, list[Indices]]:
    """Members of families of weights that a line of the training speaks of."""
    found: dict[str, list[Indices]] = {}
    sets = [use.weights for use in training.optimizers]
    sets += [use.weights for use in training.decays]
    sets += [use.weights for use in training.normalizations]
    for some in sets:
        for w in some or ():
            if w.indices:
                found.setdefault(w.name, []).append(w.indices)
    for member in training.parametrization.members:
        found.setdefault(member.name, []).append(member.indices)
    return {name: list(dict.fromkeys(at)) for name, at in found.items()}


def is_linear(rule: UpdateRule) -> bool:
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
            degree[x] = 1 if _keeps_degree(str(x.attr), inner) else None
    return degree[root]


def _keeps_degree(name: str, inner: list[int | None]) -> bool:
    """Whether a function of arguments of these degrees is linear."""
    match name:
        case "add" | "sub" | "neg":
            return set(inner) == {1}
        case "mul":
            return inner in ([0, 1], [1, 0])
        case "div":
            return inner == [1, 0]
        case _:
            return False
