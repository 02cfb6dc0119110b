"""Functions of one variable (scalar graphs over SLOT ('z',)) as formulas, to be written out."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from nexort.limit.derive import algebra
from nexort.limit.derive.formula import (
    Apply,
    Formula,
    GaussianMean,
    GaussianPair,
    Number,
    Symbol,
)
from nexort.program.nodes import Node, Op


def at(graph: Node, argument: Formula) -> Formula:
    """The function of a graph at a formula."""
    match graph.op:
        case Op.SLOT:
            return argument
        case Op.CONST:
            return algebra.number(graph.attr)
        case Op.PARAM | Op.SIZE:
            return Symbol(str(graph.attr), kind=graph.op.name.lower())
        case Op.CALL:
            return _call(str(graph.attr), [at(a, argument) for a in graph.args])
        case _:
            return at(graph.args[0], argument)


def filled(graph: Node, slots: Mapping[str, Formula]) -> Formula:
    """A graph over slots at formulas, by the slots' names."""
    match graph.op:
        case Op.SLOT:
            return slots[str(graph.attr[0])]
        case Op.CALL:
            return _call(str(graph.attr), [filled(a, slots) for a in graph.args])
        case _:
            return at(graph, algebra.number(0))


def _call(name: str, args: list[Formula]) -> Formula:
    match name, args:
        case "add", [x, y]:
            return algebra.add(x, y)
        case "sub", [x, y]:
            return algebra.add(x, algebra.neg(y))
        case "mul", [x, y]:
            return algebra.mul(x, y)
        case "div", [x, y]:
            return algebra.mul(x, algebra.power(y, algebra.MINUS_ONE))
        case "neg", [x]:
            return algebra.neg(x)
        case "pow", [x, y]:
            return algebra.power(x, y)
        case "square", [x]:
            return algebra.power(x, Number(Fraction(2)))
        case _:
            return Apply(name, tuple(args))


def over_kets(formula: GaussianPair | GaussianMean) -> Formula:
    """``f(|z_a>) g(|z_b>)``: what a Gaussian expectation is the mean of."""
    if isinstance(formula, GaussianMean):
        return at(formula.function, formula.ket)
    return algebra.mul(at(formula.left, formula.left_ket), at(formula.right, formula.right_ket))
