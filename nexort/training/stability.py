"""Which limit a training has: the dynamical dichotomy (nexort.scaling.theorem) for its weights.

r = 0 is the maximal update limit, where the weights with r = 0 move; r > 0 is a neural tangent
limit, of the weights with the smallest r. A network without a readout has S = a_out.
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
from nexort.scaling.layers import HALF, Layer, Normalization, Table
from nexort.scaling.theorem import FAILURE, VERDICTS, Condition, Conditions
from nexort.training.task import Key, Weight, weight_name
from nexort.training.update import Update

NORMALIZATIONS: Mapping[str, Normalization] = {
    "updates": "update",
    "weights": "weight",
    "clip": "clipping",
}


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


def layer(key: Key, weight: Weight, *, readout: bool) -> Layer:
    """A weight as the conditions see it."""
    normalization: Normalization = "none"
    if weight.norm is not None:
        normalization = NORMALIZATIONS[weight.norm.kind]
    part = "readout" if readout else weight.kind
    return Layer(weight_name(key), part, degree(weight.update), normalization)


def table(training: Training, weights: Mapping[Key, Weight]) -> Table:
    """The weights of a training as layers with exponents."""
    last = readouts(training.network)
    return Table(
        tuple(layer(key, w, readout=key[0] in last) for key, w in weights.items()),
        tuple(w.exponents for w in weights.values()),
        training.parametrization.out,
    )


def verdict(training: Training, weights: Mapping[Key, Weight]) -> Verdict:
    """The limit of a training. Raises NexortError that names the condition which does not hold."""
    whole = table(training, weights)
    conditions = Conditions(whole.layers, whole.array, whole.out)
    nontrivial = []
    for x in conditions.all():
        if x.group == "nontrivial":
            nontrivial.append(x)
        elif not x.holds[0]:
            raise _problem(training, weights, x)
    if not any(x.holds[0] for x in nontrivial):
        raise _problem(training, weights, *nontrivial)
    names = list(weights)
    least = None if conditions.least is None else conditions.least[0]
    total: Fraction = conditions.total[0]
    maximal = least == 0 or (least is None and total >= 1)
    active = {names[k]: bool(conditions.r[k][0] == 0) for k in conditions.heads}
    for k in conditions.body:
        seen = maximal or (least is not None and total + least == 1)
        active[names[k]] = bool(conditions.r[k][0] == least) and seen
    return Verdict("maximal" if maximal else "tangent", active, total > HALF)


def _problem(training: Training, weights: Mapping[Key, Weight], *failed: Condition) -> NexortError:
    first = failed[0]
    text = _text(first, weights)
    if first.group == "nontrivial":
        text = "nothing moves the output in the limit: "
        text += " and ".join(f"{x.formula} = {x.left[0]}, not {x.right[0]}" for x in failed)
    code = VERDICTS[FAILURE[first.group]]
    name = training.parametrization.name
    message = f"the parametrization '{name}' is {code}: for '{first.layer}', {text}"
    return fail(code, message, training.parametrization.span, help="parametrization mup, or ntp")


def _text(x: Condition, weights: Mapping[Key, Weight]) -> str:
    left, right = x.left[0], x.right[0]
    match x.relation:
        case "=":
            text = f"{x.formula} = {left}, expected {right}"
        case ">=":
            text = f"{x.formula} = {left}, below {right}"
        case _:
            return f"{x.formula} = {left} is above c = {right}: updates outgrow the initial readout"
    if x.group == "faithful at initialization":
        update = next(w.update for key, w in weights.items() if weight_name(key) == x.layer)
        text += f": '{update.name}' sees gradients of size n^({left - right})"
    return text
