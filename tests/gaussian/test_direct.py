"""The error function's family in few passes, against the recursion that holds for all variances."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nexort.gaussian import direct, edges
from nexort.gaussian.covariance import Covariance, NotPositive
from nexort.gaussian.expectation import expect_pair
from nexort.gaussian.terms import normal_form
from nexort.gaussian.univariate import Univariate, function
from nexort.gaussian.variable import SLOT
from nexort.program import build


def pairs(largest: float) -> Covariance:
    """Random variances up to ``largest``, correlations up to 1 and -1."""
    rng = np.random.default_rng(2)
    left, right = largest * rng.random((2, 400)) ** 2
    left[:3] = right[:3] = (1e-8, 0.3 * largest, largest)
    rho = np.sin(np.pi / 2 * rng.uniform(-1, 1, 400))
    rho[:6] = (1, 1 - 1e-12, 1, -1, 1 - 1e-9, 0)
    return Covariance(left, right, rho * np.sqrt(left) * np.sqrt(right))


@pytest.mark.parametrize("name", ["gelu", "gelu'", "erf", "erf'", "exp(-z^2)"])
@pytest.mark.parametrize("largest", [0.1, 14.0])
def test_direct_formulas_are_those_of_the_recursion(
    name: str, largest: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "exp(-z^2)":
        f = Univariate(build.call("exp", build.call("neg", build.call("mul", SLOT, SLOT))))
    else:
        f = function(name.rstrip("'"))
        f = f.derivative() if name.endswith("'") else f
    k = pairs(largest)
    found = expect_pair(f, f, k).value
    assert "positive" in k.notes  # the direct route was taken
    terms = normal_form(f.node)
    monkeypatch.setattr(direct, "applies", lambda *_: False)
    known = edges.edge_sum(terms, terms, pairs(largest))
    scale = np.sqrt(expect_pair(f, f, Covariance(k.left, k.left, k.left)).value)
    scale = scale * np.sqrt(expect_pair(f, f, Covariance(k.right, k.right, k.right)).value)
    assert (np.abs(found - known) <= 1e-13 * scale).all()


@pytest.mark.parametrize("scale", [0.3, math.sqrt(2), 5.0])
def test_scaled_gelu_takes_the_direct_route(scale: float) -> None:
    """f(z) = 3 gelu'(s z): from E gelu' gelu' at s^2 times the covariance."""
    inner = build.call("mul", build.constant(scale), SLOT)
    half = build.call("add", build.constant(1), build.call(
        "erf", build.call("div", inner, build.constant(math.sqrt(2)))))  # fmt: skip
    square = build.call("mul", inner, inner)
    bump = build.call("exp", build.call("mul", build.constant(-0.5), square))
    bump = build.call("mul", build.constant(2 / math.sqrt(2 * math.pi)), bump)
    node = build.call("mul", build.constant(1.5), build.call(
        "add", half, build.call("mul", inner, bump)))  # fmt: skip
    k = pairs(0.2)
    found = expect_pair(Univariate(node), Univariate(node), k).value
    assert k.notes or any("angle 1 1" in x.notes for x in k._scaled.values())
    slope = function("gelu").derivative()
    s = scale * scale
    known = 9 * expect_pair(slope, slope, Covariance(s * k.left, s * k.right, s * k.cross)).value
    np.testing.assert_allclose(found, known, rtol=1e-13)


def test_what_is_no_covariance_is_refused() -> None:
    one = np.ones(3)
    for name in ("erf", "gelu"):
        with pytest.raises(NotPositive):
            expect_pair(function(name), function(name), Covariance(one, one, 1.001 * one))
