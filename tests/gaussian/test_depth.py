"""The relu recursion through ten layers keeps its digits, also for nearly equal inputs."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np
import pytest

from nexort.gaussian.covariance import Covariance, gap_from_distance
from nexort.gaussian.expectation import expect_pair, gap_after
from nexort.gaussian.univariate import IDENTITY, Univariate, function

DEPTH = 10
WEIGHT, BIAS = 2.0, 0.25


def inputs() -> np.ndarray:
    """Equal inputs, inputs 1e-14 to 1e-1 apart, opposite and unrelated ones."""
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(2, 6))
    near = [x + 10.0**-k * y for k in (14, 10, 7, 4, 1)]
    return np.array([x, x, *near, -x, 3 * x, y])


def recursion(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """NNGP and NTK of z^{l+1} = W phi(z^l) + b in 50 digits, written out by hand."""
    n = len(X)
    rows = [[mp.mpf(float(v)) for v in row] for row in X]
    # Gram entries of K = WEIGHT <x|y> / d + BIAS, and 1 - rho through K_aa K_bb - K_ab^2
    kernel = mp.matrix(n, n)
    for i in range(n):
        for j in range(n):
            dot = sum((p * q for p, q in zip(rows[i], rows[j], strict=True)), mp.mpf(0))
            kernel[i, j] = WEIGHT * dot / len(rows[i]) + BIAS
    tangent = kernel.copy()
    for _ in range(DEPTH):
        following, slopes = mp.matrix(n, n), mp.matrix(n, n)
        for i in range(n):
            for j in range(n):
                a, b, c = kernel[i, i], kernel[j, j], kernel[i, j]
                det = a * b - c * c if i != j else mp.mpf(0)
                angle = mp.pi / 2 + mp.atan2(c, mp.sqrt(max(det, 0)))
                following[i, j] = WEIGHT * (mp.sqrt(max(det, 0)) + c * angle) / (2 * mp.pi) + BIAS
                slopes[i, j] = WEIGHT * angle / (2 * mp.pi)
        for i in range(n):
            for j in range(n):
                tangent[i, j] = following[i, j] + slopes[i, j] * tangent[i, j]
        kernel = following
    return _array(kernel), _array(tangent)


def _array(matrix: Any) -> np.ndarray:
    return np.array([[matrix[i, j] for j in range(matrix.cols)] for i in range(matrix.rows)])


def carried(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same with Covariance objects that carry 1 - rho through activations and sums."""
    relu = function("relu")
    step = relu.derivative()
    d = X.shape[1]
    square = np.square(X).sum(1) / d
    distance = np.square(X[:, None] - X[None]).sum(-1) / d
    std = np.sqrt(square)
    gap = gap_from_distance(distance, std[:, None], std[None])
    dot = X @ X.T / d
    k = _affine(Covariance(square[:, None], square[None], dot, gap))
    tangent = np.array(k.cross)
    for _ in range(DEPTH):
        image = expect_pair(relu, relu, k).value
        slopes = WEIGHT * expect_pair(step, step, k).value
        diagonal = expect_pair(relu, relu, Covariance(*[k.left[:, 0]] * 3, 0 * k.left[:, 0])).value
        k = _affine(Covariance(diagonal[:, None], diagonal[None], image, gap_after(relu, k)))
        tangent = k.cross + slopes * tangent
    return k.cross, tangent


def _affine(k: Covariance) -> Covariance:
    """WEIGHT k + BIAS; equal constants are at distance 0."""
    one = np.ones((1, 1))
    parts = [(WEIGHT, k), (BIAS, Covariance(one, one, one, 0 * one))]
    left, right = (np.sqrt(WEIGHT * x + BIAS) for x in (k.left, k.right))
    gap = gap_from_distance(sum(c * x.distance for c, x in parts), left, right)
    return Covariance(WEIGHT * k.left + BIAS, WEIGHT * k.right + BIAS, WEIGHT * k.cross + BIAS, gap)


def test_relu_nngp_and_ntk_at_depth_ten() -> None:
    X = inputs()
    with mp.workdps(50):
        nngp, tangent = recursion(X)
        for found, expected in zip(carried(X), (nngp, tangent), strict=True):
            error = np.abs((found - expected) / expected).astype(float)
            assert error.max() < 1e-12


@pytest.mark.parametrize("slope", [0.0, 0.1, -1.0])
def test_gap_after_is_exact_at_small_angles(slope: float) -> None:
    f = function("leaky_relu", slope)
    gap = np.array([0, 1e-30, 1e-16, 1e-9, 1e-4, 3e-3, 5.1e-3, 0.02, 0.3, 1.0, 1.7, 2.0])
    one = np.ones_like(gap)
    found = gap_after(f, Covariance(one, one, 1 - gap, gap))
    assert found is not None
    u, v = (1 + mp.mpf(slope)) / 2, (1 - mp.mpf(slope)) / 2
    with mp.workdps(60):
        for g, value in zip(gap, found, strict=True):
            rho = 1 - mp.mpf(float(g))
            theta = mp.acos(rho)
            even = 2 / mp.pi * (rho * (mp.pi / 2 - theta) + mp.sin(theta))
            expected = 1 - (u * u * rho + v * v * even) / (u * u + v * v)
            assert abs(value - expected) <= 3e-14 * abs(expected) + 1e-50


def test_gap_after_of_others() -> None:
    one = np.ones(1)
    k = Covariance(one, one, 0.5 * one, 0.5 * one)
    assert gap_after(IDENTITY, k) == pytest.approx(0.5)
    assert gap_after(function("step"), k) == pytest.approx(1 / 3)
    for f in (function("tanh"), Univariate(function("square").node)):
        assert gap_after(f, k) is None
