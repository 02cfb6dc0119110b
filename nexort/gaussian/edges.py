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
from nexort.gaussian import direct, stein
from nexort.gaussian.covariance import Covariance
from nexort.gaussian.stein import edge_moment
from nexort.gaussian.terms import Atom, Terms

ROOT = math.sqrt(2 / math.pi)


@dataclass(frozen=True, slots=True)
class PairLaw:
    """The law: standard deviations, correlation and 1 - rho^2."""

    left: Any
    right: Any
    rho: Any
    rest: Any

    weight = 1.0

    @property
    def variance(self) -> Any:
        """Var z_a."""
        return np.square(self.left)

    @property
    def cross(self) -> Any:
        """Cov(z_a, z_b)."""
        return self.left * self.right * self.rho

    def total(self, terms: stein.Terms) -> Any:
        """A sum of products."""
        return sum((n * x * y for n, x, y in terms), 0.0)

    def mirrored(self) -> PairLaw:
        """With z_a and z_b exchanged."""
        return PairLaw(self.right, self.left, self.rho, self.rest)

    def arcsine(self, u: float, v: float) -> Any:
        """(2 / pi) arcsin(rho t_a t_b)."""
        return 2 / math.pi * _reduced(_shares(u, self.left), _shares(v, self.right), self)

    def left_edge(self, u: float) -> tuple[Any, PairLaw]:
        """s_a (2 / pi)^(1/2) t_a, and the law that the slope of erf(u z_a) leaves."""
        share, kept = _shares(u, self.left)
        return self.left * ROOT * np.sqrt(kept), condition(self, share)

    def right_edge(self, v: float) -> tuple[Any, PairLaw]:
        """s_a rho (2 / pi)^(1/2) t_b, and the law that the slope of erf(v z_b) leaves."""
        share, kept = _shares(v, self.right)
        factor = self.left * self.rho * ROOT * np.sqrt(kept)
        return factor, condition(self.mirrored(), share).mirrored()


def edge_sum(f: Terms, g: Terms, covariance: Covariance) -> Array:
    """The sum over pairs of atoms, on arrays."""
    rate = direct.rate_of(f, g)
    if rate is not None and direct.applies(covariance, rate):
        return direct.direct_sum(f, g, covariance)
    state = PairLaw(
        covariance.left_std, covariance.right_std, covariance.rho, covariance.sine_squared
    )
    total: Any = 0.0
    for a, c in f.items():
        for b, d in g.items():
            if c * d != 0 and (a.power + b.power + bool(a.edge) + bool(b.edge)) % 2 == 0:
                total = total + c * d * _atoms(a, b, state)
    return np.broadcast_to(np.asarray(total, covariance.dtype), covariance.shape)


def _atoms(a: Atom, b: Atom, state: PairLaw) -> Any:
    if not (a.power or b.power or a.edge or b.edge):
        return _bumps(a.tilt * np.square(state.left), b.tilt * np.square(state.right), state)
    factor: Any = 1.0
    if a.tilt:
        scale, state = tilt(state, a.tilt * np.square(state.left))
        factor = factor * scale
    if b.tilt:
        scale, mirror = tilt(state.mirrored(), b.tilt * np.square(state.right))
        factor, state = factor * scale, mirror.mirrored()
    return factor * edge_moment(a.power, a.edge, b.power, b.edge, state)


def _bumps(x: Any, y: Any, state: PairLaw) -> Any:
    """E exp(-(x x_a^2 + y x_b^2) / 2) = [1 + x + y + x y (1 - rho^2)]^(-1/2), with
    P = 1 / (1 + x), X = 1 - P, ... so that no product overflows."""
    p, q = 1 / (1 + x), 1 / (1 + y)
    square = (x * p) * state.rest
    square = square * (y * q)
    square = square + (p + q - p * q)
    return np.sqrt(p) * np.sqrt(q) / np.sqrt(square)


def tilt(state: PairLaw, strength: Any) -> tuple[Any, PairLaw]:
    """E exp(-strength x_a^2 / 2), and the law that weight makes: Var x_a = P = 1 / (1 + strength).

    s_a' = s_a P^(1/2), s_b' = s_b w, rho' = rho P^(1/2) / w with w^2 = 1 - rho^2 + rho^2 P.
    """
    share = 1 / (1 + strength)
    return np.sqrt(share), condition(state, share)


def condition(state: PairLaw, share: Any) -> PairLaw:
    """The law when the variance of z_a is reduced to that share, 0 for conditioning on 0."""
    square = state.rest + np.square(state.rho) * share
    width = np.sqrt(square)
    safe = np.where(square > 0, width, 1)
    root = np.sqrt(share)
    rest = np.where(square > 0, state.rest / np.square(safe), 1)
    return PairLaw(state.left * root, state.right * width, state.rho * root / safe, rest)


def _shares(p: float, std: Any) -> tuple[Any, Any]:
    """P = 1 / (1 + 2 p^2 s^2) and 1 - P = t^2."""
    if math.isinf(p):
        return np.zeros_like(std), np.ones_like(std)
    strength = 2 * np.square(p * std)
    return 1 / (1 + strength), strength / (1 + strength)


def _reduced(left: tuple[Any, Any], right: tuple[Any, Any], state: PairLaw) -> Array:
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


def gelu_by_edges(covariance: Covariance) -> Array:
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


def gelu_slope_by_edges(covariance: Covariance) -> Array:
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
        state = PairLaw(k.left_std, k.right_std, k.rho, k.sine_squared)
        known = _reduced((p, k.left * p), (q, k.right * q), state)
        k.notes["gelu"] = known
    return known
