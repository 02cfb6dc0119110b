"""Closed forms of E f(y) g(z) as formulas, for sums of the atoms of ``nexort.gaussian.terms``.

For centred Gaussians y, z with variances p, q and covariance c:

*piecewise polynomials*, by the polynomials of ``nexort.gaussian.orthant`` in rho = c / (p q)^(1/2);

*error functions and Gaussian bumps*: with D(x, w) = (1 + x p)(1 + w q) - x w c^2 the weight
exp(-(x y^2 + w z^2) / 2) has mean D^(-1/2) and leaves the law with

    p' = (p + w (p q - c^2)) / D,  c' = c / D,  q' = (q + x (p q - c^2)) / D,

under which Stein's lemma lowers powers, and an error function erf(u y) becomes
(2 t / pi)^(1/2) times the weight x + t, t = 2 u^2; what is left in the end is
(2 / pi) arcsin((s t)^(1/2) c / (D(x + s, w) D(x, w + t))^(1/2)). The sign is the limit of large t,
D(x, w) over x there and 1 for t;

*exponentials and waves*, by characteristic functions, their products with powers by Stein's lemma.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction

from nexort.gaussian import orthant, stein
from nexort.gaussian.terms import Atom, Terms
from nexort.limit.derive.arithmetic import HALF, MINUS_ONE, add, mul, neg, number, power
from nexort.limit.derive.formula import (
    ONE,
    ZERO,
    Apply,
    Formula,
    Number,
    Power,
    Product,
    Sum,
    Symbol,
)

P, C, Q = (Symbol(x) for x in "pcq")
PI = Symbol("pi", kind="constant")
TWO = number(2)


def reciprocal(x: Formula) -> Formula:
    """1 / x."""
    return power(x, MINUS_ONE)


def root_formula(x: Formula, sign: int = 1) -> Formula:
    """x^(1/2), or x^(-1/2)."""
    return power(x, Number(Fraction(sign, 2)))


def exp(x: Formula) -> Formula:
    """e^x."""
    return Apply("exp", (x,))


DETERMINANT = add(mul(P, Q), neg(power(C, TWO)))
"""p q - c^2"""

ORTHOGONAL = root_formula(DETERMINANT)

CORRELATION = mul(C, root_formula(mul(P, Q), -1))

ANGLE = Apply("arccos", (CORRELATION,))
"""The angle between y and z."""

ARCSINE = Apply("arcsin", (CORRELATION,))
"""Its complement."""


BIVARIATE = "Phi_2"
"""P(u < x, v < y) of standard Gaussians u, v of correlation r, as a function of x, y and r."""


def recognise_exact(value: float) -> Formula:
    """The rational x, its root, x / pi or (x / pi)^(1/2) that a float is the nearest to."""
    if value == 0:
        return ZERO
    shapes: tuple[tuple[float, Callable[[Number], Formula]], ...] = (
        (abs(value), lambda x: x),
        (value * value, root_formula),
        (abs(value) * math.pi, lambda x: mul(x, reciprocal(PI))),
        (value * value * math.pi, lambda x: root_formula(mul(x, reciprocal(PI)))),
    )
    for k, (target, shape) in enumerate(shapes):
        found = Fraction(target).limit_denominator(5000)
        near = math.sqrt(found / (math.pi if k == 3 else 1)) if k % 2 else float(found)
        if found and abs((near / math.pi if k == 2 else near) - abs(value)) <= 4e-16 * abs(value):
            result = shape(Number(found))
            return result if value > 0 else neg(result)
    return Number(value)


def divides(x: Formula) -> bool:
    """Whether this is a division by what is 0 where a variance is."""
    match x:
        case Power(base, Number(value)) if value < 0:
            return vanishes(base, P) or vanishes(base, Q)
        case _:
            return False


def vanishes(x: Formula, variance: Formula) -> bool:
    """Whether a formula is 0 where that variance is, and with it the covariance."""
    match x:
        case Sum(terms):
            return all(vanishes(t, variance) for t in terms)
        case Product(factors):
            return any(vanishes(f, variance) for f in factors)
        case Power(base, Number(value)) if value > 0:
            return vanishes(base, variance)
        case _:
            return x in (variance, C)


def terms_expectation(f: Terms, g: Terms) -> Formula:
    """E f(y) g(z), for sums of which all pairs of atoms have a closed form."""
    bent = [{a: x for a, x in h.items() if a.kink} for h in (f, g)]
    smooth = [{a: x for a, x in h.items() if not a.kink} for h in (f, g)]
    others = (
        (a, x, b, y)
        for left, right in ((bent[0], smooth[1]), (smooth[0], bent[1]), (smooth[0], smooth[1]))
        for a, x in left.items()
        for b, y in right.items()
    )
    first = piecewise(*bent)
    return add(
        first, *(mul(recognise_exact(x), recognise_exact(y), _pair(a, b)) for a, x, b, y in others)
    )


# ---- piecewise polynomials -----------------------------------------------------------------------


@dataclass
class _Sum:
    """A sum of coefficients times powers of p, c and q."""

    terms: list[tuple[Formula, Formula]] = field(default_factory=list)

    def put(self, factor: Formula, polynomial: orthant.Polynomial, j: int, k: int) -> None:
        """``factor`` times the polynomial of rho times s_y^j s_z^k."""
        for m, x in polynomial.items():
            halves = ((P, j - m), (Q, k - m))
            rest = (power(v, Number(Fraction(n, 2))) for v, n in halves)
            self.terms.append((mul(factor, Number(x)), mul(power(C, number(m)), *rest)))

    def over(self, factor: Formula) -> Formula:
        """The sum over a number."""
        return add(*(mul(c, reciprocal(factor), term) for c, term in self.terms))


def piecewise(f: Terms, g: Terms) -> Formula:
    """A + (2 / pi)^(1/2) V + (2 / pi) [B arcsin(rho) + C (p q - c^2)^(1/2)]."""
    even, half, angle, sine = (_Sum() for _ in range(4))
    for a, x in f.items():
        for b, y in g.items():
            factor, j, k = mul(recognise_exact(x), recognise_exact(y)), a.power, b.power
            if a.edge and b.edge:
                first, second = orthant.sign_recursion(j, k)
                angle.put(factor, first, j, k)
                sine.put(factor, second, j - 1, k - 1)
            elif a.edge or b.edge:
                half.put(factor, orthant.half(j, k) if a.edge else orthant.half(k, j), j, k)
            else:
                even.put(factor, orthant.wick(j, k), j, k)
    plain = even.over(ONE)
    scale = _common([*angle.terms, *sine.terms])
    bent = angle.over(scale)
    arcs: Formula = ARCSINE
    if bent != ZERO and plain == angle.over(ONE):  # B (pi / 2 + arcsin(rho))
        plain, arcs = ZERO, add(PI, neg(ANGLE))
    inner = add(mul(sine.over(scale), ORTHOGONAL), mul(bent, arcs))
    return add(plain, _half(half), mul(scale, TWO, reciprocal(PI), inner))


def _half(terms: _Sum) -> Formula:
    """(2 / pi)^(1/2) times a sum."""
    scale = _common(terms.terms)
    total = terms.over(scale)
    for own in (P, Q):
        if total in (root_formula(own), neg(root_formula(own))):
            size = root_formula(mul(scale, scale, TWO, own, reciprocal(PI)))
            return size if total == root_formula(own) else neg(size)
    return mul(scale, TWO, root_formula(mul(TWO, PI), -1), total)


def _common(terms: Iterable[tuple[Formula, Formula]]) -> Formula:
    """What rational coefficients have in common, 1 for others."""
    found = [c.value for c, _ in terms if isinstance(c, Number)]
    values = [x for x in found if isinstance(x, Fraction) and x]
    if not values or len(values) < len(list(terms)):
        return ONE
    top = math.gcd(*(x.numerator for x in values))
    return Number(Fraction(top, math.lcm(*(x.denominator for x in values))))


# ---- error functions and bumps -------------------------------------------------------------------


def _pair(a: Atom, b: Atom) -> Formula:
    if a.edges and b.edges:
        law = _Law(recognise_exact(a.tilt), recognise_exact(b.tilt))
        found: Formula = stein.edge_moment(a.power, a.edge, b.power, b.edge, law)
    elif a.waves and b.waves:
        found = _waves(a, b)
    elif a.edges:
        found = stein.wave_moment(a.power, b, _Waves(P, Q))
    else:
        found = stein.wave_moment(b.power, a, _Waves(Q, P))
    return found


@dataclass(frozen=True, slots=True)
class _Law:
    """Tilted by exp(-(x y^2 + w z^2) / 2); None for infinite x or w, conditioned on y = 0 or
    z = 0."""

    x: Formula | None
    w: Formula | None
    variances: tuple[Formula, ...] = (P, Q)

    @property
    def scale(self) -> Formula:
        """D(x, w), over what is infinite."""
        x, w = self.x, self.w
        p, q = self.variances
        if x is None and w is None:
            return DETERMINANT
        if x is None or w is None:
            own, rate = (p, w) if x is None else (q, x)
            assert rate is not None
            return add(own, mul(rate, DETERMINANT))
        both = mul(add(ONE, mul(x, p)), add(ONE, mul(w, q)))
        return add(both, neg(mul(x, w, power(C, TWO))))

    @property
    def weight(self) -> Formula:
        """The mean of the weight."""
        return root_formula(self.scale, -1)

    @property
    def variance(self) -> Formula:
        """p'."""
        if self.x is None:
            return ZERO
        own, _ = self.variances
        top = DETERMINANT if self.w is None else add(own, mul(self.w, DETERMINANT))
        return mul(top, reciprocal(self.scale))

    @property
    def cross(self) -> Formula:
        """c'."""
        return ZERO if self.x is None or self.w is None else mul(C, reciprocal(self.scale))

    def total(self, terms: stein.Terms) -> Formula:
        """A sum of products."""
        return _total(terms)

    def mirrored(self) -> _Law:
        """With y and z exchanged."""
        return _Law(self.w, self.x, self.variances[::-1])

    def tilted(self, left: float, right: float) -> _Law:
        """With the weights that the slopes of error functions have."""
        return replace(self, x=_tilted(self.x, left), w=_tilted(self.w, right))

    def arcsine(self, u: float, v: float) -> Formula:
        """E erf(u y) erf(v z)."""
        sides = mul(self.tilted(u, 0).scale, self.tilted(0, v).scale)
        sine = mul(root_formula(mul(_rate(u), _rate(v))), C, root_formula(sides, -1))
        return mul(TWO, reciprocal(PI), Apply("arcsin", (sine,)), self.weight)

    def left_edge(self, u: float) -> tuple[Formula, _Law]:
        """p' (2 t / pi)^(1/2), and the law with the weight of the slope of erf(u y)."""
        return mul(self.variance, _slope(u)), self.tilted(u, 0)

    def right_edge(self, v: float) -> tuple[Formula, _Law]:
        """c' (2 t / pi)^(1/2), and the law with the weight of the slope of erf(v z)."""
        return mul(self.cross, _slope(v)), self.tilted(0, v)


