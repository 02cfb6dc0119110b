"""Formulas over kets: expectations of products of two kets as bra-kets, others as they are."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import partial

from nexort.limit.derive.algebra import rebuilt, through
from nexort.limit.derive.arithmetic import mul
from nexort.limit.derive.brackets import canonical_bracket
from nexort.limit.derive.formula import (
    Average,
    CopyMean,
    Expectation,
    Formula,
    Ket,
    Number,
    Power,
    Product,
)
from nexort.limit.derive.walking import factors_of, is_random, walk_formula


def settle_expectations(formula: Formula) -> Formula:
    """A formula whose expectations are bra-kets and averages where they are of one product of two
    kets, or of one; numbers move out."""
    match formula:
        case Expectation(body):
            return linear_mean(body)
        case _:
            return rebuilt(formula, settle_expectations)


def linear_mean(body: Formula) -> Formula:
    """E[body] by linearity: <x|y>, <1|x>, or explicit."""
    if not is_random(body):
        return settle_expectations(body)
    if isinstance(body, CopyMean):
        return Expectation(settle_expectations(body.body))
    inside = through(body, linear_mean)
    if inside is not None:
        return inside
    factors = factors_of(body)
    known = [settle_expectations(f) for f in factors if not is_random(f)]
    random = [f for f in factors if is_random(f)]
    if known or (len(random) == 1 and isinstance(random[0], Product)):
        return mul(*known, linear_mean(mul(*random)))
    return _product(random)


def _product(factors: list[Formula]) -> Formula:
    """The mean of a product of random factors."""
    whole = Expectation(settle_expectations(mul(*factors)))
    for k, factor in enumerate(factors):
        rest = factors[:k] + factors[k + 1 :]
        found = through(factor, partial(_mean_times, rest)) if rest else None
        if found is not None:
            explicit = any(isinstance(x, Expectation) for x in walk_formula(found))
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


def _mean_times(rest: list[Formula], factor: Formula) -> Formula:
    return linear_mean(mul(factor, *rest))
