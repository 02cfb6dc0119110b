"""The verdict from counted sizes, for any network and many tables of exponents at once.

In the order in which they are asked: at the start every feature and every argument of a nonlinear
function has size 1 and f is at most 1; update functions see gradients of size 1; after one step,
then after two, changes of features and of f are at most 1 and update functions still see gradients
of the same size; f changes by 1 at some step. Then features that change by 1 are learned; where
none is, this is the operator regime. Scalar parameters' gradients are averages that may vanish at
the start: they must be at most 1 at all steps and 1 at some step. What is exactly 0 is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from nexort.scaling.counting import STEPS, Graph, Sizes, count
from nexort.scaling.layers import Array, Layer
from nexort.scaling.orders import Order, Symbol, evaluate, least
from nexort.scaling.theorem import FAILURE, Condition, Group

CHUNK = 4096
"""Tables whose orders are held at a time."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A condition ``order relation 0``; ``text`` is its formula."""

    group: Group
    place: str
    text: str
    order: Order
    relation: str


class Judge:
    """The conditions of a network, found once, on any tables of exponents."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.layers: tuple[Layer, ...] = tuple(p.layer for p in graph.parameters.values())
        self.sizes: Sizes = count(graph)
        self.wanted = list(self._wanted())
        self.learned = {name: least(*self.sizes.change[name]) for name in self.sizes.features}

    def _wanted(self) -> Iterator[Wanted]:
        s = self.sizes
        stable: Group = "stable at initialization"
        for name in s.features:
            yield Wanted(stable, name, f"size of {name}", s.start[name], "=")
        # arguments of the size of a feature, or of each other, are asked once
        known = {s.start[name] for name in s.features}
        for order in dict.fromkeys(order for order, _ in s.arguments if order not in known):
            yield Wanted(stable, "", "argument of a nonlinear function", order, "=")
        yield Wanted(stable, "f", "size of f", s.output, ">=")
        for layer in self.layers:
            if layer.homogeneous is None and layer.part != "scalar":
                text = f"size of the gradient by {layer.name}, times n^d"
                yield Wanted(
                    "faithful at initialization", layer.name, text, s.gradients[layer.name][0], "="
                )
        for t in range(1, STEPS + 1):
            yield from self._later(t)
        for t, order in enumerate(s.output_change):
            yield Wanted("nontrivial", "f", f"change of f until step {t + 1}", order, "=")

    def _later(self, t: int) -> Iterator[Wanted]:
        """After t steps."""
        s = self.sizes
        stable: Group = "stable in training"
        for name in s.features:
            text = f"change of {name} until step {t}"
            yield Wanted(stable, name, text, s.change[name][t - 1], ">=")
        known = {s.change[name][t - 1] for name in s.features}
        moves = (found[t - 1] for _, found in s.arguments if found[t - 1] not in known)
        for order in dict.fromkeys(moves):
            text = f"change of an argument of a nonlinear function until step {t}"
            yield Wanted(stable, "", text, order, ">=")
        yield Wanted(stable, "f", f"change of f until step {t}", s.output_change[t - 1], ">=")
        faithful: Group = "faithful in training"
        for layer in self.layers:
            seen = s.gradients[layer.name]
            if layer.part != "scalar":
                first = next((g for g in seen if not g.is_zero), seen[0])
                now = seen[t] if layer.homogeneous is None else seen[t] + first.times(-1)
                text = f"size of the gradient by {layer.name} at step {t}"
                text += ", times n^d" if layer.homogeneous is None else ", over that at the start"
                yield Wanted(faithful, layer.name, text, now, "=")
            elif layer.homogeneous is None and t == STEPS:
                text = f"size of the gradient by {layer.name} at steps 0 to {t}, times n^d"
                yield Wanted(faithful, layer.name, text, least(*seen), "=")

    def exponents(self, tables: Array, out: Array) -> dict[Symbol, Array]:
        """Tables (N, weights, 4) by symbol, ``out`` of shape (N,)."""
        found: dict[Symbol, Array] = {("out", "a"): out}
        for k, layer in enumerate(self.layers):
            for j, e in enumerate("abcd"):
                found[layer.name, e] = tables[:, k, j]
        return found

    def conditions(self, tables: Array, out: Array, unit: int = 1) -> list[Condition]:
        """Every condition on tables; ``left`` is the power of 1/n, ``right`` 0."""
        kept = [w for w in self.wanted if not w.order.is_zero]
        values = evaluate(
            [w.order for w in kept], self.exponents(tables, out), _unit(tables, unit), len(tables)
        )
        zero = np.zeros(len(tables), dtype=np.int64)
        return [
            Condition(w.group, w.place, w.text, v, w.relation, zero)  # type: ignore[arg-type]
            for w, v in zip(kept, values, strict=True)
            if v is not None
        ]

    def codes(self, tables: Array, out: Array, unit: int = 1) -> Array:
        """The verdicts: an entry's is theorem.VERDICTS[code]."""
        parts = [
            self._codes(tables[k : k + CHUNK], out[k : k + CHUNK], unit)
            for k in range(0, len(tables), CHUNK)
        ]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)

    def _codes(self, tables: Array, out: Array, unit: int) -> Array:
        count_ = len(tables)
        nontrivial = np.zeros(count_, bool)
        code = np.full(count_, -1)
        # conditions come in the order in which they are asked: the first that fails decides
        for x in self.conditions(tables, out, unit):
            if x.group == "nontrivial":
                nontrivial |= x.holds
            else:
                code = np.where((code < 0) & ~x.holds, FAILURE[x.group], code)
        code = np.where((code < 0) & ~nontrivial, FAILURE["nontrivial"], code)
        learns = np.zeros(count_, bool)
        for value in self.learning(tables, out, unit).values():
            learns |= value
        return np.where(code < 0, np.where(learns, 3, 4), code)

    def learning(self, tables: Array, out: Array, unit: int = 1) -> dict[str, Array]:
        """Which features change by 1."""
        kept = {name: x for name, x in self.learned.items() if not x.is_zero}
        values = evaluate(
            list(kept.values()), self.exponents(tables, out), _unit(tables, unit), len(tables)
        )
        return {
            name: np.asarray(v == 0, dtype=bool)
            for name, v in zip(kept, values, strict=True)
            if v is not None
        }


def _unit(tables: Array, unit: int) -> int | Fraction:
    """Rationals are their own unit."""
    return Fraction(1) if tables.dtype == object else unit
