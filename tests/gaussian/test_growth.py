"""Rates of growth: of exponentials exact, never positive for what is bounded."""

from __future__ import annotations

import pytest
from test_univariate import call, times

from nexort.gaussian.growth import quadratic_growth
from nexort.gaussian.univariate import function
from nexort.gaussian.variable import SLOT
from nexort.program.nodes import Node


def gauss(rate: float) -> Node:
    """exp(rate z^2)."""
    return call("exp", times(rate, call("square", SLOT)))


@pytest.mark.parametrize("rate", [0.3, 5.0, -0.4, -5.0, 1e-3, -1e-3])
def test_rates_of_exponentials(rate: float) -> None:
    assert quadratic_growth(gauss(rate)) == pytest.approx(rate, rel=1e-6)
    times_cubic = call("mul", gauss(rate), call("pow", SLOT, 3))
    assert quadratic_growth(times_cubic) == pytest.approx(rate, rel=0.02)


@pytest.mark.parametrize("name", ["tanh", "erf", "sigmoid", "gelu", "softplus", "silu", "relu"])
def test_what_is_bounded_does_not_grow(name: str) -> None:
    """Derivatives that cancel to 0 far out, and their powers, included."""
    node = function(name).derivative().node
    for _ in range(4):
        assert quadratic_growth(node) <= 0
        node = call("mul", node, node)


def test_the_slower_side_counts() -> None:
    one_sided = call("exp", call("mul", -1, call("square", call("relu", SLOT))))
    assert quadratic_growth(one_sided) == 0
