"""One step of a network as lines: its rules, parts of rules with names, and its output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from nexort.limit.derive.algebra import HALF, Names, power
from nexort.limit.derive.formula import ONE, Formula
from nexort.limit.derive.indexing import Indexer
from nexort.limit.derive.lines import Line, System
from nexort.limit.derive.normal import normalized
from nexort.limit.derive.unsupported import Unsupported
from nexort.program.network import Network, WeightFamily
from nexort.program.nodes import Node, Op, rewrite
from nexort.program.program import Block, Family, OutputRule, Program, Rule
from nexort.transform.simplify import simplify


@dataclass(frozen=True)
class Forward:
    """The lines of a network's step; ``output`` is f = <1|x>, a line of numbers."""

    network: Network
    system: System
    output: Line
    names: Names

    @property
    def weights(self) -> Mapping[str, WeightFamily]:
        """The trained parameters."""
        return self.network.weights

    def lines(self) -> list[Line]:
        """Every line, those of kets first."""
        found = [x for lines in self.system.kets.values() for x in lines]
        return found + [x for lines in self.system.scalars.values() for x in lines]

    def taken(self) -> set[str]:
        """Names of families and initial objects."""
        system = self.system
        return {*system.axes, *system.kets, *system.scalars, *self.network.initial}


def forward(program: Program, names: Names) -> Forward:
    """The lines of a program's network. Raises NexortError where a rule has no symbolic form."""
    assert program.training is not None
    network = program.training.network
    alone = _alone(program, network)
    system = normalized(alone, names)
    scales = {name: deviation(w) for name, w in network.weights.items()}
    for name, lines in system.kets.items():
        system.kets[name] = [
            replace(x, scale=scales[x.matrix.name])
            if x.matrix is not None and x.matrix.name in scales
            else x
            for x in lines
        ]
    [output] = system.scalars[network.name]
    return Forward(network, system, output, names)


def deviation(weight: WeightFamily) -> Formula:
    """The root of a weight's variance."""
    return power(number(weight.variance), HALF)


def number(node: Node) -> Formula:
    """A scalar graph over params and numbers."""
    if node.op is Op.CONST and node.attr == 1:
        return ONE

    def never(*_: object) -> Formula:
        raise Unsupported("a number has no operators")

    # no program is asked: such graphs have no members of families
    return Indexer(None, Names(), never).formula(node, (), {})  # type: ignore[arg-type]


def _alone(program: Program, network: Network) -> Program:
    """The network as a program of one step; its output is a number of its name."""
    name = network.name
    family = Family(name, 0, network.output.type, network.output_span)
    rule = Rule(name, (), network.output, network.output_span, network.output_refs)
    output = OutputRule(name, None, name, network.axes, network.output_span, ())
    alone = replace(
        program,
        initial={**program.initial, **network.initial},
        families={**network.families, name: family},
        body=(*network.body, rule),
        outputs=(output,),
        training=None,
    )
    alone = simplify(alone)
    return replace(alone, body=_moving(alone.body, network))


def _moving(items: tuple[Rule | Block, ...], network: Network) -> tuple[Rule | Block, ...]:
    """Rules in which scalar weights are members of families: they have values to be told."""

    def place(x: Node) -> Node:
        if x.op is Op.INIT_SCALAR and x.attr[0] in network.weights:
            return Node(Op.REF, (), x.attr, x.type)
        return x

    return tuple(
        replace(x, value=rewrite([x.value], place)[x.value])
        if isinstance(x, Rule)
        else replace(x, body=_moving(x.body, network))
        for x in items
    )
