"""The compiled instructions compute the closed forms that derivations print."""

from __future__ import annotations

import math
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import sympy

from nexort.gaussian.univariate import Univariate, function
from nexort.limit.derive import closed
from nexort.limit.derive.printing.symbolic import sympy_expression

machine = pytest.importorskip("nexort.limit.exact.machine")

A = 0.7
B, C = np.array([0.4, 1.3, 2.0, 0.7]), np.array([0.3, -0.5, 0.0, 0.6999])
NUMBER = np.float64


def formula(f: Univariate) -> np.ndarray[Any, Any]:
    """E f(y) f(z) as it is printed, at 30 digits."""
    found = closed.closed_pair(f.node, f.node)
    assert found is not None
    run = sympy.lambdify(
        sympy.symbols("p c q", real=True), sympy_expression(found.formula), "mpmath"
    )
    with mp.workdps(30):
        return np.array(
            [float(run(mp.mpf(A), mp.mpf(c), mp.mpf(b))) for b, c in zip(B, C, strict=True)]
        )


def close(found: np.ndarray[Any, Any], f: Univariate) -> None:
    np.testing.assert_allclose(found, formula(f), rtol=2e-14, atol=2e-16)


def test_gelu() -> None:
    value, slope = np.empty_like(B), np.empty_like(B)
    roots = 1 / math.sqrt(1 + A), 1 / np.sqrt(1 + B)
    machine._gelus(C, A, roots[0], B, roots[1], NUMBER, value, slope)
    close(value, function("gelu"))
    close(slope, function("gelu").derivative())


def test_error_function_and_its_bump() -> None:
    value, bump = np.empty_like(B), np.empty_like(B)
    p, q = (np.sqrt(2 / (1 + 2 * x)) for x in (A, B))
    machine._arcsines_and_bumps(C, p, q, 2 / math.pi, 2 / math.pi, NUMBER, value, bump)
    close(value, function("erf"))
    close(bump, function("erf").derivative())
    alone = np.empty_like(B)
    machine._arcsines(C, p, q, 2 / math.pi, NUMBER, alone)
    close(alone, function("erf"))
    machine._bumps(C, p, q, 2 / math.pi, NUMBER, alone)
    close(alone, function("erf").derivative())


@pytest.mark.parametrize(
    ("straight", "signs", "u", "v"), [("relu", "step", 0.5, 0.5), ("abs", "sign", 0.0, 1.0)]
)
def test_kinks_and_jumps(straight: str, signs: str, u: float, v: float) -> None:
    gap, after, sloped = 1 - C / np.sqrt(A * B), np.empty_like(B), np.empty_like(B)
    square = u * u + v * v
    machine._gaps(gap, 2 / math.pi * v * v / square, NUMBER, after, sloped)
    close(square * np.sqrt(A * B) * (1 - after), function(straight))
    close(square * sloped, function(signs))
