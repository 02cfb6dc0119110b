"""Powers and logarithms that are integrable at 0, alone and in pairs, against closed forms:

E |y|^a |z|^b = 2^((a + b)/2) Gamma((a + 1)/2) Gamma((b + 1)/2) 2F1(-a/2, -b/2; 1/2; rho^2) / pi,
Cov(log|y|, log|z|) = arcsin(rho)^2 / 2.
"""

from __future__ import annotations

import math

import pytest
from mpmath import mp

import nexort
from nexort.gaussian.covariance import Covariance
from nexort.gaussian.expectation import expect_one, expect_pair
from nexort.gaussian.univariate import Univariate
from nexort.gaussian.variable import SLOT
from nexort.program import build

SIZE = build.call("abs", SLOT)
MEAN = -(float(mp.euler) + math.log(2)) / 2


def power(a: float) -> Univariate:
    return Univariate(build.call("pow", SIZE, build.constant(a)))


LOG = Univariate(build.call("log", SIZE))


def agrees(found: float, error: float, truth: float, bar: float) -> None:
    assert abs(found - truth) <= error + 4e-16 * abs(truth)
    assert error <= bar * abs(truth)


@pytest.mark.parametrize("a", [-0.95, -0.9, -2 / 3, -0.5, -1 / 3, 0.5])
def test_moments_of_powers(a: float) -> None:
    found = expect_one(power(a), 1.0)
    truth = 2 ** (a / 2) * math.gamma((a + 1) / 2) / math.sqrt(math.pi)
    agrees(float(found.value), float(found.error), truth, 1e-9)


def test_moments_away_from_0() -> None:
    shifted = build.call("abs", build.call("sub", SLOT, build.constant(1)))
    f = Univariate(build.call("pow", shifted, build.constant(-0.5)))
    found = expect_one(f, 1.0)
    truth = mp.quad(lambda t: t**-0.5 * (mp.npdf(1 + t) + mp.npdf(1 - t)), [0, 1, 4, 12])
    agrees(float(found.value), float(found.error), float(truth), 1e-8)


@pytest.mark.parametrize("rho", [0.5, -0.9])
@pytest.mark.parametrize(("a", "b"), [(-0.5, -0.5), (-0.5, 0.5)])
def test_pairs_of_powers(a: float, b: float, rho: float) -> None:
    found = expect_pair(power(a), power(b), Covariance([1.0], [1.0], [rho]))
    gammas = mp.gamma((a + 1) / 2) * mp.gamma((b + 1) / 2) / mp.pi
    truth = float(2 ** ((a + b) / 2) * gammas * mp.hyp2f1(-a / 2, -b / 2, 0.5, rho**2))
    agrees(float(found.value[0]), float(found.error[0]), truth, 1e-8)


def test_pairs_of_logarithms() -> None:
    found = expect_pair(LOG, LOG, Covariance([1.0], [1.0], [-0.9]))
    truth = MEAN**2 + math.asin(0.9) ** 2 / 2
    agrees(float(found.value[0]), float(found.error[0]), truth, 1e-8)


@pytest.mark.parametrize(
    ("f", "value"),
    [
        ("1 / (abs(z) * (1 + log(abs(z))^2))", 1.31208075416921),
        ("1 / (abs(z) * (2 + log(abs(z))^2)^0.8)", 1.50776047118964),
        ("1 / (abs(z)^0.999 * (1 + log(abs(z))^2))", 1.30634079856488),
        ("1 / (abs(z) * (1 + log(abs(z))^4))", 0.951915721252564),
        ("(1 + abs(z)^0.01) / abs(z)^0.95", 29.3662849090215),
        ("log(abs(z))^6", 574.375724635426),
    ],
)
def test_what_is_left_next_to_a_point_has_its_error(f: str, value: float) -> None:
    """Values by quadrature over log |z| in 25 digits."""
    text = f"vector z ~ N(0, 1)\n|f> = {f.replace('z', '|z>')}\noutput <1|f>"
    [found] = nexort.loads(text).limit().values()
    assert abs(float(found) - value) < 2 * float(found.error) < 0.01 * value
