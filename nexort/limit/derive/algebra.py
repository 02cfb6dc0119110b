"""Formulas put together in a normal form: sums and products are flat, numbers come first, equal
terms are collected and equal bases joined. Nothing here knows about probability.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from fractions import Fraction
from functools import lru_cache
from math import isqrt, log
from typing import Any

from nexort.limit.derive.formula import (
    ONE,
    ZERO,
    Apply,
    AxisSum,
    CopyMean,
    Delta,
    Expectation,
    Fold,
    Formula,
    GaussianMean,
    GaussianPair,
    IndexNumber,
    LoopSum,
    Number,
    Power,
    Product,
    Sum,
)
from nexort.limit.derive.walking import factors_of, is_random
from nexort.program.index import Affine

Exact = Fraction | float


def number(value: float) -> Number:
    """A literal; integers are exact."""
    return Number(Fraction(value) if isinstance(value, int) else value)


HALF = Number(Fraction(1, 2))
MINUS_ONE = Number(Fraction(-1))


# ---- structure -----------------------------------------------------------------------------------


def rebuilt(formula: Formula, rule: Callable[[Formula], Formula]) -> Formula:
    """A formula with ``rule`` applied to everything directly inside, in normal form."""
    match formula:
        case Sum(terms):
            return add(*(rule(t) for t in terms))
        case Product(factors):
            return mul(*(rule(f) for f in factors))
        case Power(base, exponent):
            return power(rule(base), rule(exponent))
        case Apply(name, args):
            return applied(name, tuple(rule(a) for a in args))
        case Fold(_, _, _, body):
            return replace(formula, body=rule(body))
        case LoopSum(var, first, last, body):
            return loop_sum(var, first, last, rule(body))
        case AxisSum(label, axis, body):
            return axis_sum(label, axis, rule(body))
        case CopyMean(copies, body):
            return CopyMean(copies, rule(body))
        case Expectation(body):
            return Expectation(rule(body))
        case GaussianPair():
            return replace(
                formula,
                left_variance=rule(formula.left_variance),
                covariance=rule(formula.covariance),
                right_variance=rule(formula.right_variance),
            )
        case GaussianMean():
            return replace(formula, variance=rule(formula.variance))
        case _:
            return formula


# ---- indices -------------------------------------------------------------------------------------

Env = Mapping[str, Affine]


def place(index: Affine, env: Env) -> Affine:
    """An index with variables replaced."""
    if not any(name in env for name, _ in index.terms):
        return index
    result = Affine(index.constant)
    for name, coefficient in index.terms:
        result = result + env.get(name, Affine.variable(name)).scaled(coefficient)
    return result


def _placed(value: Any, env: Env) -> Any:
    if isinstance(value, Affine):
        return place(value, env)
    if isinstance(value, tuple):
        return tuple(_placed(v, env) for v in value)
    return value


def reindexed(formula: Formula, env: Env) -> Formula:
    """A formula with index variables and labels replaced. Bound names are unique, so that nothing
    is captured (:class:`Names`)."""
    if not env:
        return formula
    match formula:
        case LoopSum(var, first, last, body):
            inner = {k: v for k, v in env.items() if k != var}
            return loop_sum(var, place(first, env), place(last, env), reindexed(body, inner))
        case AxisSum(label, axis, body):
            inner = {k: v for k, v in env.items() if k != label}
            return axis_sum(label, axis, reindexed(body, inner))
        case Fold(_, var, last, body):
            inner = {k: v for k, v in env.items() if k != var}
            return replace(formula, last=place(last, env), body=reindexed(body, inner))
        case Delta(left, right):
            return delta(place(left, env), place(right, env))
        case IndexNumber(index):
            found = place(index, env)
            return IndexNumber(found) if found.terms else number(found.constant)
        case Sum() | Product() | Power() | Apply() | CopyMean() | Expectation():
            return rebuilt(formula, lambda f: reindexed(f, env))
        case Number():
            return formula
        case _:
            changed = {}
            for field in fields(formula):
                value = getattr(formula, field.name)
                if isinstance(value, Affine | tuple):
                    changed[field.name] = _placed(value, env)
                elif hasattr(value, "__dataclass_fields__"):
                    changed[field.name] = reindexed(value, env)
            return replace(formula, **changed)


def index_names(formula: Formula) -> set[str]:
    """The free index variables and labels of a formula."""
    match formula:
        case LoopSum(var, first, last, body):
            return (index_names(body) - {var}) | first.names | last.names
        case Fold(_, var, last, body):
            return (index_names(body) - {var}) | last.names
        case AxisSum(label, _, body):
            return index_names(body) - {label}
        case _:
            found: set[str] = set()
            for field in fields(formula):
                found |= _names(getattr(formula, field.name))
            return found


def _names(value: Any) -> set[str]:
    if isinstance(value, Affine):
        return set(value.names)
    if isinstance(value, tuple):
        return set().union(*(_names(v) for v in value)) if value else set()
    return index_names(value) if hasattr(value, "__dataclass_fields__") else set()


# ---- arithmetic ----------------------------------------------------------------------------------


def order(formula: Formula) -> tuple[int, str]:
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
    powers.sort(key=order)
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


MULTIPLICATIVE = frozenset(("sign", "abs"))
"""f(x y) = f(x) f(y)."""


def applied(name: str, args: tuple[Formula, ...]) -> Formula:
    """An entrywise function, an operation in its normal form where that exists as it does;
    sign(x y) = sign(x) sign(y), and the same for abs."""
    from nexort.limit.derive.folding import NORMAL, folded

    if name in NORMAL:
        return folded(name, args)
    [first, *rest] = args
    if name in MULTIPLICATIVE and not rest and isinstance(first, Product):
        return mul(*(applied(name, (f,)) for f in first.factors))
    if name in MULTIPLICATIVE and isinstance(first, Number):
        if name == "sign":
            return Number(Fraction((first.value > 0) - (first.value < 0)))
        return first if first.value >= 0 else Number(-first.value)
    return Apply(name, args)


def neg(term: Formula) -> Formula:
    """``-term``."""
    return mul(MINUS_ONE, term)


def delta(left: Affine, right: Affine) -> Formula:
    """Kronecker's delta; known where the difference is a number."""
    difference = left - right
    if not difference.terms:
        return ONE if difference.constant == 0 else ZERO
    return Delta(left, right) if str(left) <= str(right) else Delta(right, left)


