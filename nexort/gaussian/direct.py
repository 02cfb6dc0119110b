"""The error function's family in few passes over a block, for variances that are not large.

With p = 1 + a, q = 1 + b (a, b the variances, c the covariance), D = p q - c^2 and
theta = arcsin(c / (p q)^(1/2)):

    E gelu gelu   = c / 4 + [c theta + (a b - c^2 + c^2 (1/p + 1/q)) / D^(1/2)] / 2 pi
    E gelu' gelu' = 1/4 + [theta + c (1/p + 1/q + 1/D) / D^(1/2)] / 2 pi
    E erf(u z_a) erf(v z_b)                 = (2 / pi) arcsin(2 u v c / (p q)^(1/2))
    E exp(-(x z_a^2 + y z_b^2) / 2)         = [p q - x y c^2]^(-1/2)

where in the third p = 1 + 2 u^2 a, q = 1 + 2 v^2 b, and in the last p = 1 + x a, q = 1 + y b. These
lose a factor of about the variance in D, so they are used up to LARGEST;
``nexort.gaussian.edges`` takes over beyond.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nexort.functions import Array
from nexort.gaussian.covariance import Covariance
from nexort.gaussian.terms import Atom, Terms

LARGEST = 30.0
"""Variances, times the squared rates of the functions, up to which this is exact to rounding."""


def applies(k: Covariance, rate: float = 1.0) -> bool:
    """Whether the variances, times ``rate``, are small enough and the covariance is one. Where it
    may be none, the careful formulas tell."""
    if k.means is not None or not k.cross.size or k.dtype not in (np.float64, np.float32):
        return False
    if rate * max(float(k.left.max()), float(k.right.max())) > LARGEST:
        return False
    known = k.notes.get("positive")
    if known is None and max(float(k.cross.max()), -float(k.cross.min())) ** 2 <= float(
        k.left.min()
    ) * float(k.right.min()):
        known = k.notes["positive"] = np.asarray(True)
    if known is None:
        eps = float(np.finfo(k.dtype).eps)
        room = np.multiply(k.left * (1 + 16 * eps), k.right)
        room = room - _squared(k)
        known = k.notes["positive"] = np.asarray(float(room.min()) >= 0)
    return bool(known)


def _squared(k: Covariance) -> Array:
    """c^2."""
    if "squared" not in k.notes:
        k.notes["squared"] = np.asarray(np.square(k.cross))
    return k.notes["squared"]


def _parts(k: Covariance) -> tuple[Array, Array]:
    """(theta, D^(1/2)) of gelu."""
    if "theta" not in k.notes:
        p, q = 1 + k.left, 1 + k.right
        root = _times(p, q)
        root = _in_place(np.subtract, root, _squared(k))
        theta = _in_place(np.multiply, _times(k.cross, 1 / np.sqrt(p)), 1 / np.sqrt(q))
        k.notes["theta"] = np.arcsin(theta, out=theta)
        k.notes["root"] = np.sqrt(root, out=root)
    return k.notes["theta"], k.notes["root"]


def gelu(k: Covariance) -> Array:
    """E gelu(z_a) gelu(z_b)."""
    theta, root = _parts(k)
    value = np.asarray(1 / (1 + k.left) - 1 + 1 / (1 + k.right))
    value = _in_place(np.multiply, value, _squared(k))
    other = _times(k.left, k.right)
    value = _in_place(np.add, value, other)
    value = _in_place(np.divide, value, root)
    # c theta / 2 pi + c / 4
    other = np.add(theta, math.pi / 2, out=other if other.shape == theta.shape else None)
    other = _in_place(np.multiply, other, k.cross)
    value = _in_place(np.add, value, other)
    value *= 0.5 / math.pi
    return value


def gelu_slope(k: Covariance) -> Array:
    """E gelu'(z_a) gelu'(z_b)."""
    theta, root = _parts(k)
    value = 1 / np.square(root)
    value = value + (1 / (1 + k.left) + 1 / (1 + k.right))
    value *= k.cross
    value /= root
    value += theta
    value *= 0.5 / math.pi
    value += 0.25
    return np.asarray(value)


def rate_of(f: Terms, g: Terms) -> float | None:
    """The largest squared rate of two sums of erf(edge z) and exp(-tilt z^2 / 2) without powers,
    where all products of the one with the other have a formula here; else None."""
    atoms = [*f, *g]
    erfs = all(a.edge and not a.tilt and math.isfinite(a.edge) for a in atoms)
    bumps = all(a.tilt > 0 and not a.edge for a in atoms)
    if any(a.power for a in atoms) or not (erfs or bumps):
        return None
    return max(2 * a.edge * a.edge if erfs else a.tilt for a in atoms)


def evaluate(f: Terms, g: Terms, k: Covariance) -> Array:
    """The sum over pairs of atoms, for sums with a ``rate_of``."""
    total: Any = None
    for a, c in f.items():
        for b, d in g.items():
            part = _bump(a, b, k, c * d) if a.tilt else _erf(a, b, k, c * d)
            total = part if total is None else total + part
    return np.asarray(total)


def _erf(a: Atom, b: Atom, k: Covariance, factor: float) -> Array:
    u, v = a.edge, b.edge
    ratio = _times(k.cross, 2 * u * v / np.sqrt(1 + 2 * u * u * k.left))
    ratio = _in_place(np.multiply, ratio, 1 / np.sqrt(1 + 2 * v * v * k.right))
    np.arcsin(ratio, out=ratio)
    ratio *= 2 / math.pi * factor
    return ratio


def _bump(a: Atom, b: Atom, k: Covariance, factor: float) -> Array:
    square = _times(_squared(k), -a.tilt * b.tilt)
    square = _in_place(np.add, square, _times(1 + a.tilt * k.left, 1 + b.tilt * k.right))
    np.sqrt(square, out=square)
    return np.divide(factor, square, out=square)


def _times(x: Any, y: Any) -> Array:
    """The product, as an array of its own."""
    return np.asarray(np.multiply(x, y))


def _in_place(step: np.ufunc, x: Array, y: Any) -> Array:
    """``step(x, y)``, in x where it has room."""
    y = np.asarray(y)
    fits = x.shape == np.broadcast_shapes(x.shape, y.shape)
    return np.asarray(step(x, y, out=x) if fits else step(x, y))
