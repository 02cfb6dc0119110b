"""Two-dimensional quadrature for many entries: each distinct one once, and a Chebyshev series in
the angle where many entries share their variances."""

from __future__ import annotations

import math

import numpy as np

from nexort.activations import Array
from nexort.gaussian.quadrature import moment_two
from nexort.gaussian.univariate import Univariate

MANY = 40
"""Entries with the same variances beyond which the angle is interpolated."""


def entries(
    f: Univariate, g: Univariate, left: Array, right: Array, angle: Array, rtol: float,
    means: tuple[Array, Array] | None = None,
) -> tuple[Array, Array]:  # fmt: skip
    """(values, errors) of E f(z_a) g(z_b) for flat arrays of standard deviations and angles."""
    value, error = np.zeros(len(angle)), np.zeros(len(angle))
    offsets = means or (np.zeros(len(angle)), np.zeros(len(angle)))
    keys = np.stack([left, right, *offsets])
    distinct, inverse = np.unique(keys, axis=1, return_inverse=True)
    for index in range(distinct.shape[1]):
        at = np.flatnonzero(inverse.ravel() == index)
        s, t, m, n = (float(x) for x in distinct[:, index])
        pair = _Pair(f, g, s, t, (m, n), rtol)
        angles, places = np.unique(angle[at], return_inverse=True)
        found = _interpolated(pair, angles) if len(angles) > MANY else None
        if found is None:
            both = [pair(x) for x in angles]
            found = np.array([b[0] for b in both]), np.array([b[1] for b in both])
        value[at], error[at] = found[0][places.ravel()], found[1][places.ravel()]
    return value, error


class _Pair:
    """E f(z_a) g(z_b) as a function of the angle."""

    def __init__(
        self, f: Univariate, g: Univariate, s: float, t: float, means: tuple[float, float],
        rtol: float,
    ) -> None:  # fmt: skip
        self.f, self.g, self.s, self.t, self.means, self.rtol = f, g, s, t, means, rtol

    def __call__(self, angle: float) -> tuple[float, float]:
        rho, sine = math.cos(angle), math.sin(angle)
        if angle == 0 or angle >= math.pi:
            sine = 0.0
        return moment_two(self.f, self.g, self.s, self.t, rho, sine, self.rtol * 0.1, self.means)


def _interpolated(pair: _Pair, angles: Array) -> tuple[Array, Array] | None:
    """A Chebyshev series over the range of the angles, None unless its last coefficients vanish."""
    low, high = float(angles[0]), float(angles[-1])
    for size in (17, 33):
        if size > len(angles):
            return None
        points = (2 * np.arange(size) + 1) * np.pi / (2 * size)
        found = [pair((low + high) / 2 + (high - low) / 2 * math.cos(p)) for p in points]
        values = np.array([x[0] for x in found])
        spectrum = np.cos(np.outer(np.arange(size), points)) @ values * (2 / size)
        spectrum[0] /= 2
        slack = 4 * float(np.abs(spectrum[-4:]).max())
        scale = float(np.abs(values).max())
        if slack <= pair.rtol * scale:
            t = np.clip((2 * angles - low - high) / (high - low), -1, 1)
            fitted = np.cos(np.outer(np.arccos(t), np.arange(size))) @ spectrum
            return fitted, np.full(len(angles), slack + max(x[1] for x in found))
    return None
