"""Piecewise exponentials of Gaussians of any variance, beside an integral of one variable."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from nexort.gaussian.covariance import Covariance
from nexort.gaussian.pieces import pieces_expectation
from nexort.gaussian.univariate import Univariate
from nexort.gaussian.variable import SLOT
from nexort.program import build

mpmath.mp.dps = 30
ELU = Univariate.of(build.call("elu", SLOT))
SHIFTED = Univariate.of(build.call("elu", build.call("sub", SLOT, build.constant(0.4))))
ENDS = (-14, -8, -4, -2, -1, -0.5, -0.1, 0, 0.1, 0.5, 1, 2, 4, 8, 14)


def integral(p: float, q: float, c: float, edge: float) -> float:
    """E elu(z_a - edge) elu(z_b): over z_b given z_a in closed form, over z_a numerically."""
    s, t = mpmath.sqrt(p), mpmath.sqrt(q)
    rho = mpmath.mpf(c) / (s * t)
    width = t * mpmath.sqrt(1 - rho**2)

    def outer(z: mpmath.mpf) -> mpmath.mpf:
        return z if z > 0 else mpmath.expm1(z)

    def inner(mean: mpmath.mpf) -> mpmath.mpf:
        at = mean / width
        tail = mpmath.exp(mean + width**2 / 2) * mpmath.ncdf(-at - width) - mpmath.ncdf(-at)
        return mean * mpmath.ncdf(at) + width * mpmath.npdf(at) + tail

    ends = sorted({*map(mpmath.mpf, ENDS), mpmath.mpf(edge) / s})
    value = mpmath.quad(lambda x: outer(s * x - edge) * inner(t * rho * x) * mpmath.npdf(x), ends)
    return float(value)


@pytest.mark.parametrize(
    ("p", "q", "rho"),
    [
        (1, 1, 0.6), (38.6, 38.6, 0.93), (38.6, 20, -0.5), (200, 300, 0.2), (1e4, 1e4, 0.99),
        (1e4, 0.5, 0.3), (4, 4, -0.99),
    ],
)  # fmt: skip
@pytest.mark.parametrize(("f", "edge"), [(ELU, 0.0), (SHIFTED, 0.4)])
def test_as_an_integral(p: float, q: float, rho: float, f: Univariate, edge: float) -> None:
    c = rho * np.sqrt(p * q)
    value, error, _ = pieces_expectation(
        f, ELU, Covariance(np.array([p]), np.array([q]), np.array([c]))
    )
    wrong = abs(value[0] - integral(p, q, c, edge))
    assert wrong <= np.max(error) <= 1e-12 * np.sqrt((1 + p) * (1 + q))


def test_nearly_proportional_with_apart_edges() -> None:
    """Exponents of 1e5 that cancel are not formed."""
    p, q = 0.10771336803946117, 0.4219351264691095
    c = 0.2131854220640231
    value, error, _ = pieces_expectation(
        SHIFTED, ELU, Covariance(*(np.array([x]) for x in (p, q, c)))
    )
    assert abs(value[0] - integral(p, q, c, 0.4)) <= np.max(error) < 1e-13
