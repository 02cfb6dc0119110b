"""E f(z_a) g(z_b) of piecewise polynomials with a kink at 0, in one formula.

With x_a, x_b of unit variance, correlation rho and angle theta = arccos(rho), Stein's lemma gives

    E x_a^j x_b^k                   = W_jk(rho)                                      (Wick)
    E x_a^j s(x_a) x_b^k            = (2 / pi)^(1/2) V_jk(rho)
    E x_a^j s(x_a) x_b^k s(x_b)     = (2 / pi) [P_jk(rho) arcsin(rho) + Q_jk(rho) sin(theta)]

with polynomials of rational coefficients and s the sign; the arc-cosine kernels of Cho and Saul
(2009) are the case of x^k step(x).
"""

from __future__ import annotations

import math
from collections import defaultdict
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

from nexort.activations import Array
from nexort.gaussian import sides
from nexort.gaussian.covariance import Covariance
from nexort.gaussian.terms import INFINITE, Terms

Polynomial = dict[int, Fraction]
"""Power of rho -> coefficient."""


def _plus(p: Polynomial, q: Polynomial, factor: Fraction | int = 1, shift: int = 0) -> Polynomial:
    """p + factor rho^shift q."""
    total: Polynomial = defaultdict(Fraction, p)
    for k, c in q.items():
        total[k + shift] += factor * c
    return {k: c for k, c in total.items() if c}


def double_factorial(n: int) -> int:
    """n!!, 1 for n <= 0."""
    return math.prod(range(n, 0, -2))


@lru_cache(None)
def wick(j: int, k: int) -> Polynomial:
    """W_jk: E x_a^j x_b^k."""
    if (j + k) % 2:
        return {}
    if j == 0 or k == 0:
        return {0: Fraction(double_factorial(j + k - 1))}
    first = {} if j < 2 else wick(j - 2, k)
    return _plus(_plus({}, first, j - 1), wick(j - 1, k - 1), k, 1)


@lru_cache(None)
def half(j: int, k: int) -> Polynomial:
    """V_jk: E x_a^j s(x_a) x_b^k (pi / 2)^(1/2), by E x_b F = rho E d_a F + E d_b F."""
    if (j + k) % 2 == 0:
        return {}
    if k == 0:  # E |x|^j = (2 / pi)^(1/2) (j - 1)!! for odd j
        return {0: Fraction(double_factorial(j - 1))}
    total: Polynomial = {} if k < 2 else _plus({}, half(j, k - 2), k - 1)
    if j:
        return _plus(total, half(j - 1, k - 1), j, 1)
    # d_a s(x_a) = 2 delta(x_a): x_b is then of variance 1 - rho^2
    return _plus(total, _sine_power(k - 1), double_factorial(k - 2), 1)


def _sine_power(n: int) -> Polynomial:
    """(1 - rho^2)^(n / 2) for even n."""
    m = n // 2
    return {2 * i: Fraction((-1) ** i * math.comb(m, i)) for i in range(m + 1)}


@lru_cache(None)
def sign_recursion(j: int, k: int) -> tuple[Polynomial, Polynomial]:
    """(P_jk, Q_jk), by E x_a F = E d_a F + rho E d_b F."""
    if (j + k) % 2:
        return {}, {}
    if j == 0 and k == 0:
        return {0: Fraction(1)}, {}
    if j == 0:
        return sign_recursion(k, j)
    p: Polynomial = {}
    q: Polynomial = {}
    if j >= 2:
        p, q = (_plus({}, x, j - 1) for x in sign_recursion(j - 2, k))
    else:  # 2 delta(x_a) E[|x_b|^k], k odd: (2 / pi) (k - 1)!! sin^k
        q = _plus(q, _sine_power(k - 1), double_factorial(k - 1))
    if k:
        inner = sign_recursion(j - 1, k - 1)
        return _plus(p, inner[0], k, 1), _plus(q, inner[1], k, 1)
    # rho 2 delta(x_b) E[x_a^(j-1) s(x_a)], j - 1 odd: (2 / pi) (j - 2)!! sin^(j-1)
    return p, _plus(q, _sine_power(j - 2), double_factorial(j - 2), 1)


Floats = tuple[float, ...]
Row = tuple[int, int, Floats, Floats, Floats]


def orthant_rows(f: Terms, g: Terms) -> list[Row]:
    """``(j, k, A, B, C)``: the sum of s_a^j s_b^k [A(rho) - B(rho) theta + C(rho) sin(theta)]."""
    groups: dict[tuple[int, int], tuple[dict[int, float], ...]] = {}
    for a, c in f.items():
        for b, d in g.items():
            where = groups.setdefault((a.power, b.power), ({}, {}, {}))
            for into, polynomial, factor in _parts(a.power, bool(a.edge), b.power, bool(b.edge)):
                for power, x in polynomial.items():
                    value = where[into].get(power, 0.0) + c * d * factor * _float(x)
                    where[into][power] = value
    found: list[Row] = []
    for (j, k), parts in sorted(groups.items()):
        even, angle, sine = (_dense(x) for x in parts)
        if even or angle or sine:
            found.append((j, k, even, angle, sine))
    return found


def _parts(j: int, a: bool, k: int, b: bool) -> list[tuple[int, Polynomial, float]]:
    if a and b:
        p, q = sign_recursion(j, k)
        return [(0, p, 1.0), (1, p, 2 / math.pi), (2, q, 2 / math.pi)]
    if a or b:
        polynomial = half(j, k) if a else half(k, j)
        return [(0, polynomial, math.sqrt(2 / math.pi))]
    return [(0, wick(j, k), 1.0)]


