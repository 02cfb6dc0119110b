"""The diagonal of a Gram matrix, where both Gaussians are one variable up to rounding."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.integrate import quad

from nexort.gaussian import expectation
from nexort.gaussian.covariance import Covariance
from nexort.gaussian.expectation import expect_pair
from nexort.gaussian.univariate import function


def test_the_diagonal_takes_no_quadrature_in_the_plane(monkeypatch: pytest.MonkeyPatch) -> None:
    """E tanh^2, E tanh'^2 at variances where no Hermite series reaches correlation 1."""

    def refused(*_: object) -> None:
        raise AssertionError("an entry of the diagonal went to quadrature in two dimensions")

    monkeypatch.setattr(expectation, "_hard_entries", refused)
    left = np.linspace(2.0, 9.0, 50)
    cross = left * (1 - np.tile([0.0, 4e-16, 8e-16, -4e-16, 0.0], 10))
    tanh = function("tanh")
    for f, known in ((tanh, _tanh), (tanh.derivative(), _slope)):
        found = expect_pair(f, f, Covariance(left, left, cross))
        for variance, value in zip(left, found.value, strict=True):
            assert value == pytest.approx(_square(known, variance), rel=1e-9)


def _tanh(z: float) -> float:
    return math.tanh(z)


def _slope(z: float) -> float:
    return 1 - math.tanh(z) ** 2


def _square(f: Callable[[float], float], variance: float) -> float:
    """E f(z)^2."""
    size = math.sqrt(2 * math.pi * variance)

    def weighted(z: float) -> float:
        return f(z) ** 2 * math.exp(-z * z / 2 / variance) / size

    return quad(weighted, -40, 40, points=[-3, 0, 3], epsabs=1e-13, limit=200)[0]
