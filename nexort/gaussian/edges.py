"""E f(z_a) g(z_b) of sums of z^k exp(-tilt z^2 / 2) erf(edge z), edge = infinity for the sign.

Stein's lemma lowers the powers, E z_a F = s_a^2 E d_a F + s_a s_b rho E d_b F; the derivative of an
error function is a Gaussian, which tilts the law; what is left in the end is (Williams 1997)

    E erf(p z_a) erf(q z_b) = (2 / pi) arcsin(rho t_a t_b), t_a^2 = 2 p^2 s_a^2 / (1 + 2 p^2 s_a^2).

gelu, z (1 + erf(z / 2^(1/2))) / 2, its derivative and the Gaussian bump are among them (Tsuchida,
Pearce, van der Heide, Roosta and Gallagher 2021).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nexort.activations import Array
from nexort.gaussian import direct
from nexort.gaussian.covariance import Covariance
from nexort.gaussian.terms import Atom, Terms

ROOT = math.sqrt(2 / math.pi)


@dataclass(frozen=True, slots=True)
class State:
    """The law: standard deviations, correlation and 1 - rho^2."""

    left: Any
    right: Any
    rho: Any
    rest: Any

    def mirrored(self) -> State:
        """With z_a and z_b exchanged."""
        return State(self.right, self.left, self.rho, self.rest)


def evaluate(f: Terms, g: Terms, covariance: Covariance) -> Array:
    """The sum over pairs of atoms, on arrays."""
    rate = direct.rate_of(f, g)
    if rate is not None and direct.applies(covariance, rate):
        return direct.evaluate(f, g, covariance)
    state = State(
        covariance.left_std, covariance.right_std, covariance.rho, covariance.sine_squared
    )
    total: Any = 0.0
    for a, c in f.items():
        for b, d in g.items():
            if c * d != 0 and (a.power + b.power + bool(a.edge) + bool(b.edge)) % 2 == 0:
                total = total + c * d * _atoms(a, b, state)
    return np.broadcast_to(np.asarray(total, covariance.dtype), covariance.shape)


def _atoms(a: Atom, b: Atom, state: State) -> Any:
    if not (a.power or b.power or a.edge or b.edge):
        return _bumps(a.tilt * np.square(state.left), b.tilt * np.square(state.right), state)
    factor: Any = 1.0
    if a.tilt:
        scale, state = tilted(state, a.tilt * np.square(state.left))
        factor = factor * scale
    if b.tilt:
        scale, mirror = tilted(state.mirrored(), b.tilt * np.square(state.right))
        factor, state = factor * scale, mirror.mirrored()
    return factor * _moment(a.power, a.edge, b.power, b.edge, state)


def _bumps(x: Any, y: Any, state: State) -> Any:
    """E exp(-(x x_a^2 + y x_b^2) / 2) = [1 + x + y + x y (1 - rho^2)]^(-1/2), with
    P = 1 / (1 + x), X = 1 - P, ... so that no product overflows."""
    p, q = 1 / (1 + x), 1 / (1 + y)
    square = (x * p) * state.rest
    square = square * (y * q)
    square = square + (p + q - p * q)
    return np.sqrt(p) * np.sqrt(q) / np.sqrt(square)


def tilted(state: State, strength: Any) -> tuple[Any, State]:
    """E exp(-strength x_a^2 / 2), and the law that weight makes: Var x_a = P = 1 / (1 + strength).

    s_a' = s_a P^(1/2), s_b' = s_b w, rho' = rho P^(1/2) / w with w^2 = 1 - rho^2 + rho^2 P.
    """
    share = 1 / (1 + strength)
    return np.sqrt(share), conditioned(state, share)


def conditioned(state: State, share: Any) -> State:
    """The law when the variance of z_a is reduced to that share, 0 for conditioning on 0."""
    square = state.rest + np.square(state.rho) * share
    width = np.sqrt(square)
    safe = np.where(square > 0, width, 1)
    root = np.sqrt(share)
    rest = np.where(square > 0, state.rest / np.square(safe), 1)
    return State(state.left * root, state.right * width, state.rho * root / safe, rest)


def _moment(j: int, p: float, k: int, q: float, state: State) -> Any:
    """E z_a^j erf(p z_a) z_b^k erf(q z_b), the error functions absent for p = 0, q = 0."""
    if (j + k + bool(p) + bool(q)) % 2:
        return 0.0
    if j == 0 and k == 0:
        return _arcsine(p, q, state) if p and q else (0.0 if p or q else 1.0)
    if j == 0:
        return _moment(k, q, j, p, state.mirrored())
    total: Any = 0.0
    if j >= 2:
        total = total + (j - 1) * np.square(state.left) * _moment(j - 2, p, k, q, state)
    if k:
        cross = state.left * state.right * state.rho
        total = total + k * cross * _moment(j - 1, p, k - 1, q, state)
    if p:  # s_a^2 d_a erf = s_a (2 / pi)^(1/2) t_a E[... | tilted]
        share, kept = _shares(p, state.left)
        inner = _moment(j - 1, 0.0, k, q, conditioned(state, share))
        total = total + state.left * ROOT * np.sqrt(kept) * inner
    if q:
        share, kept = _shares(q, state.right)
        inner = _moment(j - 1, p, k, 0.0, conditioned(state.mirrored(), share).mirrored())
        total = total + state.left * state.rho * ROOT * np.sqrt(kept) * inner
    return total


def _shares(p: float, std: Any) -> tuple[Any, Any]:
    """P = 1 / (1 + 2 p^2 s^2) and 1 - P = t^2."""
    if math.isinf(p):
        return np.zeros_like(std), np.ones_like(std)
    strength = 2 * np.square(p * std)
    return 1 / (1 + strength), strength / (1 + strength)


def _arcsine(p: float, q: float, state: State) -> Any:
    """(2 / pi) arcsin(rho t_a t_b)."""
    return 2 / math.pi * _reduced(_shares(p, state.left), _shares(q, state.right), state)


def _reduced(left: tuple[Any, Any], right: tuple[Any, Any], state: State) -> Array:
    """arcsin(r), r = rho t_a t_b, from (P, t_a^2) and (Q, t_b^2); near r = 1 and -1 from
    1 - r^2 = (P + Q - P Q) + t_a^2 t_b^2 (1 - rho^2), which has only positive terms."""
    (p, t), (q, u) = left, right
    ratio = np.asarray(state.rho * np.sqrt(t) * np.sqrt(u))
    if ratio.size and max(float(ratio.max()), -float(ratio.min())) > 0.97:
        value = np.array(np.arcsin(np.clip(ratio, -1, 1)))
        square = np.broadcast_to((p + q - p * q) + t * u * state.rest, value.shape)
        near = np.abs(ratio) > 0.97
        angle = np.pi / 2 - np.arcsin(np.sqrt(square[near]))
        value[near] = np.copysign(angle, ratio[near])
        return value
    return np.asarray(np.arcsin(ratio))


def gelu(covariance: Covariance) -> Array:
    """E gelu gelu = c / 4 + [c arcsin(r) + (det (p q)^(-1/2) + c r (1/p + 1/q)) / w^(1/2)] / 2 pi

    with p = 1 + a, q = 1 + b, r = c (p q)^(-1/2), w = 1 - r^2; from the recursion above."""
    if direct.applies(covariance):
        return direct.gelu(covariance)
    c = covariance.cross
    ratio, inverse, _, rest = _gelu_parts(covariance)
    first, second = (
        s * s / np.sqrt(1 + s * s) for s in (covariance.left_std, covariance.right_std)
    )
    value = c * ratio
    value = value * inverse
    value += first * second * covariance.sine_squared
    value /= np.sqrt(rest)
    value += c * _gelu_arcsine(covariance)
    value *= 0.5 / math.pi
    value += 0.25 * c
    return np.asarray(value)


def gelu_slope(covariance: Covariance) -> Array:
    """E gelu' gelu' = 1/4 + [arcsin(r) + r (1/p + 1/q + 1 / (p q w)) / w^(1/2)] / 2 pi."""
    if direct.applies(covariance):
        return direct.gelu_slope(covariance)
    ratio, inverse, both, rest = _gelu_parts(covariance)
    value = both / rest
    value = value + inverse
    value *= ratio
    value /= np.sqrt(rest)
    value += _gelu_arcsine(covariance)
    value *= 0.5 / math.pi
    value += 0.25
    return np.asarray(value)


def _gelu_parts(k: Covariance) -> tuple[Array, Array, Array, Array]:
    """r, 1/p + 1/q, 1 / (p q) and 1 - r^2 as of :func:`_reduced`; nothing overflows."""
    p, q = 1 / (1 + k.left), 1 / (1 + k.right)
    t, u = k.left * p, k.right * q
    ratio = np.asarray(k.rho * np.sqrt(t) * np.sqrt(u))
    rest = np.asarray((p + q * t) + t * u * k.sine_squared)
    return ratio, np.asarray(p + q), np.asarray(p * q), rest


def _gelu_arcsine(k: Covariance) -> Array:
    known = k.notes.get("gelu")
    if known is None:
        p, q = 1 / (1 + k.left), 1 / (1 + k.right)
        state = State(k.left_std, k.right_std, k.rho, k.sine_squared)
        known = _reduced((p, k.left * p), (q, k.right * q), state)
        k.notes["gelu"] = known
    return known
