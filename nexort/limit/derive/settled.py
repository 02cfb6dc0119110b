"""Formulas over kets: expectations of products of two kets as bra-kets, others as they are."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from nexort.limit.derive.algebra import axis_sum, loop_sum, rebuilt
from nexort.limit.derive.arithmetic import add, mul
from nexort.limit.derive.brackets import canonical_bracket
from nexort.limit.derive.formula import (
    Average,
    AxisSum,
    CopyMean,
    Expectation,
    Fold,
    Formula,
    Ket,
    LoopSum,
    Number,
    Power,
    Product,
    Sum,
)
from nexort.limit.derive.walking import factors_of, is_random, walk


def settled(formula: Formula) -> Formula:
    """A formula whose expectations are bra-kets and averages where they are of one product of two
    kets, or of one; numbers move out."""
    match formula:
        case Expectation(body):
            return mean(body)
        case _:
            return rebuilt(formula, settled)


def mean(body: Formula) -> Formula:
    """E[body] by linearity: <x|y>, <1|x>, or explicit."""
    if not is_random(body):
        return settled(body)
    match body:
        case Sum(terms):
            return add(*(mean(t) for t in terms))
        case AxisSum(label, axis, inner):
            return axis_sum(label, axis, mean(inner))
        case LoopSum(var, first, last, inner):
            return loop_sum(var, first, last, mean(inner))
        case Fold(linear=True):
            return replace(body, body=mean(body.body))
        case CopyMean(_, inner):
            return Expectation(settled(inner))
        case _:
            factors = factors_of(body)
            known = [settled(f) for f in factors if not is_random(f)]
            random = [f for f in factors if is_random(f)]
            if known or (len(random) == 1 and isinstance(random[0], Product)):
                return mul(*known, mean(mul(*random)))
            return _product(random)


def _product(factors: list[Formula]) -> Formula:
    """The mean of a product of random factors."""
    whole = Expectation(settled(mul(*factors)))
    for k, factor in enumerate(factors):
        sums = isinstance(factor, Sum | AxisSum | LoopSum)
        if (sums or (isinstance(factor, Fold) and factor.linear)) and len(factors) > 1:
            rest = factors[:k] + factors[k + 1 :]
            found = _distributed(factor, rest)
            explicit = any(isinstance(x, Expectation) for x in walk(found))
            return whole if explicit else found
    kets: list[Ket] = []
    for f in factors:
        match f:
            case Ket():
                kets.append(f)
            case Power(Ket() as ket, Number(Fraction(numerator=2, denominator=1))):
                kets += [ket, ket]
            case _:
                return whole
    match kets:
        case [ket] if len(factors) == 1:
            return Average(replace(ket, copy=0))
        case [left, right] if left.copy == right.copy:
            return canonical_bracket(replace(left, copy=0), replace(right, copy=0))
        case _:
            return whole


def _distributed(factor: Formula, rest: list[Formula]) -> Formula:
    """The mean of a sum times other factors, whose bound names are their own."""
    match factor:
        case Sum(terms):
            return add(*(mean(mul(t, *rest)) for t in terms))
        case AxisSum(label, axis, body):
            return axis_sum(label, axis, mean(mul(body, *rest)))
        case LoopSum(var, first, last, body):
            return loop_sum(var, first, last, mean(mul(body, *rest)))
        case Fold():
            return replace(factor, body=mean(mul(factor.body, *rest)))
        case _:
            raise AssertionError(factor)