def loop_sum(var: str, first: Affine, last: Affine, body: Formula) -> Formula:
    """A sum over a loop: a single term and a delta are summed at once, constants stay inside."""
    if body == ZERO:
        return ZERO
    if first == last:
        return reindexed(body, {var: first})
    return LoopSum(var, first, last, body)


def axis_sum(label: str, axis: str, body: Formula) -> Formula:
    """A sum over an axis. sum_i delta_ij f(i) = f(j); factors without the label move out."""
    if body == ZERO:
        return ZERO
    if isinstance(body, Sum):
        return add(*(axis_sum(label, axis, t) for t in body.terms))
    factors = body.factors if isinstance(body, Product) else (body,)
    for factor in factors:
        if isinstance(factor, Delta) and label in (factor.left.names | factor.right.names):
            solved = _solved(factor, label)
            if solved is not None:
                rest = mul(*(f for f in factors if f is not factor))
                return reindexed(rest, {label: solved})
    outside = [f for f in factors if label not in index_names(f)]
    if outside:
        inside = [f for f in factors if label in index_names(f)]
        if inside:
            return mul(*outside, AxisSum(label, axis, mul(*inside)))
    return AxisSum(label, axis, body)


def _solved(equal: Delta, label: str) -> Affine | None:
    variable = Affine.variable(label)
    for side, other in ((equal.left, equal.right), (equal.right, equal.left)):
        if side == variable and label not in other.names:
            return other
    return None


# ---- names ---------------------------------------------------------------------------------------


class Names:
    """Fresh names for bound variables: ``%1:l``, ``%2:``, ... (no program can have them). What is
    behind the colon is the name that a reader would like to see."""

    def __init__(self) -> None:
        self.count = 0

    def fresh(self, hint: str = "") -> str:
        """A name that was never given before."""
        self.count += 1
        return f"%{self.count}:{hint.rpartition(':')[2]}"


def through(formula: Formula, rule: Callable[[Formula], Formula]) -> Formula | None:
    """A linear rule applied inside of a sum, of terms, over an axis or a loop, or of an update
    function that is linear; None for other formulas."""
    match formula:
        case Sum(terms):
            return add(*(rule(t) for t in terms))
        case AxisSum(label, axis, body):
            return axis_sum(label, axis, rule(body))
        case LoopSum(var, first, last, body):
            return loop_sum(var, first, last, rule(body))
        case Fold(linear=True):
            return replace(formula, body=rule(formula.body))
        case _:
            return None


def unbound(formula: Formula, names: Names) -> Formula:
    """The same formula with fresh names for everything bound, so that it can be multiplied."""
    match formula:
        case LoopSum(var, first, last, body):
            new = names.fresh(var)
            inner = reindexed(body, {var: Affine.variable(new)})
            return LoopSum(new, first, last, unbound(inner, names))
        case Fold(_, var, _, body):
            new = names.fresh(var)
            inner = reindexed(body, {var: Affine.variable(new)})
            return replace(formula, var=new, body=unbound(inner, names))
        case AxisSum(label, axis, body):
            new = names.fresh()
            inner = reindexed(body, {label: Affine.variable(new)})
            return AxisSum(new, axis, unbound(inner, names))
        case _:
            return rebuilt(formula, lambda f: unbound(f, names))
