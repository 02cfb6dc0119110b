"""Every entry of the registry: quadrature, sampling, 50 digits, formulas, extremes."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from gaussian_references import EXACT, exact, polar, triples

from nexort.gaussian.catalogue import catalogue
from nexort.gaussian.covariance import Covariance, NotPositive
from nexort.gaussian.expectation import CLOSED, expect_one, expect_pair, method_of
from nexort.gaussian.univariate import IDENTITY, Univariate, function

NAMES = sorted(catalogue())
GRID = [
    (s, t, rho)
    for s, t in ((1.0, 1.0), (0.7, 1.6), (1e-4, 0.3), (2.5, 2.0))
    for rho in (-1.0, -0.999999, -0.4, 0.0, 0.8, 1 - 1e-10, 1.0)
]


def both(name: str) -> list[Univariate]:
    f = catalogue()[name].function
    return [f, f.derivative()]


def arrays(grid: list[tuple[float, float, float]]) -> Covariance:
    s, t, rho = np.array(grid).T
    return Covariance(s**2, t**2, rho * s * t, gap=1 - rho)


def natural(f: Univariate, g: Univariate, k: Covariance) -> np.ndarray:
    first = expect_pair(f, f, Covariance(k.left, k.left, k.left)).value
    second = expect_pair(g, g, Covariance(k.right, k.right, k.right)).value
    return np.sqrt(first * second)


@pytest.mark.parametrize("name", NAMES)
def test_quadrature_agrees(name: str) -> None:
    for f in both(name):
        assert method_of(f, f) == CLOSED
        k = arrays(GRID)
        value = expect_pair(f, f, k).value
        expected = [polar(f, f, *point, reach=18.0) for point in GRID]
        np.testing.assert_array_less(
            np.abs(value - expected), 1e-9 * np.maximum(natural(f, f, k), 1e-300)
        )


MIXED = [
    ("relu", "step"), ("relu", "identity"), ("abs", "relu^2"), ("sign", "erf"), ("gelu", "relu"),
    ("erf", "identity"), ("sin", "identity"), ("exp", "cube"), ("cos", "square"), ("exp", "sin"),
    ("gauss", "relu"), ("step", "gelu'"), ("erf'", "abs"), ("hermite 3", "sin"), ("relu^3", "sign"),
    ("exp", "cos"), ("sin", "sinh"), ("gelu", "gelu'"), ("leaky_relu", "square"),
]  # fmt: skip


@pytest.mark.parametrize(("first", "second"), MIXED)
def test_mixed_pairs_agree(first: str, second: str) -> None:
    f, g = catalogue()[first].function, catalogue()[second].function
    assert method_of(f, g) == CLOSED
    k = arrays(GRID)
    value = expect_pair(f, g, k).value
    expected = [polar(f, g, *point, reach=18.0) for point in GRID]
    np.testing.assert_array_less(np.abs(value - expected), 1e-9 * natural(f, g, k) + 1e-300)
    mirrored = expect_pair(g, f, Covariance(k.right, k.left, k.cross, k.gap)).value
    np.testing.assert_allclose(mirrored, value, rtol=1e-12, atol=1e-14 * natural(f, g, k).max())


@pytest.mark.parametrize("name", NAMES)
def test_sampling_agrees(name: str) -> None:
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=(2, 200_000))
    for f in both(name):
        for s, t, rho in ((1.0, 1.0, 0.6), (0.5, 1.2, -0.9)):
            draws = f(s * x) * f(t * (rho * x + np.sqrt(1 - rho**2) * y))
            k = Covariance(s * s, t * t, rho * s * t)
            error = draws.std() / np.sqrt(len(x)) + 1e-12
            assert abs(draws.mean() - expect_pair(f, f, k).value) < 6 * error


def check_digits(name: str, count: int, seed: int) -> None:
    points = triples(count, seed)
    a, b, c = np.array(points).T
    f = catalogue()[name].function
    value = expect_pair(f, f, Covariance(a, b, c)).value
    with mp.workdps(50):
        for point, found in zip(points, value, strict=True):
            expected, scale = exact(name, *point)
            assert abs(mp.mpf(float(found)) - expected) <= 1e-12 * scale, (name, point)


@pytest.mark.parametrize("name", sorted(EXACT))
def test_fifty_digits(name: str) -> None:
    check_digits(name, 40, 3)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(EXACT))
def test_fifty_digits_at_a_thousand_covariances(name: str) -> None:
    check_digits(name, 1000, 11)


@pytest.mark.parametrize("name", NAMES)
def test_zero_variances(name: str) -> None:
    for f in both(name):
        a, b = np.array([0.0, 0.0, 1.3]), np.array([0.0, 2.0, 0.0])
        value = expect_pair(f, f, Covariance(a, b, 0 * a)).value
        zero = float(f(np.zeros(())))
        expected = [zero**2, zero * expect_one(f, 2.0).value, zero * expect_one(f, 1.3).value]
        np.testing.assert_allclose(value, expected, rtol=1e-14, atol=1e-14)


BOUNDED = [n for n in NAMES if n not in ("exp", "sinh", "cosh")]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", BOUNDED)
def test_extremes_stay_finite(name: str, dtype: type) -> None:
    """Scales of 1e-8 to 1e8 (1e-4 to 1e4 in float32, whose range powers leave), |rho| up to 1."""
    top = 4 if dtype is np.float32 else 8
    scales = 10.0 ** np.array([-top, -top / 2, 0, top / 2, top])
    rho = np.array([-1, -1 + 1e-7, 0, 0.3, 1 - 1e-7, 1])
    s, t, r = np.meshgrid(scales, scales, rho, indexing="ij")
    c = (r * s * t).astype(dtype)
    for f in both(name):
        if any(word in name for word in ("^3", "^4", "cube", "hermite")) and dtype is np.float32:
            continue
        value = expect_pair(f, f, Covariance((s * s).astype(dtype), (t * t).astype(dtype), c)).value
        assert value.dtype == dtype
        assert np.isfinite(value).all()
        k = Covariance(s * s, t * t, r * s * t, 1 - r)
        bound = natural(f, f, k)
        assert (np.abs(value) <= (1 + 1e-5) * bound + 1e-30).all()


@pytest.mark.parametrize("name", BOUNDED)
def test_single_precision(name: str) -> None:
    points = [p for p in GRID if p[0] > 1e-3 and abs(p[2]) < 0.9]
    for f in both(name):
        k = arrays(points)
        single = Covariance(*(np.float32(x) for x in (k.left, k.right, k.cross)))
        value = expect_pair(f, f, single).value
        assert value.dtype == np.float32
        error = np.abs(value - expect_pair(f, f, k).value)
        assert (error <= 1e-5 * natural(f, f, k) + 1e-30).all()


def test_equal_inputs_have_the_variance() -> None:
    for name in ("relu", "abs", "leaky_relu", "gelu", "erf", "sin"):
        f = catalogue()[name].function
        a = np.geomspace(1e-10, 1e10, 41)
        pair = expect_pair(f, f, Covariance(a, a, a, 0 * a)).value
        square = Univariate.of(f.node)
        both_ways = expect_pair(square, square, Covariance(a, a, a)).value
        np.testing.assert_allclose(pair, both_ways, rtol=1e-14)


def test_an_indefinite_covariance_is_refused() -> None:
    one = np.ones(())
    with pytest.raises(NotPositive):
        expect_pair(function("relu"), function("relu"), Covariance(one, one, 1.1 * one))
    with pytest.raises(NotPositive):
        Covariance(-one, one, 0 * one)


def test_identity_is_the_covariance() -> None:
    c = np.array([0.3, -0.2])
    one = np.ones(2)
    np.testing.assert_allclose(expect_pair(IDENTITY, IDENTITY, Covariance(one, one, c)).value, c)
