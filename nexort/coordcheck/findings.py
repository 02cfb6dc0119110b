"""Which weight is to blame for a size that is off, and what a training does as n grows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from nexort.coordcheck.fit import ExponentFit
from nexort.coordcheck.rows import QuantityRow
from nexort.coordcheck.tensors import OWN, Quantity, Tensor, What


@dataclass(frozen=True)
class Blame:
    """Exponents of a weight (of f: a_out) that differ from what is expected, and by how much."""

    tensor: Tensor
    exponents: tuple[tuple[str, Fraction | float], ...]
    first: tuple[int, int, float]
    """Where the run meets it first."""

    @property
    def text(self) -> str:
        """One sentence an exponent."""
        return "; ".join(_sentence(self.tensor.label, e, by) for e, by in self.exponents)


def blames(rows: Iterable[QuantityRow]) -> tuple[Blame, ...]:
    """The weights whose own exponents are off, as the run meets them."""
    own: dict[Tensor, dict[What, QuantityRow]] = {}
    for row in rows:
        if row.quantity.what in OWN and row.status == "off":
            own.setdefault(row.quantity.tensor, {})[row.quantity.what] = row
    found = [
        Blame(x, _exponents({w: r.difference for w, r in parts.items()}), _first(x, parts))
        for x, parts in own.items()
    ]
    return tuple(sorted(found, key=lambda b: b.first))


def _first(x: Tensor, parts: Iterable[What]) -> tuple[int, int, float]:
    places: dict[What, What] = {"pull": "seen", "push": "update"}
    return min(Quantity(places.get(what, "size"), x, 0).order for what in parts)


def _exponents(off: dict[What, float]) -> tuple[tuple[str, Fraction | float], ...]:
    """n^(-a-b) at the start, n^(d-a) in gradients, n^(-a-c) in updates: one a, or b, d and c. The
    rest is a matter of taste: (a + t, b - t, c - t, d + t) is the same (Prop 2.2.3)."""
    if "scale" in off:
        return (("a_out", _rational(-off["scale"])),)
    values = list(off.values())
    if len(off) == 3 and max(values) - min(values) < 0.2:
        return (("a", _rational(-off["push"])),)
    signs: dict[What, tuple[str, int]] = {"initial": ("b", -1), "pull": ("d", 1), "push": ("c", -1)}
    return tuple((signs[w][0], _rational(signs[w][1] * v)) for w, v in off.items())


def _rational(value: float) -> Fraction | float:
    """The simplest rational that is as good as the fit."""
    for denominator in (2, 4, 8):
        near = Fraction(round(value * denominator), denominator)
        if abs(float(near) - value) < 0.06:
            return near
    return value


def _sentence(name: str, exponent: str, by: Fraction | float) -> str:
    amount = f"{abs(by)}" if isinstance(by, Fraction) else f"{abs(by):.2f}"
    large = f"{'larger' if by > 0 else 'smaller'} by {amount}"
    down, up = (f"-{amount}", amount) if by > 0 else (amount, f"-{amount}")
    times = f"n^({down}) times what is expected"
    what = {
        "a": f"its entries, its gradients and its updates are {times}",
        "b": f"at the start its entries are {times}",
        "c": f"its updates are {times}, for its learning rate",
        "d": f"its update function sees gradients n^({up}) times what is expected",
        "a_out": f"it is {times}",
    }[exponent]
    owner = "a_out" if exponent == "a_out" else f"{exponent} of {name}"
    return f"{owner} is {large}: {what}"


# ---- what the fits say by themselves -------------------------------------------------------------


@dataclass(frozen=True)
class Behaviour:
    """What a training does as n grows, by its fits alone: the first size that grows with n; which
    vectors change as much as they are large at the last step, and which change less; and whether f
    changes by an amount that neither vanishes nor grows (None: it cannot be told)."""

    grows: QuantityRow | None
    learned: tuple[str, ...]
    lazy: tuple[str, ...]
    moves: bool | None


def behaviour(rows: Sequence[QuantityRow], tolerance: float) -> Behaviour:
    """What the fits say."""
    grows = None
    changes: dict[Tensor, tuple[int, ExponentFit]] = {}
    for row in rows:
        x, what = row.quantity.tensor, row.quantity.what
        if x.role in ("weight", "signal"):
            continue
        sure = row.fit.exponent > tolerance + row.fit.margin
        if what in ("size", "change", "effect") and sure and grows is None:
            grows = row
        if what == "change" and not np.isnan(row.fit.exponent):
            changes[x] = row.quantity.step, row.fit
    last = max((t for t, _ in changes.values()), default=0)
    kets = {x: f for x, (t, f) in changes.items() if x.role == "ket" and t == last}
    learned = [x.label for x, f in kets.items() if abs(f.exponent) <= tolerance + 2 * f.error]
    lazy = [x.label for x, f in kets.items() if f.exponent < -tolerance - 2 * f.error]
    f = next((f for x, (t, f) in changes.items() if x.role == "output" and t == last), None)
    moves = None if f is None else abs(f.exponent) <= tolerance + 2 * f.error
    return Behaviour(grows, tuple(learned), tuple(lazy), moves)
