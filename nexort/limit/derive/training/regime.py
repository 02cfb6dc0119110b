"""Which limit a training has, told for families of weights: no numbers of members are needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from nexort.limit.derive.formula import Indices
from nexort.limit.derive.training.updates import line_of
from nexort.limit.derive.unsupported import Unsupported
from nexort.program import build
from nexort.program.network import Exponents, OptimizerUse, Training
from nexort.program.nodes import Node, Op, rewrite, walk
from nexort.program.numbers import evaluate
from nexort.program.parametrization import readouts

if TYPE_CHECKING:
    from nexort.training.task import Weight

Number = int | float


Member = tuple[str, Indices]
"""A weight by name and indices; a variable stands for all members that are not singled out."""


@dataclass(frozen=True, slots=True)
class Regime:
    """The limit, the weights that move in it, whether f_0 vanishes, and the readouts whose initial
    values do."""

    name: Literal["maximal", "tangent"]
    active: frozenset[Member]
    vanishes: bool
    vanishing: frozenset[str]


def regime(
    training: Training, uses: Mapping[Member, OptimizerUse], numbers: Mapping[str, Number]
) -> Regime:
    """The limit of a training whose weights have these optimizers. Raises NexortError for a
    parametrization without one, Unsupported where it is not told without numbers."""
    from nexort.parametrization.verdict import by_theorem

    table = training.parametrization
    heads = readouts(training.network)
    vanishing = frozenset(
        name
        for name, indices in uses
        if name in heads and table.out + _size(exponents(training, name, indices)) > 1
    )
    try:
        weights: dict[tuple[str, tuple[int, ...]], Weight] = {
            _key(m, numbers): _weight(m, training, use, numbers) for m, use in uses.items()
        }
    except _Unknown as problem:
        if table.name not in ("mup", "ntp"):
            raise Unsupported(f"the limit depends on {problem}, which is not known") from None
        name: Literal["maximal", "tangent"] = "maximal" if table.name == "mup" else "tangent"
        return Regime(name, frozenset(uses), False, frozenset())
    found = by_theorem(training, weights)
    active = frozenset(m for m in uses if found.active[_key(m, numbers)])
    return Regime(found.regime, active, found.vanishes, vanishing)


def _size(e: Exponents) -> Fraction:
    return e.a + e.b


def exponents(training: Training, name: str, indices: Indices) -> Exponents:
    """The exponents of a member."""
    found = training.parametrization.of(name, lambda at, _: at == indices)
    if found is None:
        raise Unsupported(f"exponents for members of '{name}' that are not given")
    return found


def _key(member: Member, numbers: Mapping[str, Number]) -> tuple[str, tuple[int, ...]]:
    """A member as the evaluators have it: without indices for what is not singled out."""
    name, indices = member
    known = {k: v for k, v in numbers.items() if isinstance(v, int)}
    try:
        return name, tuple(i.value(known) for i in indices)
    except KeyError:
        return name, ()


class _Unknown(Exception):
    """A number that is not given."""


def _weight(
    member: Member, training: Training, use: OptimizerUse, numbers: Mapping[str, Number]
) -> Weight:
    import numpy as np

    from nexort.training import task
    from nexort.training.hyperparameters import check_hyperparameters
    from nexort.training.rules import rule_at
    from nexort.training.update import Update

    rule = use.rule
    roots = [n for _, n in (*rule.states, *rule.assigns)]
    for x in walk([*roots, rule.result]):
        if x.op not in (Op.CALL, Op.CONST, Op.SLOT, Op.PARAM, Op.SIZE):
            raise _Unknown(f"the update function '{rule.name}'")

    def graph(root: Node) -> Node:
        def place(x: Node) -> Node:
            if x.op in (Op.PARAM, Op.SIZE):
                if str(x.attr) not in numbers:
                    raise _Unknown(str(x.attr))
                return build.constant(numbers[str(x.attr)])
            return x

        return rewrite([root], place)[root]

    values: dict[str, float] = {}
    for parameter, node in use.arguments.items():
        value = evaluate(node, numbers)
        if value is None:
            raise _Unknown(f"'{parameter}' of '{use.rule.name}'")
        values[parameter] = float(value)
    check_hyperparameters(use, values, np.zeros(1))
    norm = line_of(training.normalizations, *member)
    found = task.Weight(
        key=_key(member, numbers),
        kind=training.network.weights[member[0]].kind,
        shape=(),
        mean=0.0,
        scale=1.0,
        exponents=exponents(training, *member),
        update=Update(rule_at(use.rule, graph, {}), values),
        rates=np.zeros(1),
        decay=np.zeros(1),
        norm=None if norm is None else task.Norm(norm.kind),
    )
    if norm is None or training.parametrization.name == "explicit":
        return found
    # a parametrization by name is meant for updates of size 1 (Def 2.10.4, 2.10.5)
    e = found.exponents
    return replace(found, exponents=replace(e, c=e.c - found.shift))
