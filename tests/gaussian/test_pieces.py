"""Piecewise sums of powers and exponentials, against quadrature, sampling and their limits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.special import ndtr

from nexort.activations import Array
from nexort.gaussian import pieces
from nexort.gaussian.covariance import Covariance
from nexort.gaussian.expectation import (
    PIECEWISE,
    expect_one,
    expect_pair,
    method_of,
)
from nexort.gaussian.quadrature import moment_two
from nexort.gaussian.univariate import Univariate, function
from nexort.gaussian.variable import SLOT
from nexort.program import build


def call(name: str, *args: Any) -> Any:
    return build.call(name, *(a if hasattr(a, "op") else build.constant(a) for a in args))


ELU = function("elu")
SHIFTED = Univariate(call("relu", call("sub", SLOT, 0.5)))
HARDTANH, HARDSWISH = function("hardtanh"), function("hardswish")
FUNCTIONS = {
    "elu": ELU,
    "elu'": ELU.derivative(),
    "elu by max": Univariate(call("max", SLOT, call("sub", call("exp", call("min", SLOT, 0)), 1))),
    "shifted relu": SHIFTED,
    "shifted step": SHIFTED.derivative(),
    "hardtanh": HARDTANH,
    "hardtanh'": HARDTANH.derivative(),
    "hardswish": HARDSWISH,
    "hardswish'": HARDSWISH.derivative(),
    "relu6": function("relu6"),
    "relu6'": function("relu6").derivative(),
    "selu": function("selu"),
    "selu'": function("selu").derivative(),
    "celu": function("celu", 0.7),
    "celu'": function("celu", 0.7).derivative(),
    "two-sided exponential": Univariate(call("exp", call("neg", call("abs", SLOT)))),
    "leaky, shifted": Univariate(call("leaky_relu", call("add", SLOT, 0.3), 0.1)),
    "signs": Univariate(call("sign", call("sub", call("mul", SLOT, SLOT), 1))),
    "growing": Univariate(call("mul", call("exp", SLOT), call("step", SLOT))),
}
OTHERS = {"itself": None, "elu": ELU, "cube": Univariate(call("pow", SLOT, 3))}
LAWS = [
    (1.0, 1.0, 0.0), (1.0, 1.0, 0.3), (0.5, 2.0, -0.7), (1.3, 0.7, 0.999), (1.0, 1.0, -0.95),
    (2.2, 1.9, 0.5), (1.0, 1.0, 1 - 1e-9), (1.0, 1.0, -1 + 1e-9), (1.0, 1.0, 1.0),
    (1.0, 1.0, -1.0), (2.0, 0.5, 1.0), (1e-4, 1e-4, 0.4), (1e-6, 1.0, 0.9), (3.0, 3.0, 0.8),
]  # fmt: skip


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_against_quadrature(name: str, other: str) -> None:
    f = FUNCTIONS[name]
    g = OTHERS[other] or f
    assert method_of(f, g) == PIECEWISE
    left, right, rho = (np.array(x) for x in zip(*LAWS, strict=True))
    k = Covariance(left, right, rho * np.sqrt(left) * np.sqrt(right))
    found = expect_pair(f, g, k)
    if {f.parity, g.parity} != {"odd", "even"}:
        assert found.method == PIECEWISE
    for at in range(len(LAWS)):
        s, t, angle = math.sqrt(left[at]), math.sqrt(right[at]), float(k.angle[at])
        known, error = moment_two(f, g, s, t, math.cos(angle), math.sin(angle), 1e-11)
        bound = float(np.max(found.error)) + error + 1e-11 * abs(known) + 1e-15
        assert abs(float(found.value[at]) - known) <= bound, (LAWS[at], known)
    # of smooth sums and continuous functions nothing is lost to the correlation's rounding
    if not pieces.pieces(f).jumps:  # type: ignore[union-attr]
        assert float(np.max(found.error)) < 1e-11 * max(1.0, float(np.abs(found.value).max()))


@pytest.mark.parametrize("name", ["elu", "hardtanh'", "hardswish"])
@pytest.mark.parametrize("sign", [1, -1])
def test_one_variable_and_its_mirror_image(name: str, sign: int) -> None:
    """At correlation 1 and -1, of equal variances: expectations of one variable."""
    f = FUNCTIONS[name]
    inner = call("mul", SLOT, sign)
    other = {
        "elu": call("elu", inner),
        "hardtanh'": f.node,
        "hardswish": call("hardswish", inner),
    }[name]
    variance = np.array([0.3, 1.0, 2.5])
    found = expect_pair(f, f, Covariance(variance, variance, sign * variance))
    known = expect_one(Univariate(call("mul", f.node, other)), variance).value
    np.testing.assert_allclose(found.value, known, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("p", [0.0277, 0.18, 2.0, 3.0, 38.9])
def test_exponentials_of_opposite_variables(p: float) -> None:
    """E elu'(y) elu'(-y) = E exp(-|y|), where the shifts of the two exponentials cancel."""
    f, variance = function("elu").derivative(), np.array([p])
    found = expect_pair(f, f, Covariance(variance, variance, -variance))
    known = 2 * np.exp(p / 2) * ndtr(-np.sqrt(p))
    np.testing.assert_allclose(found.value, known, rtol=0, atol=float(found.error[0]))


def test_against_sampling() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 10**6))
    x, y = 1.2 * x, 0.9 * (0.6 * x + 0.8 * y)
    for f in FUNCTIONS.values():
        product = f(x) * ELU(y)
        found = expect_pair(f, ELU, Covariance(1.44, 0.81, 0.6 * 1.2 * 0.9)).value
        assert abs(product.mean() - float(found)) < 5 * product.std() / 1000


def test_matrices_zero_variances_and_single_precision() -> None:
    rng = np.random.default_rng(1)
    z = rng.standard_normal((4, 6))
    z[:, 2] = 0
    own = np.einsum("ai,ai->i", z, z)
    k = Covariance(own[:, None], own[None], z.T @ z)
    for f in (ELU, HARDTANH, SHIFTED):
        matrix = expect_pair(f, f, k).value
        np.testing.assert_allclose(matrix, matrix.T, rtol=1e-13, atol=1e-15)
        alone = expect_one(f, own).value * float(f(np.zeros(1))[0])
        np.testing.assert_allclose(matrix[2], alone, atol=1e-13)
        assert np.linalg.eigvalsh(matrix).min() > -1e-7
        halves = (x.astype(np.float32) for x in (k.left, k.right, k.cross))
        single = expect_pair(f, f, Covariance(*halves)).value
        assert single.dtype == np.float32
        np.testing.assert_allclose(single, matrix, rtol=1e-3, atol=1e-6)


def test_matrices_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    z = np.random.default_rng(4).standard_normal((3, 9))
    own = np.einsum("ai,ai->i", z, z)
    k = Covariance(own[:, None], own[None], z.T @ z)
    whole = pieces.pieces_expectation(HARDTANH, ELU, k)
    monkeypatch.setattr(pieces, "PART", 20)
    parts = pieces.pieces_expectation(HARDTANH, ELU, k)
    np.testing.assert_array_equal(parts[0], whole[0])
    np.testing.assert_array_equal(parts[1], whole[1])
    assert parts[2] == whole[2]


def test_large_exponentials_lose_nothing() -> None:
    """exp(2 s^2) times a difference of probabilities, with exponents that do not cancel."""
    k = Covariance(np.array([40.0]), np.array([40.0]), np.array([8.0]))
    found = expect_pair(ELU, ELU, k)
    assert found.method == PIECEWISE
    s = math.sqrt(40)
    known, error = moment_two(ELU, ELU, s, s, 0.2, math.sqrt(0.96), 1e-10)
    assert abs(float(found.value[0]) - known) <= float(np.max(found.error)) + error
    assert float(np.max(found.error)) < 1e-12 * known


@pytest.mark.parametrize(
    "node",
    [
        call("relu", call("tanh", SLOT)),
        call("abs", call("sin", SLOT)),
        call("sqrt", call("abs", SLOT)),
        call("max", call("gelu", SLOT), 0),
        call("div", 1, call("add", 1, call("abs", SLOT))),
    ],
)
def test_other_pieces_are_not_taken_for_these(node: Any) -> None:
    assert pieces.pieces(Univariate(node)) is None
    assert not pieces.is_piecewise_pair(Univariate(node), ELU)


def test_kinks_where_a_function_only_touches_another() -> None:
    """exp(z) - 1 - z touches 0 at 0, where roundings change its sign many times."""
    assert FUNCTIONS["elu by max"].kinks == (0.0,)
    found: Array = FUNCTIONS["elu by max"](np.array([-1.0, 2.0]))
    np.testing.assert_allclose(found, [math.expm1(-1), 2.0])
