"""Formulas as sympy objects, for computer algebra; the only place where sympy is used.

====================  =======================================================================
formula               sympy
====================  =======================================================================
number                Rational or Float
param, size, index    Symbol; indices are integers
data, scalar family   Indexed: family indices first, then labels, ``xi[i, a]``
<x^l_a|y^m_b>         Indexed ``<x|y>[l, a, m, b]``; <1|x^l_a> is ``<1|x>[l, a]``
E d|x>/d hat(y)       Indexed ``d<1|x>/dhat(y)[...]``, indices of x first
ket, hat, copy        Indexed ``|x>[l, a]``, ``hat|x>[l, a]``, ``|x>{1}[l, a]``
E[body]               Function ``E``; ``E{1,2}`` over copies only
sums                  Sum; over the label of an axis from 0 to its size - 1
delta                 KroneckerDelta
Q over a history      Function of the update function's name: the body, then (index, 0, last)
matrix, |x><y|        Indexed ``W[l, t]``, ``|x><y|[l, a, m, b]``
E f(z_a) g(z_b)       its closed form if one is known, else Function ``V_f_g`` of the covariances
Phi_2(x, y, r)        Phi(x) Phi(y) + int_0^arcsin(r) exp(-(x^2 + y^2 - 2 x y sin t) / 2 cos^2 t) dt
                      / 2 pi (Plackett 1954), an Integral
other functions       sympy's own (tanh, erf, ...), else an undefined Function of that name
====================  =======================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, assert_never

import sympy

from nexort.limit.derive import closed, families
from nexort.limit.derive.derivation import Equation
from nexort.limit.derive.formula import (
    Apply,
    Average,
    AxisSum,
    Bracket,
    CopyMean,
    Delta,
    Expectation,
    Fold,
    Formula,
    GaussianMean,
    GaussianPair,
    IndexNumber,
    Indices,
    Ket,
    LoopSum,
    Number,
    Operator,
    Outer,
    Power,
    Product,
    Response,
    Sum,
    Symbol,
)
from nexort.limit.derive.printing.duals import dual_title
from nexort.program.index import Affine

Leaf = (
    Symbol
    | Ket
    | Bracket
    | Average
    | Response
    | Delta
    | CopyMean
    | Expectation
    | Fold
    | Operator
    | Outer
)


def sympy_expression(formula: Formula) -> Any:
    """A formula as a sympy expression."""
    return _of(formula)


def equation(item: Equation) -> Any:
    """A line of the recursion as a sympy Eq."""
    return sympy.Eq(sympy_expression(item.left), sympy_expression(item.right), evaluate=False)


def _of(formula: Formula) -> Any:
    match formula:
        case Number(Fraction() as value):
            return sympy.Rational(value.numerator, value.denominator)
        case Number(value):
            return sympy.Float(value)
        case IndexNumber(index):
            return _index(index)
        case Sum(terms):
            return sympy.Add(*(_of(t) for t in terms))
        case Product(factors):
            return sympy.Mul(*(_of(f) for f in factors))
        case Power(base, exponent):
            return sympy.Pow(_of(base), _of(exponent))
        case Apply(name, args):
            return _applied(name, [_of(a) for a in args])
        case LoopSum(var, first, last, body):
            return sympy.Sum(_of(body), (_symbol(var), _index(first), _index(last)))
        case AxisSum(label, axis, body):
            size = sympy.Integer(axis) if axis.isdigit() else _symbol(axis)
            return sympy.Sum(_of(body), (_symbol(label), 0, size - 1))
        case GaussianPair() | GaussianMean():
            return _gaussian(formula)
        case _:
            return _leaf(formula)


def _leaf(formula: Leaf) -> Any:
    match formula:
        case Symbol("pi", (), (), "constant"):
            return sympy.pi
        case Symbol(name, indices, axes):
            return _indexed(name, (*indices, *axes))
        case Ket():
            return _indexed(_ket_name(formula), (*formula.indices, *formula.axes))
        case Bracket(left, right):
            name = f"<{_bare(left)}|{_bare(right)}>"
            return _indexed(name, (*left.indices, *left.axes, *right.indices, *right.axes))
        case Average(x):
            return _indexed(f"<1|{_bare(x)}>", (*x.indices, *x.axes))
        case Response(x, by):
            name = f"d<1|{_bare(x)}>/dhat({by.name})"
            return _indexed(name, (*x.indices, *x.axes, *by.indices, *by.axes))
        case Delta(left, right):
            return sympy.KroneckerDelta(_index(left), _index(right))
        case Fold(name, var, last, body):
            return sympy.Function(name)(_of(body), (_symbol(var), 0, _index(last)))
        case Operator(matrix):
            name = f"{matrix.name}^T" if matrix.transposed else matrix.name
            return _indexed(name, matrix.indices)
        case Outer(left, right):
            name = f"|{_bare(left)}><{_bare(right)}|"
            return _indexed(name, (*left.indices, *left.axes, *right.indices, *right.axes))
        case CopyMean(copies, body):
            return sympy.Function(f"E{{{','.join(map(str, copies))}}}")(_of(body))
        case Expectation(body):
            return sympy.Function("E")(_of(body))
        case _:
            assert_never(formula)


def _symbol(name: str) -> Any:
    return sympy.Symbol(name, integer=True)


def _index(index: Affine) -> Any:
    terms = [c * _symbol(name) for name, c in index.terms]
    return sympy.Add(sympy.Integer(index.constant), *terms)


def _indexed(name: str, indices: Indices) -> Any:
    if not indices:
        return sympy.Symbol(name, real=True)
    return sympy.IndexedBase(name, real=True)[tuple(_index(i) for i in indices)]


def _bare(x: Ket) -> str:
    hat = f"hat({x.name})" if x.part == "hat" else x.name
    return f"{hat}{{{x.copy}}}" if x.copy else hat


def _ket_name(x: Ket) -> str:
    hat = "hat" if x.part == "hat" else ""
    copy = f"{{{x.copy}}}" if x.copy else ""
    return f"{hat}|{x.name}>{copy}"


def _applied(name: str, args: list[Any]) -> Any:
    return _FUNCTIONS.get(name, sympy.Function(name))(*args)


def _bivariate(x: Any, y: Any, r: Any) -> Any:
    t = sympy.Dummy("t", real=True)
    square = (x**2 + y**2 - 2 * x * y * sympy.sin(t)) / (2 * sympy.cos(t) ** 2)
    joint = sympy.Integral(sympy.exp(-square), (t, 0, sympy.asin(r)))
    first, second = (sympy.erfc(-z / sympy.sqrt(2)) / 2 for z in (x, y))
    return first * second + joint / (2 * sympy.pi)


_NAMED = ("erf", "erfc", "exp", "log", "sqrt", "sign", "sin", "cos", "tanh", "sinh", "cosh")

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": lambda x, y: sympy.Add(x, y, evaluate=False),
    "sub": lambda x, y: sympy.Add(x, -y, evaluate=False),
    "mul": lambda x, y: sympy.Mul(x, y, evaluate=False),
    "div": lambda x, y: sympy.Mul(x, sympy.Pow(y, -1), evaluate=False),
    "pow": lambda x, y: sympy.Pow(x, y, evaluate=False),
    "relu": lambda x: sympy.Max(x, 0),
    "step": lambda x: sympy.Heaviside(x, sympy.Rational(1, 2)),
    "arctan": sympy.atan,
    "arcsin": sympy.asin,
    "arccos": sympy.acos,
    "abs": sympy.Abs,
    "square": lambda x: x**2,
    "gauss": lambda x: sympy.exp(-(x**2) / 2),
    "max": sympy.Max,
    "min": sympy.Min,
    families.BIVARIATE: _bivariate,
    **{name: getattr(sympy, name) for name in _NAMED},
}
"""What sympy has; others are functions of its by their name."""


def _gaussian(formula: GaussianPair | GaussianMean) -> Any:
    if isinstance(formula, GaussianMean):
        found = closed.closed_mean(formula.function)
        places: dict[Formula, Formula] = {closed.P: formula.variance}
    else:
        found = closed.closed_pair(formula.left, formula.right)
        places = {
            closed.P: formula.left_variance,
            closed.C: formula.covariance,
            closed.Q: formula.right_variance,
        }
    if found is not None:
        return _of(found.at(places))
    return sympy.Function(dual_title(formula))(*(_of(x) for x in places.values()))
