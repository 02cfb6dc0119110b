"""Moments of a bivariate normal law over half planes, M_ij = E x^i y^j 1(x > h) 1(y > k).

M_00 is found by Owen's T function (Owen 1956). Of laws that exponentials have shifted the moments
are found times exp((a^2 + 2 rho a b + b^2) / 2), which may be huge where they are tiny: with
b = (k - rho h) / sine and c = (h - rho k) / sine, for h, k > 0

    P(x > h, y > k) = S(h, b) + S(k, c),    h^2 + b^2 = k^2 + c^2,
    S(h, b) = exp(-(h^2 + b^2) / 2) / 2 pi int_0^oo exp(-b u - u^2 / 2) h / (h^2 + (b + u)^2) du

for b >= 0, and S(h, -b) = P(x > h) - S(h, b).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nexort.activations import Array
from nexort.gaussian.covariance import Covariance
from nexort.gaussian.quadrature import density


@dataclass(frozen=True)
class StandardizedLaw:
    """Of standardized x and y: standard deviations, the correlation, 1 - rho, 1 + rho, its sine."""

    s: Array
    t: Array
    rho: Array
    gap: Array
    rest: Array
    sine: Array

    @staticmethod
    def of(k: Covariance) -> StandardizedLaw:
        arrays = (k.left_std, k.right_std, k.rho, k.one_minus_rho, k.one_plus_rho, k.sine)
        s, t, *others = (np.asarray(x, float) for x in arrays)
        return StandardizedLaw(np.where(s > 0, s, 1), np.where(t > 0, t, 1), *others)

    def part(self, rows: Any, shape: tuple[int, ...]) -> StandardizedLaw:
        """Of some rows of a matrix of that shape."""
        if not shape:
            return self
        arrays = (self.s, self.t, self.rho, self.gap, self.rest, self.sine)
        whole = (x.ndim == len(shape) and len(x) == shape[0] for x in arrays)
        return StandardizedLaw(*(x[rows] if w else x for x, w in zip(arrays, whole, strict=True)))

    def turned(self, sign: int) -> StandardizedLaw:
        """Of x and sign y."""
        if sign > 0:
            return self
        return StandardizedLaw(self.s, self.t, -self.rho, self.rest, self.gap, self.sine)


class Moments:
    """M_ij = E x^i y^j 1(x > h) 1(y > k), each found once; None for no edge. ``terms`` is the size
    of the numbers of which M_00 is a sum."""

    def __init__(self, law: StandardizedLaw, h: Any, k: Any) -> None:
        self.law, self.h, self.k = law, h, k
        self.known: dict[tuple[int, int], Any] = {}
        self.terms: Any = 1.0
        self.means: tuple[Any, Any] = (0.0, 0.0)
        # (k - rho h) / sine and (h - rho k) / sine
        self.across: Any = None if h is None or k is None else self._across(h, k)
        self.along: Any = None if h is None or k is None else self._across(k, h)

    def _across(self, h: Any, k: Any) -> Array:
        law = self.law
        near = (k - h) + h * law.gap
        top = np.where(law.rho > 0, near, (k + h) - h * law.rest)
        return np.asarray(np.where(top == 0, 0, top / law.sine))

    def __call__(self, i: int, j: int) -> Any:
        if (i, j) not in self.known:
            self.known[i, j] = self._of(i, j)
        return self.known[i, j]

    def _of(self, i: int, j: int) -> Any:
        if i == j == 0:
            return self._both()
        law = self.law
        total: Any = 0.0
        if i:
            i -= 1
            total = total + (i * self(i - 1, j) if i > 0 else 0)
            total = total + (law.rho * j * self(i, j - 1) if j else 0)
            factors: tuple[Any, Any] = (1.0, law.rho)
        else:
            j -= 1
            total = total + (j * self(i, j - 1) if j > 0 else 0)
            factors = (law.rho, 1.0)
        if self.h is not None:
            inner = self._truncated(j, self.h, self.k, self.across)
            total = total + factors[0] * self.h**i * inner
        if self.k is not None:
            inner = self._truncated(i, self.k, self.h, self.along)
            total = total + factors[1] * self.k**j * inner
        return total

    def _truncated(self, n: int, given: Any, edge: Any, scaled: Any) -> Any:
        """phi(given) E[y^n 1(y > edge) | x = given], ``scaled`` the edge in standard deviations."""
        mean, width = self.law.rho * given, self.law.sine
        first, corner = self._boundary(given, edge, scaled)
        found: list[Any] = [first]
        for j in range(1, n + 1):
            value = mean * found[j - 1]
            if j > 1:
                value = value + (j - 1) * width * width * found[j - 2]
            if edge is not None:
                value = value + width * edge ** (j - 1) * corner
            found.append(value)
        return found[n]

    def _boundary(self, given: Any, edge: Any, scaled: Any) -> tuple[Any, Any]:
        """phi(given) P(y > edge | x = given) and phi(given) phi(scaled)."""
        from scipy.special import ndtr

        height = density(given)
        return (height, 0.0) if edge is None else (height * ndtr(-scaled), height * density(scaled))

    def _both(self) -> Any:
        """M_00 = P(x > h, y > k)."""
        from scipy.special import ndtr, owens_t

        h, k = self.h, self.k
        if h is None or k is None:
            return 1.0 if h is None and k is None else ndtr(-(k if h is None else h))
        # T(h, (k - rho h) / (h sine)), at h = 0 its limit from the side where -h > 0
        first = owens_t(h, np.where(h == 0, np.copysign(np.inf, -k), self.across / h))
        second = owens_t(k, np.where(k == 0, np.copysign(np.inf, -h), self.along / k))
        apart = (h * k < 0) | ((h * k == 0) & (h + k > 0))
        value = (ndtr(-h) + ndtr(-k)) / 2 - first - second - 0.5 * apart
        law = self.law
        zero = (h == 0) & (k == 0)
        if np.any(zero):
            angle = 2 * np.arctan2(np.sqrt(law.gap), np.sqrt(law.rest))
            value = np.where(zero, 0.5 - angle / (2 * np.pi), value)
        return np.maximum(value, 0)


_RULE: Any = np.polynomial.legendre.leggauss(40)
NODES, WEIGHTS = (_RULE[0] + 1) / 2, _RULE[1] / 2
"""Gauss-Legendre on [0, 1]."""

LONGEST = 9.0
"""exp(-u^2 / 2) is less than a rounding beyond."""

BEYOND = 1e100
"""For an infinite b, of equal or opposite variables: the integral is 0 in float64."""

DIRECT = 4.0
"""h^2 + b^2 up to which P(x > h, y > k) is not small."""


class Lifted(Moments):
    """The moments after a shift by exponentials, times exp(lift), for
    lift = (x^2 + 2 rho x y + y^2) / 2: only exponents without cancellation are formed, in terms of
    the edges before the shift."""

    def __init__(self, law: StandardizedLaw, h: Any, k: Any, x: Any, y: Any) -> None:
        super().__init__(law, h, k)
        self.means = (self._shift(x, y), self._shift(y, x))
        self.lift = (x * x + 2 * law.rho * x * y + y * y) / 2
        # of exp(lift) phi(h), exp(lift) phi(k), and exp(lift) phi(h) phi(across)
        own = ((h, self.means[0], y), (k, self.means[1], x))
        self.exponents: tuple[Any, ...] = tuple(
            None if e is None else e * m - e * e / 2 + (z * law.sine) ** 2 / 2 for e, m, z in own
        )
        if h is not None and k is not None:
            self.corner = x * h + y * k - (h * h + self.across * self.across) / 2
            self.across = self.across - y * law.sine
            self.along = self.along - x * law.sine
        self.h = None if h is None else h - self.means[0]
        self.k = None if k is None else k - self.means[1]

    def _shift(self, x: Any, y: Any) -> Any:
        """x + rho y, 0 for opposite variables with equal slopes."""
        law = self.law
        return np.where(law.rho < 0, (x - y) + y * law.rest, (x + y) - y * law.gap)

    def _boundary(self, given: Any, edge: Any, scaled: Any) -> tuple[Any, Any]:
        from scipy.special import erfcx, ndtr

        exponent = self.exponents[given is not self.h]
        root = 1 / math.sqrt(2 * math.pi)
        if edge is None:
            return root * np.exp(exponent), 0.0
        corner = np.exp(self.corner)
        tail = np.where(
            scaled > 0,
            corner * erfcx(np.maximum(scaled, 0) / math.sqrt(2)) / 2,
            np.exp(exponent) * ndtr(-scaled),
        )
        return root * tail, root * root * corner

    def _tail(self, h: Any, exponent: Any) -> Any:
        """exp(lift) P(x > h)."""
        from scipy.special import erfcx, ndtr

        far = np.exp(exponent) * erfcx(np.maximum(h, 0) / math.sqrt(2)) / 2
        return np.where(h > 0, far, np.exp(self.lift) * ndtr(-h))

    def _both(self) -> Any:
        h, k = self.h, self.k
        if h is None or k is None:
            if h is None and k is None:
                return np.exp(self.lift)
            return self._tail(*((h, self.exponents[0]) if k is None else (k, self.exponents[1])))
        first = self._sector(h, self.across, self.exponents[0])
        second = self._sector(k, self.along, self.exponents[1])
        whole = np.where((h < 0) & (k < 0), np.exp(self.lift), 0)
        value = whole + np.where(h < 0, -first, first) + np.where(k < 0, -second, second)
        self.terms = whole + np.abs(first) + np.abs(second)
        zero = (h == 0) & (k == 0)
        if np.any(zero):
            angle = 2 * np.arctan2(np.sqrt(self.law.gap), np.sqrt(self.law.rest))
            value = np.where(zero, np.exp(self.lift) * (0.5 - angle / (2 * np.pi)), value)
        return np.maximum(value, 0)

    def _sector(self, h: Any, b: Any, exponent: Any) -> Any:
        """exp(lift) S(|h|, b)."""
        from scipy.special import ndtr, owens_t

        h, b, exponent, lift, corner = np.broadcast_arrays(
            np.abs(h), b, exponent, self.lift, self.corner
        )
        slope = np.where(h == 0, np.copysign(np.inf, b), b / np.where(h == 0, 1, h))
        found = np.asarray(np.exp(lift) * (ndtr(-h) / 2 - owens_t(h, slope)))
        far = h * h + b * b > DIRECT
        if np.any(far):
            inner = np.exp(corner[far]) * _ray(h[far], np.abs(b[far]))
            outer = self._half_plane(h[far], exponent[far])
            found[far] = np.where(b[far] < 0, outer - inner, inner)
        return found

    def _half_plane(self, h: Any, exponent: Any) -> Any:
        from scipy.special import erfcx

        return np.exp(exponent) * erfcx(h / math.sqrt(2)) / 2


def _ray(h: Array, b: Array) -> Array:
    """1 / 2 pi int_0^oo exp(-b u - u^2 / 2) h / (h^2 + (b + u)^2) du, for h^2 + b^2 > DIRECT."""
    b = np.minimum(b, BEYOND)
    length = np.minimum(LONGEST, 40 / np.maximum(b, 1))
    total = np.zeros(h.shape)
    for node, weight in zip(NODES, WEIGHTS, strict=True):
        u = length * node
        total += weight * np.exp(-u * (b + u / 2)) * h / (h * h + (b + u) ** 2)
    return total * length / (2 * math.pi)
