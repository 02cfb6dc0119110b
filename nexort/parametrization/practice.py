"""Scaling tables: what initialization, multiplier, learning rate, epsilon and weight decay every
tensor gets as functions of width (Prop 2.2.3, Remarks 2.2.4 and 2.2.6).

One parametrization has many gauges: theta moves powers of n between the multiplier and the rest,
(a, b, c, d) -> (a + theta, b - theta, c - theta, d + theta). 'init' has no multipliers,
'multiplier' starts every tensor with entries of size 1, 'mup-package' has multipliers in front of
readouts alone, which start with entries of size 1 (Table 8 of Tensor Programs V).

Optimizers in use have no n^d. For Q of degree 1 the learning rate is n^-(c - d); with an epsilon
such that Q(s g; s^k eps) = s^m Q(g; eps) it is n^-(c - m d), and epsilon n^-kd. Decoupled weight
decay multiplies weights by 1 - lr * decay, which must not depend on n: decay grows as lr falls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

from nexort.parametrization.layers import CLIPPED, Layer
from nexort.parametrization.optimizers import SPECIAL, Optimizer, describe_optimizer
from nexort.parametrization.subject import Subject
from nexort.program.network import Exponents
from nexort.program.parametrization import Part

Gauge = Literal["init", "multiplier", "mup-package"]
GAUGES: tuple[Gauge, ...] = ("init", "multiplier", "mup-package")


@dataclass(frozen=True, slots=True)
class TensorRow:
    """One tensor, or a family of them.

    ``exponents`` are those in the gauge, the readout's a with a_out in it. The others are powers of
    n: entries start with mean ``mean`` n^``centre`` and standard deviation ``scale`` n^``std``
    (None where they all start at the mean), are multiplied by n^``multiplier``, move with the
    learning rate lr n^``rate``, epsilon eps n^``epsilon`` (None: there is none) and weight decay
    n^``decay``; gradients are multiplied by n^``gradient`` where the optimizer's epsilon cannot do
    that (None: no need); thresholds of clipping are n^``threshold``.
    """

    name: str
    part: Part
    exponents: Exponents
    mean: float
    centre: Fraction
    scale: float
    std: Fraction | None
    multiplier: Fraction
    rate: Fraction
    epsilon: Fraction | None
    decay: Fraction
    gradient: Fraction | None
    threshold: Fraction | None
    clipped: str
    """What clipping makes of updates."""


@dataclass(frozen=True)
class Practice:
    """The table; ``output`` is the power of n in front of the output, 0 where it is in readouts'
    multipliers; ``trains`` whether a program's training can have the optimizer."""

    name: str
    regime: str
    optimizer: str
    gauge: Gauge
    rows: tuple[TensorRow, ...]
    output: Fraction
    trains: bool = True


def practice(found: Subject, by: Optimizer | None, gauge: Gauge) -> Practice:
    """The table of a network in its parametrization, under an optimizer for all weights, or None:
    the program's own."""
    merged = found.merged
    rows: dict[tuple[object, ...], TensorRow] = {}
    families: dict[tuple[object, ...], list[str]] = {}
    for (key, w), layer, e in zip(
        found.task.weights.items(), found.table.layers, found.table.exponents, strict=True
    ):
        out = found.table.out if merged and layer.part == "readout" else Fraction(0)
        own = by or describe_optimizer(w.update.name, w.update)
        row = _row(layer, Exponents(e.a + out, e.b, e.c, e.d), own, gauge)
        constant = w.kind == "scalar" or not w.scale
        row = replace(
            row,
            mean=w.mean,
            centre=row.centre if w.mean else Fraction(0),
            scale=0.0 if constant else w.scale,
            std=None if constant else row.std,
        )
        same = (key[0], row.exponents, row.mean, row.scale)
        rows.setdefault(same, row)
        families.setdefault(same, []).append(layer.name)
    return Practice(
        found.program.source.title,
        found.parametrization,
        found.optimizer,
        gauge,
        tuple(replace(row, name=_joined(families[same])) for same, row in rows.items()),
        Fraction(0) if merged else -found.table.out,
        by is None or by.name not in SPECIAL,
    )


def _row(layer: Layer, e: Exponents, by: Optimizer, gauge: Gauge) -> TensorRow:
    theta = e.b if layer.part != "scalar" and _starts_at_one(layer, gauge) else -e.a
    b = e.b - theta
    # c + shift is moved by theta; the shift itself may depend on b
    c = e.c + layer.shift(e.b) - theta - layer.shift(b)
    moved = Exponents(e.a + theta, b, c, e.d + theta)
    epsilon, gradient = None, None
    k, m = by.epsilon or (0, layer.degree or 0)
    if layer.degree is None:
        epsilon, gradient = (-k * moved.d, None) if k else (None, moved.d)
    # Q grows like n^md: that is a part of the learning rate, unless a norm takes it out again, and
    # of the threshold of a norm
    grown = m * moved.d
    rate = -c + (grown if layer.normalization in ("none", "weight", "clipping") else 0)
    threshold = layer.norm - grown if layer.normalization in CLIPPED else None
    return TensorRow(
        layer.name, layer.part, moved, 0.0, theta, 1.0, -b, -moved.a, rate, epsilon, -rate,
        gradient, threshold, CLIPPED.get(layer.normalization, ""),
    )  # fmt: skip


def _starts_at_one(layer: Layer, gauge: Gauge) -> bool:
    return gauge == "multiplier" or (gauge == "mup-package" and layer.part == "readout")


def _joined(names: Sequence[str]) -> str:
    """``W[2..4]`` for a family whose members are alike."""
    first, last = names[0], names[-1]
    if len(names) == 1:
        return first
    if "," not in first and "[" in first:
        return f"{first[:-1]}..{last[last.index('[') + 1 :]}"
    return f"{first}, ..., {last}"
