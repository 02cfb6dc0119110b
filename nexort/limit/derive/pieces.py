"""Expectations of piecewise sums of y^i exp(a y) as formulas, for centred Gaussians y, z with
variances p, q and covariance c.

With G = y^i exp(a y) 1(y > h) z^j exp(b z) 1(z > k) and D = p q - c^2 Stein's lemma,
E y G = p E dG/dy + c E dG/dz, lowers the powers: a derivative lowers y^i, brings out a, or puts y
on its edge, where z is Gaussian with mean m = c h / p and variance w = D / p,

    S_j = p phi(h) exp(a h) E[z^j exp(b z) 1(z > k) | y = h],    phi the density of y,
    S_j = (m + b w) S_(j-1) + (j - 1) w S_(j-2) + k^(j-1) T,
    T = D^(1/2) exp(a h + b k - h^2 / 2 p - (p k - c h)^2 / 2 p D) / 2 pi,

and an exponential shifts the law: in the end stands exp(E (a y + b z)^2 / 2) times
P(y > h - a p - b c, z > k - a c - b q) = Phi_2(...), the bivariate normal distribution function
(Rosenbaum, Moments of a truncated bivariate normal distribution, 1961). E f(y) is the case g = 1.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from nexort.gaussian.pieces import Half, Pieces, Powers
from nexort.limit.derive.arithmetic import HALF, add, mul, neg, number, power
from nexort.limit.derive.families import (
    ARCSINE,
    BIVARIATE,
    CORRELATION,
    DETERMINANT,
    ORTHOGONAL,
    PI,
    TWO,
    C,
    P,
    Q,
    exp,
    reciprocal,
    recognise_exact,
    root_formula,
)
from nexort.limit.derive.formula import ONE, ZERO, Apply, Formula, Number, Sum
from nexort.limit.derive.walking import factors_of

Halves = Mapping[Half, Powers]
"""A function as a sum over half lines."""

Sums = dict[Formula, Formula]
"""Functions of p, c and q -> their factors, polynomials in p, c, q, 1 / p and 1 / q."""

MOST_TERMS = 500
"""Of half lines and powers of two functions that are still written out; eval has them all."""

WHOLE = Half(0.0, 0.0, 0)
"""The line."""


def pieces_mean(f: Pieces) -> Formula:
    """E f(y)."""
    return _expectation(f.halves, {WHOLE: {0: 1.0}})


def pieces_pair(f: Pieces, g: Pieces) -> Formula | None:
    """E f(y) g(z); None where it would fill pages."""
    first, second = (_outward(h.halves) for h in (f, g))
    terms = (sum(k + 1 for powers in h.values() for k in powers) for h in (first, second))
    return _expectation(first, second) if math.prod(terms) <= MOST_TERMS else None


def _outward(halves: Halves) -> Halves:
    """The same function with half lines away from 0 where nothing grows on them."""
    found: dict[Half, Powers] = defaultdict(lambda: defaultdict(float))
    for half, powers in halves.items():
        inward = half.side * half.edge < 0 and not half.slope
        turned = Half(0.0, half.edge, -half.side)
        for part, sign in ((WHOLE, 1), (turned, -1)) if inward else ((half, 1),):
            for k, x in powers.items():
                found[part][k] += sign * x
    return {h: {k: x for k, x in powers.items() if x} for h, powers in found.items()}


def _expectation(f: Halves, g: Halves) -> Formula:
    total: Sums = defaultdict(lambda: ZERO)
    for a, powers in f.items():
        for b, others in g.items():
            corner = _Corner(_Side(a, P), _Side(b, Q))
            for i, x in powers.items():
                for j, y in others.items():
                    _put(total, _moment(corner, i, j), mul(recognise_exact(x), recognise_exact(y)))
    return add(*(mul(factor, base) for base, factor in total.items()))


def _put(total: Sums, more: Sums, factor: Formula) -> None:
    """Add ``factor``, a number or a product of powers, times ``more``."""
    for base, x in more.items():
        terms = x.terms if isinstance(x, Sum) else (x,)
        total[base] = add(total[base], *(mul(factor, t) for t in terms))


@dataclass(frozen=True, slots=True)
class _Side:
    """exp(slope y) 1(side (y - edge) > 0) of a Gaussian y with that variance; no edge for 0."""

    half: Half
    variance: Formula

    @property
    def slope(self) -> Formula:
        return recognise_exact(self.half.slope)

    @property
    def edge(self) -> Formula:
        return recognise_exact(self.half.edge)

    @property
    def sign(self) -> Formula:
        return number(self.half.side)

    def to_edge(self, k: int) -> Formula:
        """sign edge^k, what y^k is on the edge."""
        return mul(self.sign, power(self.edge, number(k)))


@dataclass(frozen=True, slots=True)
class _Corner:
    """exp(a y) 1(y > h) exp(b z) 1(z > k), y on the ``left``."""

    left: _Side
    right: _Side

    @property
    def turned(self) -> _Corner:
        """With y and z exchanged."""
        return _Corner(self.right, self.left)

    @property
    def ordered(self) -> _Corner:
        """With y, of variance p, on the left."""
        return self if self.left.variance == P else self.turned

    def variance(self) -> tuple[Formula, Formula]:
        """w = q - c^2 / p."""
        y, z = self.left, self.right
        return z.variance, neg(mul(power(C, TWO), reciprocal(y.variance)))

    def on_edge_alone(self) -> Sums:
        """S_0 = p phi(h) exp(a h + b m + b^2 w / 2) P(z > k) of z with mean m + b w."""
        y, z = self.left, self.right
        p = y.variance
        half = mul(HALF, power(z.slope, TWO))
        shift = mul(z.slope, C, y.edge, reciprocal(p))
        size = add(
            mul(y.slope, y.edge), neg(mul(HALF, power(y.edge, TWO), reciprocal(p))), shift,
            *(mul(half, part) for part in self.variance()),
        )  # fmt: skip
        base = mul(root_formula(mul(p, reciprocal(mul(TWO, PI)))), _exp(size))
        if not z.half.side:
            return {base: ONE}
        apart = mul(z.sign, add(mul(z.edge, p), neg(mul(C, y.edge))))
        whole = isinstance(apart, Sum)
        scaled = mul(apart, root_formula(mul(TWO, p), -1)) if whole else _over_root(apart, p)
        shift = mul(neg(z.sign), z.slope, ORTHOGONAL, root_formula(mul(TWO, p), -1))
        beyond = _beyond(add(mul(scaled, root_formula(DETERMINANT, -1)), shift))
        return {mul(base, k): x for k, x in beyond.items()}

    def at_corner(self) -> Formula:
        """T, the exponent in one fraction where an edge is 0."""
        y, z = self.ordered.left, self.ordered.right
        sizes = [
            mul(power(a.edge, TWO), b.variance, reciprocal(DETERMINANT))
            for a, b in ((y, z), (z, y))
        ]
        if ZERO not in sizes:
            sign = number(-1 if z.half.edge < 0 else 1)
            apart = add(mul(sign, P, z.edge), neg(mul(sign, C, y.edge)))
            sizes = [mul(power(x, TWO), reciprocal(P)) for x in (y.edge, apart)]
            sizes[1] = mul(sizes[1], reciprocal(DETERMINANT))
        shifts = (mul(x.slope, x.edge) for x in (y, z))
        size = add(*shifts, *(mul(neg(HALF), x) for x in sizes))
        return mul(reciprocal(mul(TWO, PI)), ORTHOGONAL, _exp(size))

    def probability(self) -> Sums:
        """exp(E (a y + b z)^2 / 2) P(y > h - a p - b c, z > k - a c - b q)."""
        y, z = self.left, self.right
        squares = (mul(HALF, power(x.slope, TWO), x.variance) for x in (y, z))
        size = _exp(add(*squares, mul(y.slope, z.slope, C)))
        found: Sums = {ONE: ONE}
        if y.half.side and z.half.side:
            found = self._quadrant()
        elif y.half.side or z.half.side:
            found = self._half_plane() if y.half.side else self.turned._half_plane()
        return {mul(size, base): x for base, x in found.items()}

    def _apart(self) -> Formula:
        """side (h - a p - b c)."""
        y, z = self.left, self.right
        return mul(y.sign, add(y.edge, neg(mul(y.slope, y.variance)), neg(mul(z.slope, C))))

    def _half_plane(self) -> Sums:
        """The probability of y alone: erf shows that it is 1 / 2 for h = 0, erfc keeps what is left
        where it is small and its factor large."""
        y = self.left
        apart = self._apart()
        if y.half.slope or self.right.half.slope or not y.half.edge:
            return _beyond(_over_root(apart, y.variance))
        distance = mul(recognise_exact(abs(y.half.edge)), root_formula(mul(TWO, y.variance), -1))
        sign = -y.half.side if y.half.edge > 0 else y.half.side
        return {ONE: HALF, Apply("erf", (distance,)): mul(number(sign), HALF)}

    def _quadrant(self) -> Sums:
        """The probability of a quadrant."""
        y, z = self.ordered, self.ordered.turned
        sign = mul(y.left.sign, z.left.sign)
        scaled = tuple(neg(_over_root(x._apart(), x.left.variance, ONE)) for x in (y, z))
        if scaled == (ZERO, ZERO):
            return {ONE: Number(Fraction(1, 4)), mul(reciprocal(mul(TWO, PI)), ARCSINE): sign}
        return {Apply(BIVARIATE, (*scaled, mul(sign, CORRELATION))): ONE}


@lru_cache(4096)
def _moment(corner: _Corner, i: int, j: int) -> Sums:
    """E y^i exp(a y) 1(y > h) z^j exp(b z) 1(z > k)."""
    if i == 0:
        return _moment(corner.turned, j, i) if j else corner.probability()
    y, z = corner.left, corner.right
    total: Sums = defaultdict(lambda: ZERO)
    lower = _moment(corner, i - 1, j)
    _put(total, lower, mul(y.slope, y.variance))
    _put(total, lower, mul(z.slope, C))
    if i > 1:
        _put(total, _moment(corner, i - 2, j), mul(number(i - 1), y.variance))
    if j:
        _put(total, _moment(corner, i - 1, j - 1), mul(number(j), C))
    if y.half.side:
        _put(total, _on_edge(corner, j), y.to_edge(i - 1))
    if z.half.side:
        share = mul(C, reciprocal(z.variance), z.to_edge(j))
        _put(total, _on_edge(corner.turned, i - 1), share)
    return total


@lru_cache(4096)
def _on_edge(corner: _Corner, j: int) -> Sums:
    """S_j."""
    y, z = corner.left, corner.right
    if j == 0:
        return corner.on_edge_alone()
    total: Sums = defaultdict(lambda: ZERO)
    before = _on_edge(corner, j - 1)
    _put(total, before, mul(C, y.edge, reciprocal(y.variance)))
    for part in corner.variance():
        _put(total, before, mul(z.slope, part))
        if j > 1:
            _put(total, _on_edge(corner, j - 2), mul(number(j - 1), part))
    if z.half.side:
        _put(total, {corner.at_corner(): ONE}, z.to_edge(j - 1))
    return total


def _exp(x: Formula) -> Formula:
    return ONE if x == ZERO else exp(x)


def _over_root(x: Formula, variance: Formula, factor: Formula = TWO) -> Formula:
    """x / (factor variance)^(1/2), term by term."""
    under = root_formula(mul(factor, variance), -1)
    terms = x.terms if isinstance(x, Sum) else (x,)
    above = root_formula(mul(reciprocal(factor), variance))
    return add(
        *(mul(t, reciprocal(variance), above) if variance in factors_of(t) else mul(t, under)
          for t in terms)
    )  # fmt: skip


def _beyond(x: Formula) -> Sums:
    """P(u > 2^(1/2) x) of a standard Gaussian u."""
    return {ONE: HALF} if x == ZERO else {Apply("erfc", (x,)): HALF}
