"""Functions of one variable (scalar graphs over SLOT ('z',)) as formulas, to be written out."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from nexort.limit.derive import arithmetic
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
            return arithmetic.number(graph.attr)
        case Op.PARAM | Op.SIZE:
            return Symbol(str(graph.attr), kind=graph.op.name.lower())
        case Op.CALL:
            return _call(str(graph.attr), [at(a, argument) for a in graph.args])
        case _:
            return at(graph.args[0], argument)


def graph_formula(graph: Node, slots: Mapping[str, Formula]) -> Formula:
    """A graph over slots at formulas, by the slots' names."""
    match graph.op:
        case Op.SLOT:
            return slots[str(graph.attr[0])]
        case Op.CALL:
            return _call(str(graph.attr), [graph_formula(a, slots) for a in graph.args])
        case _:
            return at(graph, arithmetic.number(0))


def _call(name: str, args: list[Formula]) -> Formula:
    match name, args:
        case "add", [x, y]:
            return arithmetic.add(x, y)
        case "sub", [x, y]:
            return arithmetic.add(x, arithmetic.neg(y))
        case "mul", [x, y]:
            return arithmetic.mul(x, y)
        case "div", [x, y]:
            return arithmetic.mul(x, arithmetic.power(y, arithmetic.MINUS_ONE))
        case "neg", [x]:
            return arithmetic.neg(x)
        case "pow", [x, y]:
            return arithmetic.power(x, y)
        case "square", [x]:
            return arithmetic.power(x, Number(Fraction(2)))
        case _:
            return Apply(name, tuple(args))


def pair_over_kets(formula: GaussianPair | GaussianMean) -> Formula:
    """``f(|z_a>) g(|z_b>)``: what a Gaussian expectation is the mean of."""
    if isinstance(formula, GaussianMean):
        return at(formula.function, formula.ket)
    return arithmetic.mul(at(formula.left, formula.left_ket), at(formula.right, formula.right_ket))
