"""E f(z) for one standard normal variable: verdicts known from local orders and growth.

A power |z - p|^s is integrable for s > -1, exp(a z^2) for a < 1/2, and a function has to be real
and finite almost everywhere.
"""

from __future__ import annotations

import pytest
from integrands import graph

from nexort.limit.existence.line import exists_on_line
from nexort.limit.existence.verdict import Known

TABLE = [
    ("1/z", "D"),
    ("1/abs(z)", "D"),
    ("abs(z)^(-1/2)", "E"),
    ("abs(z)^(-0.999)", "E"),
    ("1/(z^2+1)", "E"),
    ("1/(1+exp(z))", "E"),
    ("log(abs(z))", "E"),
    ("log(z)", "D"),
    ("sqrt(z)", "D"),
    ("log(z^2)", "E"),
    ("1/(z^2-1)", "D"),
    ("1/sin(z)", "D"),
    ("exp(z^2/4)", "E"),
    ("exp(z^2/4)^2", "D"),
    ("exp(z^2/2)/(1+z^2)", "E"),
    ("exp(z^2/2)/(1+abs(z))", "D"),
    ("exp(z^2/2-z)", "D"),
    ("exp(z^2/2-abs(z))", "E"),
    ("exp(exp(z))", "D"),
    ("exp(z^3)", "D"),
    ("exp(-z^3)", "D"),
    ("exp(-abs(z)^3)", "E"),
    ("z*(1/z)", "E"),
    ("z/abs(z)", "E"),
    ("1/relu(z)", "D"),
    ("1/step(z)", "D"),
    ("step(z)/z", "D"),
    ("step(z-1)/z", "E"),
    ("relu(z)/z", "E"),
    ("relu(z)/z^2", "D"),
    ("(z+abs(z))/z", "E"),
    ("sin(z)/z", "E"),
    ("(exp(z)-1)/z", "E"),
    ("(1-cos(z))/z^2", "E"),
    ("(1-cos(z))/z^3", "D"),
    ("1/(1+cos(z))", "D"),
    ("1/(2+cos(z))", "E"),
    ("tanh(1/z)", "E"),
    ("sin(1/z)", "E"),
    ("exp(1/z)", "D"),
    ("exp(-1/z^2)", "E"),
    ("exp(-1/abs(z))/z^2", "E"),
    ("exp(1/abs(z)^0.5)", "D"),
    ("1/tanh(z)", "D"),
    ("z/tanh(z)", "E"),
    ("1/log(z^2)", "D"),
    ("1/log(2+z^2)", "E"),
    ("1/(z^2+1e-16)", "E"),
    ("1/(z-0.1)^2", "D"),
    ("1/(z^2-2*z+1)", "D"),
    ("abs(z^2-1)^(-1/2)", "E"),
    ("abs(z^2-2*z+1)^(-1/2)", "D"),
    ("abs(z)^(-1)*log(abs(z))^(-2)", "D"),
    ("sqrt(z^2)", "E"),
    ("sqrt(1-z^2)", "D"),
    ("sqrt(relu(z))", "E"),
    ("relu(z)^(-1/2)", "D"),
    ("log(relu(z))", "D"),
    ("max(z,1)^(-1/2)", "E"),
    ("log(1+z)", "D"),
    ("log(1+z^2)", "E"),
    ("log(1+exp(z))", "E"),
    ("1/z^2*z^3", "E"),
    ("1/gauss(z)", "D"),
    ("1/gauss(z/2)", "E"),
    ("1/cosh(z)", "E"),
    ("cosh(z)^2", "E"),
    ("1/gelu(z)", "D"),
    ("gelu(z)/z", "E"),
    ("1/(exp(z)-2)", "D"),
    ("abs(exp(z)-2)^(-1/3)", "E"),
    ("(z-sin(z))/z^3", "E"),
    ("(z-sin(z))/z^4", "D"),
    ("0*sqrt(z)", "D"),
    ("0*(1/z)", "E"),
    ("exp(z^2)*cos(z)", "D"),
    ("log(abs(z))^2", "E"),
    ("log(abs(z))/z", "D"),
    ("1/(sigmoid(z)-0.5)", "D"),
    ("abs(sigmoid(z)-0.5)^(-0.5)", "E"),
    ("z^0.3333", "D"),
    ("z^(1/3)", "D"),
    ("exp(z^2/3)*exp(-z^2/3)", "E"),
    ("1/(z^4+z^2)", "D"),
    ("softplus(z)^(-1)", "E"),
    ("1/elu(z)", "D"),
    ("sinh(z^2)", "D"),
    ("exp(abs(z)^1.5)", "E"),
    ("exp(abs(z)^2.5)", "D"),
    ("1/(1.0000001-tanh(z))", "E"),
    ("arctan(z)/z", "E"),
    ("1/arctan(z)", "D"),
    ("abs(z-0.1)^(-0.9)*abs(z+0.3)^(-0.9)", "E"),
    ("abs(z-0.1)^(-0.5)*abs(z^2-0.01)^(-0.5)", "D"),
    ("abs(z)^(-0.99999)", "E"),
    ("1/(abs(z)*(1+log(abs(z))^2))", "E"),
    ("1/(abs(z)*log(abs(z))^2+abs(z))", "E"),
]
"""Integrands, E for those that exist and D for those that do not."""


@pytest.mark.parametrize(("text", "right"), TABLE[::3])
def test_one_variable(text: str, right: str) -> None:
    known = exists_on_line(graph(text), 1.0).known
    assert known is {"E": Known.EXISTS, "D": Known.DIVERGES}[right]


@pytest.mark.slow
@pytest.mark.parametrize(("text", "right"), TABLE)
def test_one_variable_all(text: str, right: str) -> None:
    test_one_variable(text, right)


@pytest.mark.parametrize(
    ("text", "variance", "right"),
    [
        ("exp(z^2 / 4)", 1.99, Known.EXISTS),
        ("exp(z^2 / 4)", 2.0, Known.DIVERGES),
        ("exp(z^2 / 4) / (1 + z^2)", 2.0, Known.EXISTS),
        ("exp(z^2 / 4)", None, Known.UNKNOWN),
        ("1 / z", None, Known.DIVERGES),
        ("log(abs(z))", None, Known.EXISTS),
        ("1 / z", 0.0, Known.DIVERGES),
        ("abs(sin(z))^(-1/2)", 1.0, Known.UNKNOWN),  # infinitely many points
    ],
)
def test_variances(text: str, variance: float | None, right: Known) -> None:
    assert exists_on_line(graph(text), variance).known is right
