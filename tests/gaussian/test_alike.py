"""The diagonal of a Gram matrix, where both Gaussians are one variable up to rounding."""

from __future__ import annotations

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
    for f, slope in ((tanh, False), (tanh.derivative(), True)):
        found = expect_pair(f, f, Covariance(left, left, cross))
        for variance, value in zip(left, found.value, strict=True):
            density = lambda z, v=variance: np.exp(-z * z / 2 / v) / np.sqrt(2 * np.pi * v)  # noqa: E731
            known = quad(
                lambda z, d=density: (1 - np.tanh(z) ** 2 if slope else np.tanh(z)) ** 2 * d(z),
                -40, 40, points=[-3, 0, 3], epsabs=1e-13, limit=200,
            )[0]  # fmt: skip
            assert value == pytest.approx(known, rel=1e-9)
