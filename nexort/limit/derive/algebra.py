"""Formulas rebuilt in their normal form: indices replaced, sums over loops and axes, fresh names
for what is bound. Nothing here knows about probability.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

from nexort.limit.derive.arithmetic import add, mul, number, power
from nexort.limit.derive.folding import apply_function
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
from nexort.program.index import Affine

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
            return apply_function(name, tuple(rule(a) for a in args))
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


def index_at(index: Affine, env: Env) -> Affine:
    """An index with variables replaced."""
    if not any(name in env for name, _ in index.terms):
        return index
    result = Affine(index.constant)
    for name, coefficient in index.terms:
        result = result + env.get(name, Affine.variable(name)).scaled(coefficient)
    return result


def _placed(value: Any, env: Env) -> Any:
    if isinstance(value, Affine):
        return index_at(value, env)
    if isinstance(value, tuple):
        return tuple(_placed(v, env) for v in value)
    return value


def reindex(formula: Formula, env: Env) -> Formula:
    """A formula with index variables and labels replaced. Bound names are unique, so that nothing
    is captured (:class:`BoundNames`)."""
    if not env:
        return formula
    match formula:
        case LoopSum(var, first, last, body):
            inner = {k: v for k, v in env.items() if k != var}
            return loop_sum(var, index_at(first, env), index_at(last, env), reindex(body, inner))
        case AxisSum(label, axis, body):
            inner = {k: v for k, v in env.items() if k != label}
            return axis_sum(label, axis, reindex(body, inner))
        case Fold(_, var, last, body):
            inner = {k: v for k, v in env.items() if k != var}
            return replace(formula, last=index_at(last, env), body=reindex(body, inner))
        case Delta(left, right):
            return delta(index_at(left, env), index_at(right, env))
        case IndexNumber(index):
            found = index_at(index, env)
            return IndexNumber(found) if found.terms else number(found.constant)
        case Sum() | Product() | Power() | Apply() | CopyMean() | Expectation():
            return rebuilt(formula, lambda f: reindex(f, env))
        case Number():
            return formula
        case _:
            changed = {}
            for field in fields(formula):
                value = getattr(formula, field.name)
                if isinstance(value, Affine | tuple):
                    changed[field.name] = _placed(value, env)
                elif hasattr(value, "__dataclass_fields__"):
                    changed[field.name] = reindex(value, env)
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


# ---- sums ----------------------------------------------------------------------------------------


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
        return reindex(body, {var: first})
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
                return reindex(rest, {label: solved})
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


class BoundNames:
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


def unbound(formula: Formula, names: BoundNames) -> Formula:
    """The same formula with fresh names for everything bound, so that it can be multiplied."""
    match formula:
        case LoopSum(var, first, last, body):
            new = names.fresh(var)
            inner = reindex(body, {var: Affine.variable(new)})
            return LoopSum(new, first, last, unbound(inner, names))
        case Fold(_, var, _, body):
            new = names.fresh(var)
            inner = reindex(body, {var: Affine.variable(new)})
            return replace(formula, var=new, body=unbound(inner, names))
        case AxisSum(label, axis, body):
            new = names.fresh()
            inner = reindex(body, {label: Affine.variable(new)})
            return AxisSum(new, axis, unbound(inner, names))
        case _:
            return rebuilt(formula, lambda f: unbound(f, names))
