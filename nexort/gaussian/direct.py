"""The error function's family in few passes over a block, for variances that are not large.

With p = 1 + a, q = 1 + b (a, b the variances, c the covariance), r = c / (p q)^(1/2), theta =
arcsin(r), D = p q - c^2 = p q (1 - r^2) and S = 1 / p + 1 / q:

    E gelu gelu   = c / 4 + [c theta + (a b - c^2 + c^2 S) / D^(1/2)] / 2 pi
                  = [c (theta + pi / 2) + (a b (p q)^(-1/2) + c r (S - 1)) (1 - r^2)^(-1/2)] / 2 pi
    E gelu' gelu' = 1/4 + [theta + c (S + 1 / D) / D^(1/2)] / 2 pi
                  = 1/4 + [theta + r (S + 1 / D) (1 - r^2)^(-1/2)] / 2 pi
    E erf(u z_a) erf(v z_b)                 = (2 / pi) theta
    E exp(-(x z_a^2 + y z_b^2) / 2)         = (p q)^(-1/2) (1 - r^2)^(-1/2)

where in the third p = 1 + 2 u^2 a, q = 1 + 2 v^2 b and r = 2 u v c / (p q)^(1/2), and in the last
p = 1 + x a, q = 1 + y b and r = (x y)^(1/2) c / (p q)^(1/2). These lose a factor of about the
variance in 1 - r^2, so they are used up to LARGEST; ``nexort.gaussian.edges`` takes over beyond.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from nexort.activations import Array
from nexort.gaussian.covariance import Covariance
from nexort.gaussian.scratch import outer_array, outer_sum, room
from nexort.gaussian.terms import Atom, Terms

LARGEST = 30.0
"""Variances, times the squared rates of the functions, up to which this is exact to rounding."""


def applies(k: Covariance, rate: float = 1.0) -> bool:
    """Whether the variances, times ``rate``, are small enough and the covariance is one. Where it
    may be none, the careful formulas tell."""
    if k.means is not None or not k.cross.size or k.dtype not in (np.float64, np.float32):
        return False
    if rate * k.largest > LARGEST:
        return False
    known = k.notes.get("positive")
    if known is None and max(float(k.cross.max()), -float(k.cross.min())) ** 2 <= float(
        k.left.min()
    ) * float(k.right.min()):
        known = k.notes["positive"] = np.asarray(True)
    if known is None:
        eps = float(np.finfo(k.dtype).eps)
        spare = np.multiply(k.left * (1 + 16 * eps), k.right) - np.square(k.cross)
        known = k.notes["positive"] = np.asarray(float(spare.min()) >= 0)
    return bool(known)


def _known(k: Covariance, what: str, x: float, y: float, find: Callable[[], Array]) -> Array:
    """What was found before of a covariance at these rates, or is found now."""
    key = f"{what} {x!r} {y!r}"
    if key not in k.notes:
        k.notes[key] = find()
    return k.notes[key]


def _inverse_root(k: Covariance, x: float, y: float) -> Array:
    """(p q)^(-1/2), p = 1 + x a and q = 1 + y b."""

    def find() -> Array:
        return outer_array(1 / np.sqrt(1 + x * k.left), 1 / np.sqrt(1 + y * k.right))

    return _known(k, "inverse root", x, y, find)


def _ratio(k: Covariance, x: float, y: float) -> Array:
    """r = (x y)^(1/2) c (p q)^(-1/2)."""

    def find() -> Array:
        found = _times(k.cross, _inverse_root(k, x, y))
        return found if x == y == 1 else _in_place(np.multiply, found, math.sqrt(x * y))

    return _known(k, "ratio", x, y, find)


def _root(k: Covariance, x: float, y: float) -> Array:
    """(1 - r^2)^(1/2)."""

    def find() -> Array:
        ratio = _ratio(k, x, y)
        square = _times(ratio, ratio)
        square = np.asarray(np.subtract(1, square, out=square if square.ndim else None))
        return _in_place(np.sqrt, square)

    return _known(k, "root", x, y, find)


def _angle(k: Covariance, x: float, y: float) -> Array:
    """theta = arcsin(r)."""

    def find() -> Array:
        ratio = _ratio(k, x, y)
        return np.asarray(np.arcsin(ratio, out=room(ratio)))

    return _known(k, "angle", x, y, find)


def _sum(k: Covariance) -> Array:
    """S = 1 / p + 1 / q of gelu."""

    def find() -> Array:
        return outer_sum(1 / (1 + k.left), 1 / (1 + k.right))

    return _known(k, "sum", 1, 1, find)


def gelu(k: Covariance) -> Array:
    """E gelu(z_a) gelu(z_b)."""
    total = _sum(k)
    value = np.asarray(np.subtract(total, 1, out=room(total)))
    value = _in_place(np.multiply, value, k.cross)
    value = _in_place(np.multiply, value, _ratio(k, 1, 1))
    other = outer_array(k.left / np.sqrt(1 + k.left), k.right / np.sqrt(1 + k.right))
    value = _in_place(np.add, value, other)
    value = _in_place(np.divide, value, _root(k, 1, 1))
    angle = _angle(k, 1, 1)
    fits = other.shape == angle.shape and other.dtype == angle.dtype and other.ndim
    other = np.asarray(np.add(angle, math.pi / 2, out=other if fits else None))
    other = _in_place(np.multiply, other, k.cross)
    value = _in_place(np.add, value, other)
    return _in_place(np.multiply, value, 0.5 / math.pi)


def gelu_slope(k: Covariance) -> Array:
    """E gelu'(z_a) gelu'(z_b)."""
    inverse, root = _inverse_root(k, 1, 1), _root(k, 1, 1)
    value = np.asarray(np.divide(inverse, root, out=room(inverse, root)))
    value = _in_place(np.multiply, value, value)
    value = _in_place(np.add, value, _sum(k))
    value = _in_place(np.multiply, value, _ratio(k, 1, 1))
    value = _in_place(np.divide, value, root)
    value = _in_place(np.add, value, _angle(k, 1, 1))
    value = _in_place(np.multiply, value, 0.5 / math.pi)
    return _in_place(np.add, value, 0.25)


def rate_of(f: Terms, g: Terms) -> float | None:
    """The largest squared rate of two sums of erf(edge z) and exp(-tilt z^2 / 2) without powers,
    where all products of the one with the other have a formula here; else None."""
    atoms = [*f, *g]
    erfs = all(a.edge and not a.tilt and math.isfinite(a.edge) for a in atoms)
    bumps = all(a.tilt > 0 and not a.edge for a in atoms)
    if any(a.power for a in atoms) or not (erfs or bumps):
        return None
    return max(2 * a.edge * a.edge if erfs else a.tilt for a in atoms)


def direct_sum(f: Terms, g: Terms, k: Covariance) -> Array:
    """The sum over pairs of atoms, for sums with a ``rate_of``."""
    total: Any = None
    for a, c in f.items():
        for b, d in g.items():
            part = _bump(a, b, k, c * d) if a.tilt else _erf(a, b, k, c * d)
            total = part if total is None else total + part
    return np.asarray(total)


def _erf(a: Atom, b: Atom, k: Covariance, factor: float) -> Array:
    u, v = a.edge, b.edge
    angle = _angle(k, 2 * u * u, 2 * v * v)
    factor *= math.copysign(2 / math.pi, u * v)
    return np.asarray(np.multiply(angle, factor, out=room(angle)))


def _bump(a: Atom, b: Atom, k: Covariance, factor: float) -> Array:
    inverse, root = _inverse_root(k, a.tilt, b.tilt), _root(k, a.tilt, b.tilt)
    value = np.asarray(np.divide(inverse, root, out=room(inverse, root)))
    return value if factor == 1 else _in_place(np.multiply, value, factor)


def _times(x: Any, y: Any) -> Array:
    """The product, as an array of its own."""
    return np.asarray(np.multiply(x, y, out=room(x, y)))


def _in_place(step: np.ufunc, x: Array, *more: Any) -> Array:
    """``step(x, ...)``, in x where it has room."""
    if x.ndim and all(np.ndim(y) == 0 or np.shape(y) == x.shape for y in more):
        return np.asarray(step(x, *more, out=x))
    fits = x.ndim and x.shape == np.broadcast_shapes(x.shape, *(np.shape(y) for y in more))
    return np.asarray(step(x, *more, out=x if fits else None))
