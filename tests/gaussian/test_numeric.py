"""Functions without a closed form: series and quadrature, their errors, integrability."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from gaussian_references import polar
from test_univariate import RELU, TANH, USERS, call, times

from nexort.gaussian import series
from nexort.gaussian.covariance import Covariance
from nexort.gaussian.expectation import (
    CLOSED,
    PIECEWISE,
    QUADRATURE,
    SERIES,
    NotIntegrable,
    expect_one,
    expect_pair,
)
from nexort.gaussian.univariate import Univariate, function
from nexort.gaussian.variable import SLOT
from nexort.program.nodes import Node

SMOOTH = ("tanh", "sigmoid", "softplus", "silu", "arctan")
RHO = np.array([-1.0, -0.9, -0.2, 0.0, 0.5, 0.99, 1 - 1e-9, 1.0])


@pytest.mark.parametrize("name", [*SMOOTH, "elu"])
@pytest.mark.parametrize("stds", [(1.0, 1.0), (0.4, 1.5), (2.0, 2.0), (1e-3, 1e-3)])
def test_kernels_to_tolerance(name: str, stds: tuple[float, float]) -> None:
    f = function(name)
    s, t = stds
    for g in (f, f.derivative()):
        k = Covariance(np.full(8, s * s), np.full(8, t * t), RHO * s * t, 1 - RHO)
        found = expect_pair(g, g, k)
        expected = [polar(g, g, s, t, rho) for rho in RHO]
        scale = np.sqrt(expect_one(_square(g), s * s).value * expect_one(_square(g), t * t).value)
        error = np.abs(found.value - expected)
        assert (error <= 1e-8 * scale).all()
        assert (error <= found.error + 1e-11 * scale).all()  # the reference's own error
        assert found.method in (SERIES, PIECEWISE if name == "elu" else QUADRATURE)


def _square(f: Univariate) -> Univariate:
    return Univariate(call("square", f.node))


@pytest.mark.parametrize("name", ["mixture", "shifted", "quadratic", "clip", "level"])
def test_users_kernels(name: str) -> None:
    """Against the conditional expectation E f(z_a) E[f(z_b) | z_a] in mpmath."""
    f = Univariate.of(USERS[name][0])
    s, t, rho = 1.2, 0.8, 0.7
    found = expect_pair(f, f, Covariance(s * s, t * t, rho * s * t))
    z, w = _fine(f.kinks, s)
    y, v = _fine((), 1.0)
    inner = np.array([_split(f, t * rho * x / s, t * np.sqrt(1 - rho**2)) for x in z])
    expected = float(
        np.sum(w * np.exp(-0.5 * (z / s) ** 2) * f(z) * inner) / np.sqrt(2 * np.pi) / s
    )
    assert len(y) == len(v)
    assert abs(found.value - expected) <= 1e-8
    assert abs(found.value - expected) <= found.error + 1e-11


def _fine(kinks: tuple[float, ...], s: float) -> tuple[np.ndarray, np.ndarray]:
    x, w = np.polynomial.legendre.leggauss(12)
    edges = np.unique(np.concatenate([np.linspace(-10 * s, 10 * s, 41), np.array(kinks)]))
    half = np.diff(edges)[:, None] / 2
    return ((edges[1:] + edges[:-1])[:, None] / 2 + half * x).ravel(), (half * w).ravel()


def _split(f: Univariate, mean: float, s: float) -> float:
    z, w = _fine(tuple(k - mean for k in f.kinks if abs(k - mean) < 10 * s), s)
    return float(np.sum(w * f(mean + z) * np.exp(-0.5 * (z / s) ** 2)) / np.sqrt(2 * np.pi) / s)


def test_large_scales_of_a_step_like_function() -> None:
    f = function("tanh")
    s = 1e4
    k = Covariance(np.full(3, s * s), np.full(3, s * s), s * s * np.array([0.3, 0.9, 1]))
    found = expect_pair(f, f, k)
    signs = 2 / np.pi * np.arcsin([0.3, 0.9])
    np.testing.assert_allclose(found.value[:2], signs, atol=1e-6)
    # 1 - E tanh^2 = E sech^2, about 2 / (s (2 pi)^(1/2))
    assert 1 - found.value[2] == pytest.approx(2 / (s * np.sqrt(2 * np.pi)), rel=1e-6)


def test_a_gram_matrix_of_many_variances_is_one_series() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 20)) / np.sqrt(20)
    G = X @ X.T
    d = np.diag(G)
    f = function("tanh")
    found = expect_pair(f, f, Covariance(d[:, None], d[None], G))
    assert found.method == SERIES
    for i, j in ((0, 0), (3, 17), (59, 2)):
        rho = min(1.0, G[i, j] / np.sqrt(d[i] * d[j]))
        expected = polar(f, f, float(np.sqrt(d[i])), float(np.sqrt(d[j])), rho)
        assert abs(found.value[i, j] - expected) <= 1e-8 * np.sqrt(G[i, i] * G[j, j])
    rows = expect_pair(f, f, Covariance(d[:7, None], d[None], G[:7]))
    np.testing.assert_allclose(rows.value, found.value[:7], atol=2e-9)
    single = expect_pair(f, f, Covariance(*(np.float32(x) for x in (d[:, None], d[None], G))))
    assert single.value.dtype == np.float32
    np.testing.assert_allclose(single.value, found.value, atol=1e-6)


def test_interpolated_coefficients() -> None:
    f = function("silu")
    many = np.linspace(0.3, 5, 50)
    table = series.coefficients(f, many)
    for at in (0, 20, 49):
        direct = series.coefficients(f, many[at : at + 1])
        np.testing.assert_allclose(table.values[:, at], direct.values[:, 0], atol=1e-11)
        assert table.square[at] == pytest.approx(direct.square[0], rel=1e-11)


def test_means() -> None:
    f = function("relu")
    found = expect_one(f, np.array([1.0, 4.0]), mean=np.array([0.5, -1.0]))
    for value, s, m in zip(found.value, (1, 2), (0.5, -1.0), strict=True):
        x = mp.mpf(m) / s
        assert value == pytest.approx(float(m * mp.ncdf(x) + s * mp.npdf(x)), rel=1e-12)
    shifted = Covariance(1.0, 1.0, 0.5, means=(0.3, -0.2))
    g = Univariate(SLOT)
    assert expect_pair(g, g, shifted).value == pytest.approx(0.5 - 0.06, rel=1e-10)


@pytest.mark.parametrize("variance", [1e-6, 0.7, 30.0])
def test_one_variable(variance: float) -> None:
    s = float(np.sqrt(variance))
    for name in ("tanh", "softplus", "silu", "relu", "gelu", "gauss", "cos"):
        f = function(name)
        z, w = _fine((0.0, *np.geomspace(1e-2, 1, 9) * min(s, 1)), s)
        expected = np.sum(w * f(z) * np.exp(-0.5 * (z / s) ** 2)) / np.sqrt(2 * np.pi) / s
        assert expect_one(f, variance).value == pytest.approx(expected, rel=1e-8, abs=1e-12)


# ---- integrability -------------------------------------------------------------------------------

SQUARE = call("square", SLOT)


@pytest.mark.parametrize(
    ("node", "variance"),
    [
        (call("exp", SQUARE), 0.5), (call("exp", SQUARE), 3.0), (call("cosh", SQUARE), 0.51),
        (call("exp", times(0.1, SQUARE)), 5.0), (call("exp", call("pow", SLOT, 4)), 1e-4),
        (call("mul", TANH, call("exp", times(0.5, SQUARE))), 1.0),
        (call("sinh", call("mul", SLOT, RELU)), 0.6),
    ],
)  # fmt: skip
def test_not_integrable(node: Node, variance: float) -> None:
    with pytest.raises(NotIntegrable) as caught:
        expect_one(Univariate.of(node), np.array([0.01 * variance, variance]))
    assert caught.value.variance == variance


@pytest.mark.parametrize(
    ("node", "variance", "expected"),
    [
        (call("exp", SQUARE), 0.375, 2.0),
        (call("cosh", SQUARE), 0.375, 1 + 0.5 / np.sqrt(1.75)),
        (call("exp", SLOT), 9.0, np.exp(4.5)),
        (call("exp", call("neg", SQUARE)), 1e8, 1 / np.sqrt(1 + 2e8)),
        (call("pow", SLOT, 6), 1e8, 15e24),
        (call("mul", call("sigmoid", SLOT), call("exp", SLOT)), 0.0, 0.5),
    ],
)
def test_integrable(node: Node, variance: float, expected: float) -> None:
    found = expect_one(Univariate.of(node), np.array(variance))
    assert found.value == pytest.approx(expected, rel=1e-12)


def test_pairs_are_integrable_or_not_by_their_covariance() -> None:
    f = Univariate.of(call("exp", times(0.4, SQUARE)))
    one = np.ones(())
    found = expect_pair(f, f, Covariance(one, one, 0 * one))
    assert found.method == CLOSED
    assert found.value == pytest.approx(5.0)
    with pytest.raises(NotIntegrable):
        expect_pair(f, f, Covariance(one, one, 0.9 * one))
