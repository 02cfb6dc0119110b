"""Expectations by routes that share nothing with nexort.gaussian."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np

from nexort.activations import Array

Function = Callable[[Array], Array]


def polar(f: Function, g: Function, s: float, t: float, rho: float, reach: float = 13.0) -> float:
    """E f(z_a) g(z_b) in polar coordinates, z_a = s r cos(u), z_b = t r cos(u - arccos(rho)):
    Gauss-Legendre panels between the rays on which z_a or z_b is 0. For smooth f and g, or with
    kinks at 0 only."""
    theta = np.arccos(rho)
    rays = np.array([np.pi / 2, -np.pi / 2, np.pi / 2 + theta, -np.pi / 2 + theta]) % (2 * np.pi)
    edges = np.unique(np.concatenate([[0, 2 * np.pi], rays, np.linspace(0, 2 * np.pi, 13)]))
    u, du = _panels(edges)
    r, dr = _panels(np.concatenate([np.geomspace(1e-3, 1, 5), np.linspace(1, reach, 14)[1:], [0]]))
    weight = r * np.exp(-r * r / 2) * dr / (2 * np.pi)
    first = f(s * np.outer(np.cos(u), r))
    second = g(t * np.outer(np.cos(u - theta), r))
    return float(np.sum((first * second) @ weight * du))


def _panels(edges: Array) -> tuple[Array, Array]:
    edges = np.sort(edges)
    x, w = np.polynomial.legendre.leggauss(14)
    half = np.diff(edges)[:, None] / 2
    middle = (edges[1:] + edges[:-1])[:, None] / 2
    return (middle + half * x).ravel(), (half * w).ravel()


def _relu(a: Any, b: Any, c: Any, det: Any) -> Any:
    return (mp.sqrt(det) + c * (mp.pi / 2 + mp.atan2(c, mp.sqrt(det)))) / (2 * mp.pi)


def _step(a: Any, b: Any, c: Any, det: Any) -> Any:
    return mp.mpf(1) / 4 + mp.atan2(c, mp.sqrt(det)) / (2 * mp.pi)


def _abs(a: Any, b: Any, c: Any, det: Any) -> Any:
    return 2 / mp.pi * (mp.sqrt(det) + c * mp.atan2(c, mp.sqrt(det)))


def _sign(a: Any, b: Any, c: Any, det: Any) -> Any:
    return 2 / mp.pi * mp.atan2(c, mp.sqrt(det))


def _erf(a: Any, b: Any, c: Any, det: Any) -> Any:
    return 2 / mp.pi * mp.atan2(2 * c, mp.sqrt(1 + 2 * a + 2 * b + 4 * det))


def _gelu(a: Any, b: Any, c: Any, det: Any) -> Any:
    root = mp.sqrt(1 + a + b + det)
    rest = (det + c * c / (1 + a) + c * c / (1 + b)) / root
    return c / 4 + (c * mp.atan2(c, root) + rest) / (2 * mp.pi)


def _relu_squared(a: Any, b: Any, c: Any, det: Any) -> Any:
    angle = mp.pi / 2 + mp.atan2(c, mp.sqrt(det))
    return (3 * c * mp.sqrt(det) + (a * b + 2 * c * c) * angle) / (2 * mp.pi)


EXACT: dict[str, Callable[[Any, Any, Any, Any], Any]] = {
    "identity": lambda a, b, c, det: c,
    "relu": _relu,
    "step": _step,
    "abs": _abs,
    "sign": _sign,
    "erf": _erf,
    "gelu": _gelu,
    "relu^2": _relu_squared,
    "sin": lambda a, b, c, det: (mp.exp(c - (a + b) / 2) - mp.exp(-c - (a + b) / 2)) / 2,
    "cos": lambda a, b, c, det: (mp.exp(c - (a + b) / 2) + mp.exp(-c - (a + b) / 2)) / 2,
    "gauss": lambda a, b, c, det: 1 / mp.sqrt(1 + a + b + det),
    "square": lambda a, b, c, det: a * b + 2 * c * c,
    "cube": lambda a, b, c, det: 9 * a * b * c + 6 * c**3,
}
"""E f(z_a) f(z_b) from Var z_a, Var z_b, the covariance and the determinant, in mpmath."""


def exact(name: str, a: float, b: float, c: float) -> tuple[Any, Any]:
    """(value, natural scale (E f(z_a)^2 E f(z_b)^2)^(1/2)) with the working precision of mpmath."""
    x, y, z = mp.mpf(float(a)), mp.mpf(float(b)), mp.mpf(float(c))
    formula = EXACT[name]
    scale = mp.sqrt(formula(x, x, x, mp.mpf(0)) * formula(y, y, y, mp.mpf(0)))
    return formula(x, y, z, x * y - z * z), scale


def triples(count: int, seed: int) -> list[tuple[float, float, float]]:
    """Random positive semidefinite (a, b, c), many nearly singular, over many scales."""
    rng = np.random.default_rng(seed)
    found: list[tuple[float, float, float]] = []
    while len(found) < count:
        a = 10 ** rng.uniform(-12, 12)
        b = a * 10 ** (rng.uniform(-3, 3) if rng.random() < 0.7 else 0.0)
        gap = rng.uniform(0, 1) if rng.random() < 0.4 else 10 ** rng.uniform(-16, 0)
        c = float(rng.choice([-1, 1]) * (1 - gap) * np.sqrt(a) * np.sqrt(b))
        with mp.workdps(60):
            if mp.mpf(a) * mp.mpf(b) >= mp.mpf(c) ** 2:
                found.append((float(a), float(b), c))
    return found
