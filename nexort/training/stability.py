"""Which limit a parametrization has: the conditions of the dynamical dichotomy (2.8).

For a matrix r = a + c - 1; for vectors and scalars r = a + c; for the readout, with
A = a_out + a, r = A + c - 1. With B = b of the readout and r the smallest r of the other weights:

* stable at initialization (2.25): a + b = 1/2 for matrices, 0 for vectors, A + B >= 1/2;
* faithful at initialization (2.26): d = a + A + B, for scalars less 1, for the readout d = A;
* stays so (2.27): every r >= 0; A + B + r >= 1; b <= c for the readout;
* nontrivial (2.28): A + c = 1 or A + B + r = 1.

Then r = 0 is the maximal update limit, where the weights with r = 0 move; r > 0 is a neural tangent
limit, of the weights with the smallest r. Update functions that are homogeneous have a redundant
exponent: of degree 0 they ignore d; of degree 1 only c - d counts (2.1). Where updates are divided
by a norm, c stands for c + e, e the power of n in that norm (Def 2.10.6).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

from nexort.diagnostics import NexortError, fail
from nexort.program.network import Training
from nexort.program.parametrization import readouts
from nexort.program.unrolled import Array
from nexort.training.task import Key, Weight
from nexort.training.update import Update

HALF = Fraction(1, 2)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The limit: its regime, which weights move in it, and whether f_0 vanishes."""

    regime: Literal["maximal", "tangent"]
    active: Mapping[Key, bool]
    vanishes: bool


def degree(update: Update) -> int | None:
    """The degree, 0 or 1, in which an update function is homogeneous; None if it is not."""
    if update.coefficients(2) is not None:
        return 1
    draws = np.random.Generator(np.random.PCG64(0)).standard_normal((3, 8))
    # so small that any epsilon in use would be seen
    plain, tiny = _applied(update, draws), _applied(update, 1e-20 * draws)
    return 0 if np.allclose(plain, tiny, rtol=1e-12, atol=0.0) else None


def _applied(update: Update, gradients: Array) -> Array:
    states = update.start(gradients.shape[1:])
    with np.errstate(all="ignore"):
        return np.stack([np.array(update.step(t, g, states)) for t, g in enumerate(gradients)])


def verdict(training: Training, weights: Mapping[Key, Weight]) -> Verdict:
    """The limit of a training. Raises NexortError that names the condition which does not hold."""
    return _Conditions(training, weights).verdict()


class _Conditions:
    """The exponents of a training's weights, and what they satisfy."""

    def __init__(self, training: Training, weights: Mapping[Key, Weight]) -> None:
        self.training = training
        self.weights = weights
        self.last = readouts(training.network)
        self.out = training.parametrization.out
        heads = [w.exponents for key, w in weights.items() if key[0] in self.last]
        self.size = self.out + min((e.a + e.b for e in heads), default=Fraction(0))
        """A + B: f_0 has size n^(1/2 - A - B)."""

    def verdict(self) -> Verdict:
        """Check the conditions in their order."""
        self._stable()
        c = {key: self._rate(key) for key in self.weights}
        r = {key: self._r(key, c[key]) for key in self.weights}
        for key, value in r.items():
            if value < 0:
                raise self._problem("unstable", key, f"r = {_r_text(self, key)} = {value}, below 0")
        body = {key: value for key, value in r.items() if key[0] not in self.last}
        least = min(body.values(), default=None)
        heads = [key for key in r if key[0] in self.last]
        for key in heads:
            e = self.weights[key].exponents
            if e.b > c[key]:
                text = f"b = {e.b} is above c = {c[key]}: updates outgrow the initial readout"
                raise self._problem("unfaithful", key, text)
        total = None if least is None else self.size + least
        if total is not None and total < 1:
            text = f"a + b + r = {total} over readout and body, below 1"
            raise self._problem("unstable", next(iter(body)), text)
        trains = {key: r[key] == 0 for key in heads}
        if not any(trains.values()) and total != 1:
            text = "nothing moves the output in the limit: a + c > 1 for the readout"
            text += "" if total is None else f" and a + b + r = {total}, above 1"
            raise self._problem("trivial", next(iter(r)), text)
        maximal = least == 0 or (least is None and self.size >= 1)
        active = dict(trains)
        for key, value in body.items():
            active[key] = value == least and (maximal or total == 1)
        return Verdict("maximal" if maximal else "tangent", active, self.size > HALF)

    def _stable(self) -> None:
        for key, w in self.weights.items():
            e = w.exponents
            wanted = {"matrix": HALF, "vector": Fraction(0)}.get(w.kind)
            if key[0] in self.last:
                if self.out + e.a + e.b < HALF:
                    text = f"a_out + a + b = {self.out + e.a + e.b}, below 1/2"
                    raise self._problem("unstable", key, text)
            elif wanted is not None and e.a + e.b != wanted:
                raise self._problem("unstable", key, f"a + b = {e.a + e.b}, expected {wanted}")

    def _faithful(self, key: Key) -> Fraction:
        """The d for which the update function sees gradients of size 1."""
        w = self.weights[key]
        if key[0] in self.last:
            return self.out + w.exponents.a
        return w.exponents.a + self.size - (1 if w.kind == "scalar" else 0)

    def _rate(self, key: Key) -> Fraction:
        """c, after a redundant d is put right."""
        w = self.weights[key]
        e, d = w.exponents, self._faithful(key)
        c = e.c + w.shift
        homogeneous = degree(w.update)
        if w.norm is not None and w.norm.kind == "updates" and homogeneous is not None:
            homogeneous = 0
        match homogeneous:
            case 0:
                return c
            case 1 if w.norm is None or w.norm.kind == "weights":
                return c - e.d + d
            case _ if e.d != d:
                text = f"d = {e.d}, expected {d}: '{w.update.name}' sees gradients of size "
                raise self._problem("unfaithful", key, f"{text}n^({e.d - d})")
            case _:
                return c

    def _r(self, key: Key, c: Fraction) -> Fraction:
        w = self.weights[key]
        if key[0] in self.last:
            return self.out + w.exponents.a + c - 1
        return w.exponents.a + c - (1 if w.kind == "matrix" else 0)

    def _problem(self, code: str, key: Key, text: str) -> NexortError:
        table = self.training.parametrization
        name = key[0] + (f"[{', '.join(map(str, key[1]))}]" if key[1] else "")
        message = f"the parametrization '{table.name}' is {code}: for '{name}', {text}"
        return fail(code, message, table.span, help="parametrization mup, or ntp")


def _r_text(conditions: _Conditions, key: Key) -> str:
    if key[0] in conditions.last:
        return "a_out + a + c - 1"
    return "a + c - 1" if conditions.weights[key].kind == "matrix" else "a + c"