def _float(x: Fraction) -> float:
    """Infinite beyond the range."""
    try:
        return float(x)
    except OverflowError:
        return math.inf if x > 0 else -math.inf


def _dense(polynomial: dict[int, float]) -> Floats:
    degree = max((k for k, c in polynomial.items() if c), default=-1)
    return tuple(polynomial.get(k, 0.0) for k in range(degree + 1))


def orthant_sum(table: list[Row], covariance: Covariance) -> Array:
    """The sum of the rows on arrays."""
    total: Array | None = None
    for j, k, even, angle, sine in table:
        value: Any = 0.0
        owned = False
        for polynomial, factor in ((angle, "angle"), (sine, "sine"), (even, "")):
            if not polynomial:
                continue
            part = _horner(polynomial, covariance.rho)
            if factor:
                part = part * getattr(covariance, factor)
            if factor == "angle":
                part = np.negative(part, out=part) if isinstance(part, np.ndarray) else -part
            if owned and isinstance(value, np.ndarray):
                value += part
            else:
                value = value + part
                owned = isinstance(part, np.ndarray)
        if j or k:
            value = value * _power(covariance.left_std, j)
            value = value * _power(covariance.right_std, k)
        total = value if total is None else total + value
    if total is None:
        total = np.zeros((), covariance.dtype)
    return np.broadcast_to(np.asarray(total, covariance.dtype), covariance.shape)


def _horner(polynomial: Floats, x: Array) -> Any:
    if len(polynomial) == 1:
        return polynomial[0]
    value: Any = polynomial[-1]
    for c in polynomial[-2::-1]:
        value = value * x
        if c:
            value += c
    return value


def _power(x: Array, k: int) -> Array | float:
    if k == 0:
        return 1.0
    return x if k == 1 else np.asarray(x**k)


def jump(f: Terms) -> float:
    """f(0+) - f(0-), of a sum with known atoms."""
    return sum(2 * c for a, c in f.items() if a.edge == INFINITE and not (a.power or a.other))


def straight(f: Terms) -> tuple[float, float] | None:
    """(u, v) of f = u z + v |z|, else None."""
    if not all(atom.kink and atom.power == 1 for atom in f):
        return None
    u = sum(c for atom, c in f.items() if not atom.edge)
    return u, sum(c for atom, c in f.items() if atom.edge)


def evaluate_straight(
    f: tuple[float, float], g: tuple[float, float], covariance: Covariance
) -> Array:
    """s_a s_b [(u u' + v v') rho + (2 / pi) v v' (sin theta - theta rho)]."""
    bent = f[1] * g[1]
    value = np.multiply(covariance.rho, f[0] * g[0] + bent)
    if bent:
        part = np.multiply(covariance.wedge, 2 / math.pi * bent)
        value = np.add(value, part, out=part if part.ndim else None)
    value = value * covariance.left_std
    value = value * covariance.right_std
    return np.broadcast_to(np.asarray(value, covariance.dtype), covariance.shape)


def orthant_gap(f: Terms, covariance: Covariance) -> Array | None:
    """The gap (``nexort.gaussian.sides``) of f(z_a) and f(z_b), with share = v^2 / (u^2 + v^2):

        f = u z + v |z|:       1 - rho' = (1 - share) (1 - rho) + share (1 - J),
                               1 + rho' = (1 - share) (1 + rho) + share (1 + J),
        f = u + v sign(z):     1 - rho' = share 2 theta / pi,
                               1 + rho' = 2 (1 - share) + share 2 (pi - theta) / pi,

    1 - J = 1 - |rho| - (2 / pi) (sin t - t cos t) with t = arccos |rho|. Where z_a is 0, so is
    u z + v |z|, but u + v sign(z) is u: rho' = |u| / (u^2 + v^2)^(1/2), 1 where z_b is 0 too. None
    for other f.
    """
    found = straight(f)
    if found is None or found == (0.0, 0.0):
        return _gap_after_signs(f, covariance)
    u, v = found
    share = v * v / (u * u + v * v)
    gap = np.asarray(covariance.one_minus_rho)
    found_gap = np.asarray(covariance.wedge * (-2 / math.pi * share) if v else 0.0)
    found_gap = np.asarray(np.add(gap, found_gap))
    far = gap > 2 - sides.OPPOSITE
    if far.any():
        rest = np.broadcast_to(covariance.one_plus_rho, gap.shape)[far]
        bent = rest - 2 / math.pi * _wedge(rest)
        less = (1 - share) * gap[far] + share * bent
        found_gap[far] = sides.gap_of_sides(less, (1 - share) * rest + share * (2 - bent))
    return found_gap


def _wedge(gap: Array) -> Array:
    """sin t - t cos t of t = arccos(1 - gap)."""
    one = np.ones((), gap.dtype)
    return Covariance(one, one, 1 - gap, gap).wedge


def _gap_after_signs(f: Terms, covariance: Covariance) -> Array | None:
    if not all(atom.kink and atom.power == 0 for atom in f):
        return None
    u = sum(c for atom, c in f.items() if not atom.edge)
    v = sum(c for atom, c in f.items() if atom.edge)
    if not v:
        return None
    share = 2 / math.pi * v * v / (u * u + v * v)
    less = np.asarray(covariance.angle * share)
    rest = 2 * np.arcsin(np.sqrt(np.asarray(covariance.one_plus_rho) * 0.5))
    found = sides.gap_of_sides(less, share * rest + 2 * u * u / (u * u + v * v))
    if covariance.least > 0:
        return found
    none, other = covariance.left == 0, covariance.right == 0
    one = 1 - abs(u) / math.hypot(u, v)
    return np.where(none & other, 0.0, np.where(none | other, one, found)).astype(found.dtype)
