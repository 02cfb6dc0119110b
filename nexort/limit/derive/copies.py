"""Averages over an iid copy, of what is linear in products of kets on it (1.2).

E_1[(|x> c <y|^(1)) |z>^(1)] = |x> c <y|z>: what is on the copy becomes an expectation, the rest
stays. Update functions that are linear let averages through.
"""

from __future__ import annotations

from dataclasses import replace

from nexort.limit.derive.algebra import rebuilt, through
from nexort.limit.derive.arithmetic import mul
from nexort.limit.derive.formula import (
    AxisSum,
    CopyMean,
    Expectation,
    Fold,
    Formula,
    Ket,
    LoopSum,
    Product,
    Sum,
)
from nexort.limit.derive.walking import factors_of, kets_of


def copy_mean(body: Formula) -> Formula:
    """E over copy 1 of a body."""
    inside = None if isinstance(body, Fold) else through(body, copy_mean)
    if inside is not None:
        return inside
    factors = factors_of(body)
    mixed = next((k for k, f in enumerate(factors) if len(_sides(f)) > 1), None)
    if mixed is None:
        there = mul(*(f for f in factors if 1 in _sides(f)))
        here = mul(*(f for f in factors if 1 not in _sides(f)))
        return mul(here, Expectation(_at_home(there))) if kets_of(there) else body
    if not all(_separates(f) for f in factors):
        return CopyMean((1,), body)
    rest = mul(*factors[:mixed], *factors[mixed + 1 :])
    found = through(factors[mixed], lambda x: copy_mean(mul(x, rest)))
    return CopyMean((1,), body) if found is None else found


def _sides(formula: Formula) -> set[int]:
    """The copies that a formula is on, 0 for none."""
    return {k.copy for k in kets_of(formula)}


def _separates(formula: Formula) -> bool:
    """Whether a formula is a sum of products of what is on the copy and what is not."""
    if len(_sides(formula)) < 2:
        return True
    match formula:
        case Sum(parts) | Product(parts):
            return all(_separates(x) for x in parts)
        case AxisSum() | LoopSum():
            return _separates(formula.body)
        case Fold():
            return formula.linear and _separates(formula.body)
        case _:
            return False


def _at_home(formula: Formula) -> Formula:
    """A formula on no copy."""
    if isinstance(formula, Ket):
        return replace(formula, copy=0)
    return formula if isinstance(formula, Expectation) else rebuilt(formula, _at_home)
