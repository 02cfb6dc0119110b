"""Formulas read: what is inside of one, and whether it is random."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any

from nexort.limit.derive.formula import (
    Apply,
    AxisSum,
    CopyMean,
    Expectation,
    Fold,
    Formula,
    GaussianMean,
    GaussianPair,
    Ket,
    LoopSum,
    Power,
    Product,
    Sum,
)
from nexort.program.index import Affine
from nexort.program.nodes import Node


def parts(formula: Formula) -> Iterator[Formula]:
    """The formulas directly inside a formula (kets of brackets are not: they are names)."""
    match formula:
        case Sum(terms):
            yield from terms
        case Product(factors):
            yield from factors
        case Power(base, exponent):
            yield base
            yield exponent
        case Apply(_, args):
            yield from args
        case LoopSum() | AxisSum() | Fold() | CopyMean() | Expectation():
            yield formula.body
        case GaussianPair():
            yield from (formula.left_variance, formula.covariance, formula.right_variance)
        case GaussianMean():
            yield formula.variance
        case _:
            return


def walk_formula(formula: Formula) -> Iterator[Formula]:
    """A formula and everything inside."""
    stack = [formula]
    while stack:
        found = stack.pop()
        yield found
        stack.extend(parts(found))


@lru_cache(65536)
def is_random(formula: Formula) -> bool:
    """Whether a formula is a random variable: it contains a ket outside of expectations."""
    match formula:
        case Ket():
            return True
        case Expectation() | GaussianPair() | GaussianMean():
            return False
        case _:
            return any(is_random(p) for p in parts(formula))


def kets_of(formula: Formula) -> list[Ket]:
    """The kets that a random formula is a function of, in order of appearance."""
    found: dict[Ket, None] = {}

    def visit(item: Formula) -> None:
        if isinstance(item, Ket):
            found[item] = None
        elif not isinstance(item, Expectation | GaussianPair | GaussianMean):
            for part in parts(item):
                visit(part)

    visit(formula)
    return list(found)


def terms_of(formula: Formula) -> Iterable[Formula]:
    """The terms of a sum; a single one otherwise."""
    return formula.terms if isinstance(formula, Sum) else (formula,)


def factors_of(formula: Formula) -> tuple[Formula, ...]:
    """The factors of a product; a single one otherwise."""
    return formula.factors if isinstance(formula, Product) else (formula,)


def names_in(value: Any) -> frozenset[str]:
    """Every name of a ket, number, matrix, axis or function in a derivation or a part of it."""
    found: set[str] = set()
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, tuple):
            stack.extend(item)
        elif isinstance(item, Node):
            stack.extend(item.args)
            found |= {item.attr} if isinstance(item.attr, str) else set()
        elif is_dataclass(item) and not isinstance(item, Affine):
            for field in fields(item):
                part = getattr(item, field.name)
                if field.name in ("name", "function", "axis") and isinstance(part, str):
                    found.add(part)
                else:
                    stack.append(part)
    return frozenset(found)
