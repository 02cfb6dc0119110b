"""The verdict from counted sizes, for any network and many tables of exponents at once.

In the order in which they are asked: at the start every feature and every argument of a nonlinear
function has size 1 and f is at most 1; update functions see gradients of size 1; after one step,
then after two, changes of features and of f are at most 1 and update functions still see gradients
of the same size; f changes by 1 at some step. Then features that change by 1 are learned; where
none is, this is the operator regime. Gradients that are products with an average, as a scalar
parameter's is, may vanish at some steps, as the average may: they must be at most 1 at all steps,
and at least 1 if no average were 0. What is exactly 0 is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from nexort.scaling.counting import STEPS, Sizes, count
from nexort.scaling.graph import Graph
from nexort.scaling.layers import Array, Layer
from nexort.scaling.orders import Number, Order, Symbol, evaluate, least
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
    """The conditions of a network, found once, on any tables of exponents, or ``at`` one alone."""

    def __init__(self, graph: Graph, at: Mapping[Symbol, Number] | None = None) -> None:
        self.graph = graph
        self.layers: tuple[Layer, ...] = tuple(p.layer for p in graph.parameters.values())
        self.sizes: Sizes = count(graph, at=at)
        # what the output does not depend on is not moved
        self.moved = [x for x in self.layers if x.name in self.sizes.gradients]
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
        for layer in self.moved:
            if layer.homogeneous is None:
                group: Group = "faithful at initialization"
                text = f"size of the gradient by {layer.name}, times n^d"
                seen, generic = s.gradients[layer.name][0], s.generic[layer.name]
                if seen is generic:
                    yield Wanted(group, layer.name, text, seen, "=")
                else:
                    yield Wanted(group, layer.name, f"{text}, if no average is 0", generic, "<=")
                    yield Wanted(group, layer.name, text, seen, ">=")
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
        for layer in self.moved:
            seen = s.gradients[layer.name]
            text = f"size of the gradient by {layer.name} at step {t}"
            exact = seen[0] is s.generic[layer.name]
            if layer.homogeneous is None:
                relation = "=" if exact else ">="
                yield Wanted(faithful, layer.name, f"{text}, times n^d", seen[t], relation)
            elif layer.homogeneous == 1 and not exact:
                now = seen[t] + s.generic[layer.name].times(-1)
                yield Wanted(faithful, layer.name, f"{text}, over what averages allow", now, ">=")
            elif layer.part != "scalar":
                first = next((g for g in seen if not g.is_zero), seen[0])
                now = seen[t] + first.times(-1)
                yield Wanted(faithful, layer.name, f"{text}, over that at the start", now, "=")

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