def _total(terms: stein.Terms) -> Formula:
    return add(*(mul(recognise_exact(n), x, y) for n, x, y in terms))


def _tilted(x: Formula | None, edge: float) -> Formula | None:
    if not edge:
        return x
    return None if x is None or math.isinf(edge) else add(x, _rate(edge))


def _rate(edge: float) -> Formula:
    """t = 2 u^2 of erf(u y), 1 of the sign."""
    return ONE if math.isinf(edge) else mul(TWO, power(recognise_exact(edge), TWO))


def _slope(edge: float) -> Formula:
    """(2 t / pi)^(1/2)."""
    return root_formula(mul(TWO, _rate(edge), reciprocal(PI)))


# ---- exponentials and waves ----------------------------------------------------------------------


def _waves(a: Atom, b: Atom) -> Formula:
    kinds = {a.wave, b.wave}
    if kinds == {"sin", "cos"}:
        return ZERO
    rates = [recognise_exact(z.frequency if z.wave else z.slope) for z in (a, b)]
    squares = [
        mul(neg(HALF) if z.wave else HALF, power(r, TWO), v)
        for z, r, v in zip((a, b), rates, (P, Q), strict=True)
    ]
    size, cross = add(*squares), mul(*rates, C)
    if cross == ZERO:
        return ZERO if "sin" in kinds else exp(size)
    if kinds == {""}:
        return exp(add(size, cross))
    both = a.wave == b.wave
    name = {"sin": "sinh", "cos": "cosh"}[a.wave] if both else a.wave or b.wave
    return mul(exp(size), Apply(name, (cross,)))


@dataclass(frozen=True, slots=True)
class _Waves:
    """A law of powers and waves, ``other`` the variance of the wave's variable."""

    variance: Formula
    other: Formula
    cross: Formula = C

    def total(self, terms: stein.Terms) -> Formula:
        return _total(terms)

    def mean(self, wave: Atom) -> Formula:
        """exp(-frequency^2 Var / 2) or exp(slope^2 Var / 2)."""
        if wave.wave == "sin":
            return ZERO
        rate = wave.frequency if wave.wave else wave.slope
        return exp(
            mul(neg(HALF) if wave.wave else HALF, power(recognise_exact(rate), TWO), self.other)
        )
