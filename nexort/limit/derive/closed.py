"""Dual activations in closed form, as formulas: what a derivation prints and emitted code runs.

For centred Gaussians y, z with variances p, q and covariance c: ``pair(f, g)`` is E f(y) g(z) and
``mean(f)`` is E f(y), in the symbols p, c, q. Functions are graphs over SLOT ('z',).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from nexort.limit.derive.algebra import HALF, MINUS_ONE, add, mul, neg, number, power, rebuilt
from nexort.limit.derive.formula import ONE, Apply, Formula, Number, Power, Product, Symbol
from nexort.limit.derive.graphs import at
from nexort.limit.derive.walking import factors_of, walk
from nexort.program.nodes import Node

P, C, Q, Z = (Symbol(x) for x in "pcqz")
PI = Symbol("pi", kind="constant")
TWO = number(2)

CHO_SAUL = "Cho & Saul 2009"
WILLIAMS = "Williams 1997"
SHEPPARD = "Sheppard 1899"
TSUCHIDA = "Tsuchida et al. 2021"
MOMENTS = "moment generating function"


@dataclass(frozen=True, slots=True)
class Closed:
    """A formula in p, c, q (p alone for a mean), and where it is from."""

    formula: Formula
    source: str

    def at(self, values: Mapping[Formula, Formula]) -> Formula:
        """The formula at other formulas for p, c and q."""
        return _placed(self.formula, values)

    @property
    def divides(self) -> bool:
        """Whether it divides by variances: where one is 0, so is c, and the quotient is 0."""
        return any(
            isinstance(x, Power)
            and isinstance(x.exponent, Number)
            and x.exponent.value < 0
            and all(v in (P, Q) for f in factors_of(x.base) for v in _bases(f))
            for x in walk(self.formula)
        )


def _bases(formula: Formula) -> tuple[Formula, ...]:
    return (formula.base,) if isinstance(formula, Power) else (formula,)


def _placed(formula: Formula, values: Mapping[Formula, Formula]) -> Formula:
    return values[formula] if formula in values else rebuilt(formula, lambda f: _placed(f, values))


def pair(f: Node, g: Node) -> Closed | None:
    """E f(y) g(z), or None where no closed form is listed."""
    (a, first), (b, second) = _scaled(at(f, Z)), _scaled(at(g, Z))
    found = _pair(first, second)
    if found is None:
        swapped = _pair(second, first)
        found = None if swapped is None else Closed(swapped.at({P: Q, Q: P}), swapped.source)
    return None if found is None else Closed(mul(a, b, found.formula), found.source)


def mean(f: Node) -> Closed | None:
    """E f(y), or None where no closed form is listed."""
    factor, bare = _scaled(at(f, Z))
    found = _mean(bare)
    return None if found is None else Closed(mul(factor, found.formula), found.source)


def _scaled(formula: Formula) -> tuple[Formula, Formula]:
    """A constant factor and the rest."""
    if isinstance(formula, Product) and isinstance(formula.factors[0], Number):
        return formula.factors[0], mul(*formula.factors[1:])
    return ONE, formula


def _pair(f: Formula, g: Formula) -> Closed | None:
    match f, g:
        case Apply("leaky_relu", (_, a)), Apply("leaky_relu", (_, b)) if a == b:
            rest = power(add(ONE, neg(a)), TWO)
            return Closed(add(mul(a, C), mul(rest, _relu_relu())), CHO_SAUL)
        case Apply(left, (x,)), Apply(right, (y,)) if x == y == Z and left != "gauss":
            return _named(left, right)
        case _:
            s, t = _bump(f), _bump(g)
            return None if s is None or t is None else Closed(_bumps(s, t), MOMENTS)


def _named(f: str, g: str) -> Closed | None:
    both = add(P, Q)
    match f, g:
        case "relu", "relu":
            return Closed(_relu_relu(), CHO_SAUL)
        case "step", "step":
            return Closed(mul(_over(mul(TWO, PI)), _angle()), CHO_SAUL)
        case "relu", "step":
            sum_ = add(power(P, HALF), mul(C, _root(Q, -1)))
            return Closed(mul(HALF, _root(mul(TWO, PI), -1), sum_), CHO_SAUL)
        case "sign", "sign":
            return Closed(mul(TWO, _over(PI), ARCSINE), SHEPPARD)
        case "abs", "abs":
            sum_ = add(ORTHOGONAL, mul(C, ARCSINE))
            return Closed(mul(TWO, _over(PI), sum_), CHO_SAUL)
        case "erf", "erf":
            inside = mul(TWO, C, _root(mul(_stretched(P), _stretched(Q)), -1))
            return Closed(mul(TWO, _over(PI), Apply("arcsin", (inside,))), WILLIAMS)
        case "gelu", "gelu":
            return Closed(_gelu_gelu(), TSUCHIDA)
        case "sin", "sin":
            return Closed(mul(_exp(neg(mul(HALF, both))), Apply("sinh", (C,))), MOMENTS)
        case "cos", "cos":
            return Closed(mul(_exp(neg(mul(HALF, both))), Apply("cosh", (C,))), MOMENTS)
        case "exp", "exp":
            return Closed(_exp(add(mul(HALF, both), C)), MOMENTS)
        case _:
            return None


def _mean(f: Formula) -> Closed | None:
    match f:
        case Product((x, Apply("sign", (y,)))) if x == y == Z:
            return _mean(Apply("abs", (Z,)))
        case Apply("relu", (x,)) if x == Z:
            return Closed(_root(mul(HALF, P, _over(PI))), CHO_SAUL)
        case Apply("abs", (x,)) if x == Z:
            return Closed(_root(mul(TWO, P, _over(PI))), CHO_SAUL)
        case Apply("step", (x,)) if x == Z:
            return Closed(HALF, CHO_SAUL)
        case Power(Apply("relu", (x,)), Number(value)) if x == Z and value == 2:
            return Closed(mul(HALF, P), CHO_SAUL)
        case Apply("cos", (x,)) if x == Z:
            return Closed(_exp(neg(mul(HALF, P))), MOMENTS)
        case Apply("exp", (x,)) if x == Z:
            return Closed(_exp(mul(HALF, P)), MOMENTS)
        case Power(base, Number(value)) if value == 2:
            found = _pair(base, base)
            return None if found is None else Closed(found.at({C: P, Q: P}), found.source)
        case _:
            s = _bump(f)
            width = None if s is None else add(ONE, mul(TWO, s, P))
            return None if width is None else Closed(_root(width, -1), MOMENTS)


# ---- the formulas --------------------------------------------------------------------------------


def _over(x: Formula) -> Formula:
    return power(x, MINUS_ONE)


def _root(x: Formula, sign: int = 1) -> Formula:
    return power(x, Number(Fraction(sign, 2)))


def _exp(x: Formula) -> Formula:
    return Apply("exp", (x,))


def _stretched(x: Formula) -> Formula:
    return add(ONE, mul(TWO, x))


def _correlation() -> Formula:
    return mul(C, _root(mul(P, Q), -1))


ORTHOGONAL = _root(add(mul(P, Q), neg(power(C, TWO))))
"""sqrt(pq - c^2)"""


ANGLE = Apply("arccos", (_correlation(),))
"""The angle between y and z."""


ARCSINE = Apply("arcsin", (_correlation(),))
"""Its complement."""


def _angle() -> Formula:
    """pi - arccos rho"""
    return add(PI, neg(ANGLE))


def _relu_relu() -> Formula:
    """(sqrt(pq - c^2) + c (pi - arccos rho)) / (2 pi)"""
    return mul(_over(mul(TWO, PI)), add(ORTHOGONAL, mul(C, _angle())))


def _gelu_gelu() -> Formula:
    """c/4 + c arcsin(r) / (2 pi) + (pq + c^2 (1/(1+p) + 1/(1+q) - 1)) / (2 pi sqrt(D)), with
    r = c / sqrt((1+p)(1+q)) and D = (1+p)(1+q) - c^2: by Stein's lemma in y, then tilting."""
    one_p, one_q = add(ONE, P), add(ONE, Q)
    angle = Apply("arcsin", (mul(C, _root(mul(one_p, one_q), -1)),))
    bracket = add(_over(one_p), _over(one_q), MINUS_ONE)
    top = add(mul(P, Q), mul(power(C, TWO), bracket))
    under = _root(add(mul(one_p, one_q), neg(power(C, TWO))), -1)
    circle = _over(mul(TWO, PI))
    return add(mul(Number(Fraction(1, 4)), C), mul(circle, C, angle), mul(circle, top, under))


def _bump(f: Formula) -> Formula | None:
    """s where f is exp(-s z^2)."""
    match f:
        case Apply("gauss", (x,)) if x == Z:
            return HALF
        case Apply("exp", (Product((Number(value), Power(x, Number(two)))),)) if (
            x == Z and two == 2 and value < 0
        ):
            return Number(-value)
        case Apply("exp", (Product((Number(value), Apply("square", (x,)))),)) if (
            x == Z and value < 0
        ):
            return Number(-value)
        case _:
            return None


def _bumps(s: Formula, t: Formula) -> Formula:
    """1 / sqrt((1 + 2 s p)(1 + 2 t q) - 4 s t c^2)"""
    left, right = add(ONE, mul(TWO, s, P)), add(ONE, mul(TWO, t, Q))
    return _root(add(mul(left, right), neg(mul(number(4), s, t, power(C, TWO)))), -1)
