"""The closed forms as sympy expressions: the formulas of ``orthant``, ``edges`` and ``waves``."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from nexort.gaussian import catalogue, orthant, pairs
from nexort.gaussian.terms import INFINITE, Atom, Terms, normal_form
from nexort.gaussian.univariate import Univariate


def family(f: Terms, g: Terms) -> tuple[str, str]:
    """(name, citation) of the family with this pair."""
    atoms = (*f, *g)
    if all(a.kink and not a.edge for a in atoms):
        return "polynomials", catalogue.ISSERLIS
    if all(a.kink for a in atoms):
        return "piecewise polynomials", catalogue.CHO
    if all(a.edges for a in atoms):
        return "error functions and Gaussians", catalogue.TSUCHIDA
    if all(a.waves for a in atoms):
        return "exponentials and waves", catalogue.RAHIMI
    return "polynomials times waves", "Stein's lemma"


def expectation(f: Univariate, g: Univariate, kaa: Any, kab: Any, kbb: Any) -> Any:
    """E f(z_a) g(z_b), for a pair with a closed form."""
    import sympy

    a, c, b = (sympy.sympify(k) for k in (kaa, kab, kbb))
    if f == g and f.node is catalogue.registry()["gelu"].function.node:
        return _gelu(a, c, b)
    first, second = normal_form(f.node), normal_form(g.node)
    if all(x.kink for x in (*first, *second)):
        return _orthant(first, second, a, c, b)
    total: Any = sympy.Integer(0)
    for x, p in first.items():
        for y, q in second.items():
            total += exact(p) * exact(q) * _pair(x, y, a, c, b)
    return sympy.simplify(total) if len(first) * len(second) > 1 else total


def exact(value: float) -> Any:
    """The rational or quadratic irrational (also over pi) that a float is the nearest to."""
    import sympy

    for build, candidate in _CANDIDATES:
        found = Fraction(candidate(value)).limit_denominator(5000)
        result = build(sympy, found)
        if found and abs(float(result) - abs(value)) <= 4e-16 * abs(value):
            return result if value > 0 else -result
    return sympy.Integer(0) if value == 0 else sympy.Float(value, 17)


Build = Callable[[Any, Fraction], Any]
_CANDIDATES: tuple[tuple[Build, Callable[[float], float]], ...] = (
    (lambda s, x: s.Rational(x.numerator, x.denominator), abs),
    (lambda s, x: s.sqrt(s.Rational(x.numerator, x.denominator)), lambda v: v * v),
    (lambda s, x: s.Rational(x.numerator, x.denominator) / s.pi, lambda v: abs(v) * math.pi),
    (
        lambda s, x: s.sqrt(s.Rational(x.numerator, x.denominator) / s.pi),
        lambda v: v * v * math.pi,
    ),
)


def _gelu(a: Any, c: Any, b: Any) -> Any:
    import sympy as s

    p, q = 1 + a, 1 + b
    root = s.sqrt(p * q - c**2)
    inner = c * s.asin(c / s.sqrt(p * q)) + (a * b - c**2 + c**2 * (1 / p + 1 / q)) / root
    return c / 4 + inner / (2 * s.pi)


def _orthant(f: Terms, g: Terms, a: Any, c: Any, b: Any) -> Any:
    """Every product of powers over s_a^j s_b^k, with the angle as arccos."""
    import sympy as s

    scale = s.sqrt(a * b)
    rho = s.Integer(1) if a == b == c else c / scale
    theta, sine = s.acos(rho), s.sqrt(1 - rho**2)
    if rho != 1:
        sine = s.sqrt(a * b - c**2) / scale
    total: Any = s.Integer(0)
    for x, p in f.items():
        for y, q in g.items():
            j, k = x.power, y.power
            if x.edge and y.edge:
                angle, rest = orthant.signed(j, k)
                value = 2 / s.pi * (_at(angle, rho) * (s.pi / 2 - theta) + _at(rest, rho) * sine)
            elif x.edge or y.edge:
                polynomial = orthant.half(j, k) if x.edge else orthant.half(k, j)
                value = s.sqrt(2 / s.pi) * _at(polynomial, rho)
            else:
                value = _at(orthant.wick(j, k), rho)
            total += exact(p) * exact(q) * s.sqrt(a) ** j * s.sqrt(b) ** k * value
    return s.collect(s.expand(total), (theta, s.sqrt(a * b - c**2)))


def _at(polynomial: orthant.Polynomial, rho: Any) -> Any:
    import sympy

    return sum(
        (sympy.Rational(x.numerator, x.denominator) * rho**k for k, x in polynomial.items()),
        sympy.Integer(0),
    )


def _pair(x: Atom, y: Atom, a: Any, c: Any, b: Any) -> Any:
    if x.edges and y.edges:
        return _edges(x, y, a, c, b)
    if x.waves and y.waves:
        return _waves(x, y, a, c, b)
    return _stein(x.power, y, a, c, b) if x.edges else _stein(y.power, x, b, c, a)


def _edges(x: Atom, y: Atom, a: Any, c: Any, b: Any) -> Any:
    """The recursion of ``edges``, over variances instead of standard deviations."""
    import sympy as s

    factor: Any = s.Integer(1)
    if x.tilt:
        share = 1 / (1 + exact(x.tilt) * a)
        factor, (a, c, b) = factor * s.sqrt(share), _reduced(a, c, b, share)
    if y.tilt:
        share = 1 / (1 + exact(y.tilt) * b)
        factor, (b, c, a) = factor * s.sqrt(share), _reduced(b, c, a, share)
    return s.simplify(factor) * _moment(x.power, x.edge, y.power, y.edge, (a, c, b))


def _reduced(a: Any, c: Any, b: Any, share: Any) -> tuple[Any, Any, Any]:
    import sympy

    return a * share, c * share, sympy.simplify(b - c**2 / a * (1 - share))


def _moment(j: int, p: float, k: int, q: float, law: tuple[Any, Any, Any]) -> Any:
    import sympy as s

    a, c, b = law
    if (j + k + bool(p) + bool(q)) % 2:
        return s.Integer(0)
    if j == 0 and k == 0:
        if p and q:
            return 2 / s.pi * s.asin(c / s.sqrt(_wide(p, a) * _wide(q, b)))
        return s.Integer(0 if p or q else 1)
    if j == 0:
        return _moment(k, q, j, p, (b, c, a))
    total = s.Integer(0)
    if j >= 2:
        total += (j - 1) * a * _moment(j - 2, p, k, q, law)
    if k:
        total += k * c * _moment(j - 1, p, k - 1, q, law)
    if p:
        share = 1 - a / _wide(p, a)
        weight = s.sqrt(2 / s.pi) * a / s.sqrt(_wide(p, a))
        total += weight * _moment(j - 1, 0.0, k, q, _reduced(a, c, b, share))
    if q:
        share = 1 - b / _wide(q, b)
        weight = s.sqrt(2 / s.pi) * c / s.sqrt(_wide(q, b))
        right, cross, left = _reduced(b, c, a, share)
        total += weight * _moment(j - 1, p, k, 0.0, (left, cross, right))
    return total


def _wide(p: float, a: Any) -> Any:
    """a + 1 / (2 p^2): erf(p z) is the mean sign of z plus noise of variance 1 / (2 p^2)."""
    return a if p == INFINITE else a + 1 / (2 * exact(p) ** 2)


def _waves(x: Atom, y: Atom, a: Any, c: Any, b: Any) -> Any:
    import sympy as s

    kinds = {x.wave, y.wave}
    p, q = (exact(z.frequency if z.wave else z.slope) for z in (x, y))
    squares = (p**2 * a, q**2 * b)
    signs = [-1 if z.wave else 1 for z in (x, y)]
    size = s.exp(sum(sign * v for sign, v in zip(signs, squares, strict=True)) / 2)
    cross = p * q * c
    if kinds == {"sin", "cos"}:
        return s.Integer(0)
    if kinds in ({"sin"}, {"cos"}):
        return size * (s.sinh(cross) if "sin" in kinds else s.cosh(cross))
    if kinds == {""}:
        return size * s.exp(cross)
    return size * (s.sin(cross) if "sin" in kinds else s.cos(cross))


def _stein(j: int, wave: Atom, a: Any, c: Any, b: Any) -> Any:
    import sympy as s

    if j == 0:
        if wave.wave == "sin":
            return s.Integer(0)
        return s.exp((exact(wave.slope) ** 2 - exact(wave.frequency) ** 2) / 2 * b)
    following, factor = pairs.slope(wave)
    total = c * exact(factor) * _stein(j - 1, following, a, c, b)
    return total + (j - 1) * a * _stein(j - 2, wave, a, c, b) if j >= 2 else total
