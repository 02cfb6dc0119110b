"""The dynamical dichotomy as exact conditions on exponents (2.8), for many tables at once.

With A = a_out + a of the readout, B its b and S = A + B; r = a + c - 1 of a matrix, A + c - 1 of
the readout, a + c of vectors and scalars, and r alone the smallest but for the readout:

* stable at initialization (2.25): a + b = 1/2 for matrices, 0 for vectors; S >= 1/2;
* faithful at initialization (2.26): d = a + S, for scalars less 1; for the readout d = A;
* stays so (2.27): every r >= 0, the readout's included; S + r >= 1; B <= c of the readout;
* nontrivial (2.28): A + c = 1 for the readout, or S + r = 1.

Then r = 0 is feature learning, r > 0 the operator regime. Of homogeneous update functions one
exponent is redundant (2.1): of degree 0 they ignore d, of degree 1 only c - d counts, so that c is
read as c - d + (the faithful d). Normalized updates shift c (2.10.2).

Tables are arrays of shape (N, layers, 4) in units of 1/unit: integers, or rationals with unit 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from nexort.parametrization.layers import HALF, Array, Layer, Table
from nexort.support.diagnostics import fail

Verdict = Literal["unstable", "unfaithful", "trivial", "feature learning", "operator regime"]
VERDICTS: tuple[Verdict, ...] = (
    "unstable", "unfaithful", "trivial", "feature learning", "operator regime",
)  # fmt: skip
Group = Literal[
    "stable at initialization",
    "faithful at initialization",
    "stable in training",
    "faithful in training",
    "nontrivial",
]
FAILURE: dict[Group, int] = {
    "stable at initialization": 0,
    "faithful at initialization": 1,
    "stable in training": 0,
    "faithful in training": 1,
    "nontrivial": 2,
}
"""Which verdict the failure of a group is, in the order in which they are asked."""


@dataclass(frozen=True)
class Condition:
    """One condition over all tables: ``left relation right``, arrays of shape (N,)."""

    group: Group
    layer: str
    formula: str
    left: Array
    relation: Literal["=", ">=", "<="]
    right: Array

    @property
    def holds(self) -> Array:
        """Which tables satisfy it."""
        compare = {"=": np.equal, ">=": np.greater_equal, "<=": np.less_equal}[self.relation]
        found: Array = compare(self.left, self.right).astype(bool)
        return found


class Conditions:
    """The conditions of some layers on tables of exponents.

    ``tables`` has shape (N, layers, 4), ``out`` is a_out, both in units of 1/unit. Without a
    readout S is a_out, and nothing is said of the size of f at the start.
    """

    def __init__(
        self, layers: Sequence[Layer], tables: Array, out: Any = 0, unit: int | Fraction = 1
    ) -> None:
        self.layers = tuple(layers)
        self.unit = unit
        self.a, self.b, self.c, self.d = (tables[:, :, k] for k in range(4))
        self.heads = [k for k, x in enumerate(layers) if x.part == "readout"]
        self.body = [k for k, x in enumerate(layers) if x.part != "readout"]
        self.out = out
        sums = [self.a[:, k] + self.b[:, k] for k in self.heads] or [self._full(0)]
        self.total = self.out + _least(sums)
        self.rate = [self._rate(k) for k in range(len(self.layers))]
        self.r = [self._r(k) for k in range(len(self.layers))]
        self.least = _least([self.r[k] for k in self.body]) if self.body else None

    def _full(self, value: Fraction | int) -> Array:
        number = value * self.unit
        whole = int(number) if isinstance(self.unit, int) and number == int(number) else number
        kind = object if isinstance(whole, Fraction) or self.a.dtype == object else self.a.dtype
        return np.full(len(self.a), whole, dtype=kind)

    def faithful(self, k: int) -> Array:
        """The d for which the update function sees gradients of size 1 (2.26)."""
        if k in self.heads:
            head: Array = self.out + self.a[:, k]
            return head
        low = self._full(1) if self.layers[k].part == "scalar" else 0
        found: Array = self.a[:, k] + self.total - low
        return found

    def _rate(self, k: int) -> Array:
        """c, a redundant d put right, and shifted by normalization."""
        layer = self.layers[k]
        c: Array = self.c[:, k] + layer.shift(self.b[:, k], self.unit)
        return c - self.d[:, k] + self.faithful(k) if layer.homogeneous == 1 else c

    def _r(self, k: int) -> Array:
        """r_l (Def 2.8.5), of the readout a_out + a + c - 1."""
        low = self._full(1) if self.layers[k].part in ("matrix", "readout") else self._full(0)
        own = self.out if k in self.heads else 0
        found: Array = own + self.a[:, k] + self.rate[k] - low
        return found

    def all(self) -> list[Condition]:
        """Every condition, in the order in which they are asked."""
        return [*self._initial(), *self._training(), *self._nontrivial()]

    def _initial(self) -> list[Condition]:
        found = []
        wanted = {"matrix": HALF, "vector": Fraction(0)}
        for k in self.body:
            layer = self.layers[k]
            if layer.part in wanted:
                left, right = self.a[:, k] + self.b[:, k], self._full(wanted[layer.part])
                found.append(
                    Condition("stable at initialization", layer.name, "a + b", left, "=", right)
                )
        a = "a_out + a" if np.any(self.out != 0) else "a"
        for k in self.heads:
            left = self.out + self.a[:, k] + self.b[:, k]
            found.append(
                Condition(
                    "stable at initialization", self.layers[k].name, f"{a} + b", left, ">=",
                    self._full(HALF),
                )
            )  # fmt: skip
        for k, layer in enumerate(self.layers):
            if layer.homogeneous is None:
                found.append(
                    Condition(
                        "faithful at initialization", layer.name, "d", self.d[:, k], "=",
                        self.faithful(k),
                    )
                )  # fmt: skip
        return found

    def _training(self) -> list[Condition]:
        zero, one = self._full(0), self._full(1)
        stable: Group = "stable in training"
        found = [
            Condition(stable, layer.name, f"r = {self.r_text(k)}", self.r[k], ">=", zero)
            for k, layer in enumerate(self.layers)
        ]
        if self.least is not None:
            found.append(Condition(stable, *self._joint(), self.total + self.least, ">=", one))
        for k in self.heads:
            layer = self.layers[k]
            found.append(
                Condition("faithful in training", layer.name, "b", self.b[:, k], "<=", self.rate[k])
            )
        return found

    def _nontrivial(self) -> list[Condition]:
        one = self._full(1)
        a = "a_out + a" if np.any(self.out != 0) else "a"
        found = [
            Condition("nontrivial", self.layers[k].name, f"{a} + {self.c_text(k)}",
                      self.r[k] + one, "=", one)
            for k in self.heads
        ]  # fmt: skip
        if self.least is not None:
            found.append(Condition("nontrivial", *self._joint(), self.total + self.least, "=", one))
        return found

    def _joint(self) -> tuple[str, str]:
        """S + r: of what, and as a formula."""
        names = ", ".join(self.layers[k].name for k in self.heads)
        a = "a_out + a" if np.any(self.out != 0) else "a"
        return names or "out", f"{a} + b + r" if names else "a_out + r"

    def c_text(self, k: int) -> str:
        """c as the conditions read it."""
        layer = self.layers[k]
        text = {
            "none": "c", "clipping": "c", "update": f"c + {layer.norm}",
            "paper-clipping": f"c + {layer.norm}", "weight": f"c + {layer.norm} - b",
            "trust": "c + b",
        }[layer.normalization]  # fmt: skip
        return f"{text} - d + {self.d_text(k)}" if layer.homogeneous == 1 else text

    def d_text(self, k: int) -> str:
        """The faithful d."""
        if k in self.heads:
            return "(a_out + a)" if np.any(self.out != 0) else "a"
        low = " - 1" if self.layers[k].part == "scalar" else ""
        return f"(a + S{low})"

    def r_text(self, k: int) -> str:
        """r's formula."""
        layer = self.layers[k]
        low = " - 1" if layer.part in ("matrix", "readout") else ""
        a = "a_out + a" if k in self.heads and np.any(self.out != 0) else "a"
        return f"{a} + {self.c_text(k)}{low}"

    def codes(self) -> Array:
        """The verdicts: an entry's is VERDICTS[code]."""
        groups: dict[Group, Array] = {}
        for x in self.all():
            if x.group == "nontrivial":
                groups[x.group] = groups.get(x.group, np.zeros(len(self.a), bool)) | x.holds
            else:
                groups[x.group] = groups.get(x.group, np.ones(len(self.a), bool)) & x.holds
        learns = np.zeros(len(self.a), bool)
        if self.least is not None:
            learns = np.asarray(self.least == 0, dtype=bool)
        codes = np.where(learns, 3, 4)
        for group in reversed(FAILURE):
            if group in groups:
                codes = np.where(groups[group], codes, FAILURE[group])
        return codes


def _least(values: Sequence[Array]) -> Array:
    found = values[0]
    for x in values[1:]:
        found = np.minimum(found, x)
    return found


def codes(layers: Sequence[Layer], tables: Array, out: Any = 0, unit: int = 2) -> Array:
    """The verdicts of many tables, integers in units of 1/unit, shape (N, layers, 4): codes of
    shape (N,), an entry's verdict is VERDICTS[code]. ``unit`` is even."""
    if unit % 2:
        raise fail("bad-exponents", f"the unit 1/{unit} does not hold 1/2", help="an even number")
    return Conditions(layers, np.asarray(tables, dtype=np.int64), out, unit).codes()


def table_verdict(table: Table) -> Verdict:
    """The verdict of one table."""
    return VERDICTS[int(Conditions(table.layers, table.array, table.out).codes()[0])]
