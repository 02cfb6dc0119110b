"""Fitted exponents judged against predicted ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

import numpy as np

from nexort.coordcheck.fit import ExponentFit
from nexort.coordcheck.predict import Exponent, Prediction
from nexort.coordcheck.tensors import Quantity, What
from nexort.training.task import Key

Status = Literal["holds", "off", "unsure", "open"]
"""``off``: further from the prediction than the tolerance and the fit's margin; ``unsure``:
beyond the tolerance, but the error would allow for it; ``open``: not fitted, or not predicted."""


@dataclass(frozen=True)
class QuantityRow:
    """One quantity: fitted, predicted (None: not), and how they compare. Where several terms may
    lead at these widths, the prediction is anything from ``low`` on."""

    quantity: Quantity
    fit: ExponentFit
    predicted: Exponent | None
    status: Status
    low: Fraction | None = None

    @property
    def several(self) -> bool:
        """Whether several terms may lead."""
        return (
            isinstance(self.predicted, Fraction)
            and self.low is not None
            and self.low < self.predicted
        )

    @property
    def difference(self) -> float:
        """Fitted less predicted; nan where one is missing."""
        if not isinstance(self.predicted, Fraction):
            return float("nan")
        return self.fit.exponent - float(self.predicted)


def status(
    fit: ExponentFit, predicted: Exponent | None, tolerance: float, low: Fraction | None = None
) -> Status:
    """How a fit compares with a prediction, or with what lies between ``low`` and it."""
    if predicted is None or (np.isnan(fit.exponent) and not fit.zero):
        return "open"
    if predicted == "zero":
        return "holds" if fit.zero else "off"
    if fit.zero:  # a rate of 0, a mask of zeros: smaller than any power of n
        return "open"
    nearest = float(predicted)
    if low is not None and low < predicted:
        nearest = min(max(fit.exponent, float(low)), nearest)
    distance = abs(fit.exponent - nearest)
    if distance <= tolerance:
        return "holds"
    return "off" if distance > tolerance + fit.margin else "unsure"


def judge_rows(
    fits: Mapping[Quantity, ExponentFit],
    prediction: Prediction,
    tolerance: float,
    degrees: Mapping[Key, int | None],
) -> tuple[QuantityRow, ...]:
    """Every quantity beside its prediction, as the run meets them. ``degrees`` are those in which
    the weights' update functions are homogeneous."""
    found = {}
    for q in sorted(fits, key=lambda q: q.order):
        wanted = prediction.exponents.get(q)
        low = prediction.least.get(q)
        found[q] = QuantityRow(q, fits[q], wanted, status(fits[q], wanted, tolerance, low), low)
    for q, row in found.items():
        known = None if q.tensor.key is None else degrees[q.tensor.key]
        if row.status == "off" and known is not None and _redundant(q, known, found):
            found[q] = replace(row, status="open")
    for q, row in found.items():
        if row.status == "unsure" and _sure(q, found):
            found[q] = replace(row, status="off")
    return tuple(found.values())


def _sure(q: Quantity, rows: Mapping[Quantity, QuantityRow]) -> bool:
    """Whether a weight's own exponents, whose fits have no noise, are what a quantity is off by."""
    factors: dict[What, tuple[What, ...]] = {
        "size": ("initial",), "seen": ("pull",), "update": ("pull", "push"),
    }  # fmt: skip
    if q.tensor.role != "weight" or q.step > 0 or q.what not in factors:
        return False
    own = [rows.get(Quantity(what, q.tensor, 0)) for what in factors[q.what]]
    off = sum(r.difference for r in own if r is not None and r.status == "off")
    return abs(off) > 0.1 and off * rows[q].difference > 0


def _redundant(q: Quantity, known: int, rows: Mapping[Quantity, QuantityRow]) -> bool:
    """Whether a quantity is no fault if it is off: update functions of degree 0 ignore d, for those
    of degree 1 only c - d counts (2.1)."""
    if q.what == "seen":
        return True
    if q.what not in ("pull", "push"):
        return False
    if known == 0:
        return q.what == "pull"
    parts = [rows.get(Quantity(what, q.tensor, 0)) for what in ("pull", "push")]
    return abs(sum(r.difference for r in parts if r is not None)) < 0.1
