"""E f for jointly Gaussian variables: verdicts known from orders on subspaces and growth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from integrands import graph

from nexort.activations import Array
from nexort.limit.existence.space import exists_in_space
from nexort.limit.existence.verdict import Known
from nexort.program.nodes import Node

COVARIANCES = {"I": np.eye(4), "R": np.eye(4), "S": np.eye(4)}
"""Independent variables; x and y with correlation 1/2; x = y."""
for _name, _rho in (("R", 0.5), ("S", 1.0)):
    COVARIANCES[_name][0, 1] = COVARIANCES[_name][1, 0] = _rho

TABLE = [
    ("1/(v*w)", "I", "D"),
    ("1/(x-y)", "R", "D"),
    ("1/(x-y)", "S", "D"),
    ("v/(x^2+y^2)", "I", "D"),
    ("1/(x^2+y^2)", "I", "D"),
    ("1/(x^2+y^2+w^2)", "I", "E"),
    ("1/(x^2+y^2+w^2)^(3/2)", "I", "D"),
    ("1/(x^2+y^2)^(0.9)", "R", "E"),
    ("exp(x*y/2)", "I", "E"),
    ("exp(x*y)", "I", "D"),
    ("exp(x*y*1.1)", "I", "D"),
    ("exp(x*y/2)", "R", "E"),
    ("exp(x*y*0.7)", "R", "D"),
    ("exp(-x*y*0.7)", "R", "E"),
    ("x/(x+y)", "I", "D"),
    ("x*y/x", "I", "E"),
    ("(x-y)/(x-y)", "R", "E"),
    ("(x-x)/y", "I", "E"),
    ("1/(x-x)", "I", "D"),
    ("1/(1+y^2)/(x-x)", "I", "D"),
    ("y/(x-x+2)", "I", "E"),
    ("abs(x)^(-1/2)*abs(y)^(-1/2)", "R", "E"),
    ("abs(x)^(-1/2)*abs(y)^(-1/2)", "S", "D"),
    ("abs(x)^(-0.7)*abs(y)^(-0.7)*abs(x-y)^(-0.7)", "I", "D"),
    ("abs(x)^(-0.6)*abs(y)^(-0.6)*abs(x-y)^(-0.6)", "I", "E"),
    ("abs(x*y)^(-0.5)", "I", "E"),
    ("x/sqrt(x^2+w^2)", "I", "E"),
    ("1/sqrt(x^2+w^2)", "I", "E"),
    ("1/(x^2-y)", "I", "D"),
    ("1/(x*y-1)", "I", "D"),
    ("log(x^2+y^2)", "I", "E"),
    ("log(x+y)", "I", "D"),
    ("sqrt(x^2-y^2)", "I", "D"),
    ("exp(x^3+y)", "I", "D"),
    ("exp(x^2*y)", "I", "D"),
    ("1/(1+exp(x+y))", "I", "E"),
    ("exp(x)/(exp(x)+exp(y))", "I", "E"),
    ("x/(1+y^2)", "I", "E"),
    ("x/sqrt(y^2+1e-10)", "R", "E"),
    ("x/y", "I", "D"),
    ("x/y", "S", "E"),
    ("x/abs(y)^(1/2)", "R", "E"),
    ("relu(x)/y", "R", "D"),
    ("relu(x)/relu(y)", "I", "D"),
    ("x*abs(y)^(-1/2)/(1+w^2)", "R", "E"),
    ("log(abs(x))*log(abs(y))", "R", "E"),
    ("log(abs(x-y))", "R", "E"),
    ("x + 1/y", "I", "D"),
    ("(x+w)/x", "I", "D"),
    ("exp(x^2/4)*exp(y^2/4)", "R", "E"),
    ("exp(x^2/3)*exp(y^2/3)", "R", "D"),
    ("exp(x^2/4)*exp(y^2/4)", "S", "D"),
    ("x^2*y^2/(x^2+y^2)", "I", "E"),
    ("x*y/(x^2+y^2)", "I", "E"),
    ("x*y/(x^2+y^2)^2", "I", "D"),
    ("x/(x^2+y^2)", "I", "E"),
    ("tanh(x/y)", "I", "E"),
    ("arctan(y/x)", "I", "E"),
    ("sin(x/y)*w", "I", "E"),
    ("x/(1+relu(y))", "I", "E"),
    ("x/(exp(y)-1)", "I", "D"),
    ("max(x,y)^(-1/3)", "I", "D"),
    ("1/max(x,y)", "I", "D"),
    ("softplus(x)/softplus(y)", "I", "E"),
    ("x/(y+w)", "I", "D"),
    ("1/(x^2+y^2-1)", "I", "D"),
    ("(x^2+y^2)^(-0.4)*abs(x)^(-0.9)", "I", "E"),
    ("(x^2+y^2)^(-0.6)*abs(x)^(-0.9)", "I", "D"),
    ("x^2/(x^2+y^2)^1.5", "I", "E"),
    ("x*log(abs(y))/w", "I", "D"),
    ("exp(relu(x)*relu(y)*3)", "I", "D"),
    ("exp(tanh(x)*y)", "I", "E"),
    ("exp(-x^2*y^2)", "I", "E"),
    ("sqrt(x^2+y^2)/(x^2+y^2)", "I", "E"),
    ("step(x)*log(abs(x))*y", "R", "E"),
    ("step(x)*log(x)", "I", "D"),
]
"""Integrands, the covariance, E for those that exist and D for those that do not."""


@pytest.mark.parametrize(("text", "name", "right"), TABLE[::3])
def test_several_variables(text: str, name: str, right: str) -> None:
    def covariance(leaves: Sequence[Node]) -> Array:
        at = [x.attr[1] for x in leaves]
        found: Array = COVARIANCES[name][np.ix_(at, at)]
        return found

    known = exists_in_space(graph(text), covariance).known
    assert known is {"E": Known.EXISTS, "D": Known.DIVERGES}[right]


@pytest.mark.slow
@pytest.mark.parametrize(("text", "name", "right"), TABLE)
def test_several_variables_all(text: str, name: str, right: str) -> None:
    test_several_variables(text, name, right)


def test_unknown_covariances_leave_products_open() -> None:
    assert exists_in_space(graph("1 / (1 + exp(x + y))"), lambda _: None).known is Known.EXISTS
    assert exists_in_space(graph("x / y"), lambda _: None).known is Known.UNKNOWN
