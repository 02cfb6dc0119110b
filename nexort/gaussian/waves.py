"""E f(z_a) g(z_b) of exponentials, sines and cosines, by characteristic functions.

    E sin(u) sin(v) = [exp(-E(u - v)^2 / 2) - exp(-E(u + v)^2 / 2)] / 2, cosines with a plus,
    E exp(u) exp(v) = exp(E(u + v)^2 / 2),
    E exp(u) cos(v), E exp(u) sin(v) = exp((E u^2 - E v^2) / 2) times cos, sin of E u v.

u and v are z_a and z_b times frequencies (Pearce, Tsuchida, Zaki, Brintrup and Neely 2019).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nexort.activations import Array
from nexort.gaussian.covariance import Covariance
from nexort.gaussian.terms import Atom, Terms


def wave_sum(f: Terms, g: Terms, covariance: Covariance) -> Array:
    """The sum over pairs of atoms, on arrays."""
    total: Any = 0.0
    for a, c in f.items():
        for b, d in g.items():
            if c * d != 0:
                total = total + c * d * _atoms(a, b, covariance)
    return np.broadcast_to(np.asarray(total, covariance.dtype), covariance.shape)


def _atoms(a: Atom, b: Atom, k: Covariance) -> Any:
    if a.wave and b.wave:
        return _two_waves(a, b, k)
    if b.wave:
        return _wave_and_exponential(b, a, k, k.right, k.left)
    if a.wave:
        return _wave_and_exponential(a, b, k, k.left, k.right)
    with np.errstate(over="ignore"):
        return np.exp(_square(k, a.slope, b.slope, 1) / 2)


def _square(k: Covariance, p: float, q: float, sign: int) -> Any:
    """E (p z_a + sign q z_b)^2, without cancellation where it nearly vanishes."""
    if p * q == 0:
        return p * p * k.left + q * q * k.right
    opposite = sign * np.sign(p * q) < 0
    gap = k.one_minus_rho if opposite else k.one_plus_rho
    p, q = abs(p), abs(q)
    if p == q:
        return p * p * (k.distance if opposite else k.distance_to_mirror)
    return np.square(p * k.left_std - q * k.right_std) + 2 * p * q * k.scale * gap


def _two_waves(a: Atom, b: Atom, k: Covariance) -> Any:
    if a.wave != b.wave:
        return 0.0
    p, q = a.frequency, b.frequency
    near, far = _square(k, p, q, -1), _square(k, p, q, 1)
    if a.wave == "cos":
        return (np.exp(-near / 2) + np.exp(-far / 2)) / 2
    # exp(-near / 2) - exp(-far / 2) without cancellation: far - near = 4 p q c
    cross = 2 * p * q * k.cross
    smaller = np.minimum(near, far)
    return np.copysign(np.exp(-smaller / 2) * -np.expm1(-np.abs(cross)) / 2, cross)


def _wave_and_exponential(a: Atom, b: Atom, k: Covariance, left: Array, right: Array) -> Any:
    cross = a.frequency * b.slope * k.cross
    with np.errstate(over="ignore"):
        size = np.exp((b.slope**2 * right - a.frequency**2 * left) / 2)
        return size * (np.sin(cross) if a.wave == "sin" else np.cos(cross))
