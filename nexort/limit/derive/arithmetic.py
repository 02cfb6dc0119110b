"""Sums, products and powers in a normal form: sums and products are flat, numbers come first, equal
terms are collected and equal bases joined.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import isqrt, log

from nexort.limit.derive.formula import (
    ONE,
    ZERO,
    Delta,
    Formula,
    Number,
    Power,
    Product,
    Sum,
)
from nexort.limit.derive.walking import factors_of, is_random

Exact = Fraction | float


def number(value: float) -> Number:
    """A literal; integers are exact."""
    return Number(Fraction(value) if isinstance(value, int) else value)


HALF = Number(Fraction(1, 2))
MINUS_ONE = Number(Fraction(-1))


def factor_order(formula: Formula) -> tuple[int, str]:
    """A canonical order of factors: numbers, symbols, known numbers, sums, random variables."""
    rank = _RANKS.index(type(formula).__name__) + (20 if is_random(formula) else 0)
    return rank, _text(formula)


_RANKS = (
    "Number", "Symbol", "IndexNumber", "Delta", "Power", "Average", "Response", "GaussianMean",
    "GaussianPair", "Bracket", "Sum", "Product", "Apply", "Fold", "Expectation", "AxisSum",
    "LoopSum", "CopyMean", "Ket", "Operator", "Outer",
)  # fmt: skip


@lru_cache(65536)
def _text(formula: Formula) -> str:
    return repr(formula)


def _coefficient(term: Formula) -> tuple[Exact, Formula]:
    match term:
        case Number(value):
            return value, ONE
        case Product((Number(value), *rest)):
            return value, rest[0] if len(rest) == 1 else Product(tuple(rest))
        case _:
            return Fraction(1), term


def add(*terms: Formula) -> Formula:
    """The sum of terms; equal ones are collected."""
    found: dict[Formula, Exact] = {}
    stack = list(reversed(terms))
    while stack:
        term = stack.pop()
        if isinstance(term, Sum):
            stack.extend(reversed(term.terms))
            continue
        coefficient, rest = _coefficient(term)
        found[rest] = found.get(rest, Fraction(0)) + coefficient
    kept = [mul(Number(c), rest) for rest, c in found.items() if c != 0]
    if not kept:
        return ZERO
    return kept[0] if len(kept) == 1 else Sum(tuple(kept))


def mul(*factors: Formula) -> Formula:
    """The product of factors; powers of equal bases are joined where both bases are nonzero or the
    exponents positive."""
    coefficient: Exact = Fraction(1)
    found: dict[Formula, Formula] = {}
    stack = list(reversed(factors))
    while stack:
        factor = stack.pop()
        match factor:
            case Product(inner):
                stack.extend(reversed(inner))
            case Number(value):
                before, coefficient = coefficient, coefficient * value
                if coefficient == 0 and before and value:
                    raise OverflowError(f"{before} * {value} is 0 in floating point")
            case Power(base, Number() as exponent):
                found[base] = add(found.get(base, ZERO), exponent)
            case _:
                found[factor] = add(found.get(factor, ZERO), ONE)
    if coefficient == 0:
        return ZERO
    powers: list[Formula] = []
    for base, total in found.items():
        joined = power(base, total)
        if isinstance(joined, Number):
            coefficient = coefficient * joined.value
        else:
            powers.extend(factors_of(joined))
    if any(isinstance(p, Number) for p in powers):
        return mul(Number(coefficient), *powers)
    powers.sort(key=factor_order)
    if not powers:
        return Number(coefficient)
    if coefficient != 1:
        if len(powers) == 1 and isinstance(powers[0], Sum):
            return Sum(tuple(mul(Number(coefficient), t) for t in powers[0].terms))
        return Product((Number(coefficient), *powers))
    return powers[0] if len(powers) == 1 else Product(tuple(powers))


def power(base: Formula, exponent: Formula) -> Formula:
    """``base ^ exponent``. (x^p)^q is x^(pq) for integers q only; roots of squares stay."""
    match base, exponent:
        case _, Number(value) if value == 0:
            return ONE
        case _, Number(value) if value == 1:
            return base
        case Number(b), Number(e) if b == 0 and e > 0:
            return ZERO
        case Delta(), Number(value) if value > 0:
            return base
        case Number(b), Number(e) if isinstance(b, Fraction) and isinstance(e, Fraction):
            root = _exact_power(b, e)
            return Power(base, exponent) if root is None else Number(root)
        case Number(), Number(e) if abs(e) == HALF.value:
            return Power(base, exponent)  # its square is exact
        case Number(b), Number(e) if b > 0 and abs(float(e) * log(b)) < LARGEST:
            return Number(float(b) ** float(e))
        case Power(inner, Number(p)), Number(q) if isinstance(q, Fraction) and q.denominator == 1:
            return power(inner, Number(p * q))
        case Product(factors), Number(q) if isinstance(q, Fraction) and q.denominator == 1:
            return mul(*(power(f, exponent) for f in factors))
        case _:
            return Power(base, exponent)


LARGEST = 690.0
"""The logarithm of numbers beyond which a power stays as it is written."""

LONGEST = 20_000
"""Bits of the numerator or denominator of an exact power."""


def _exact_power(base: Fraction, exponent: Fraction) -> Fraction | None:
    bits = base.numerator.bit_length(), base.denominator.bit_length()
    power = abs(exponent.numerator)
    if power * max(bits) > LONGEST or power * abs(bits[0] - bits[1]) * log(2) > LARGEST:
        return None
    if exponent.denominator == 1:
        return None if base == 0 and exponent < 0 else base**exponent.numerator
    if exponent.denominator == 2 and base > 0:
        top, bottom = isqrt(base.numerator), isqrt(base.denominator)
        if top * top == base.numerator and bottom * bottom == base.denominator:
            return Fraction(top, bottom) ** exponent.numerator
    return None


def neg(term: Formula) -> Formula:
    """``-term``."""
    return mul(MINUS_ONE, term)
