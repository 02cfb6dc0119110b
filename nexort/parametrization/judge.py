"""The verdict from counted sizes, for any network and many tables of exponents at once.

In the order in which they are asked: at the start features and all values that are read are at most
1, and f is; update functions see gradients of size 1; after one step, two, and so on until nothing
changes any more, values and f have changed by at most 1 and update functions see gradients of the
same size; f changes by 1 at some step. Then features that change by 1 are learned; where none is,
this is the operator regime.

Features must also be at least 1, and gradients too, but for what passes: averages that symmetry
makes vanish at the start, and, in gradients, weights that start at 0. What must not be small is the
size that they have with no average 0 and those weights moved (``reference``). What is exactly 0 is
left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, reduce
from typing import Literal

import numpy as np

from nexort.parametrization.counting import Counting, flips, nodes
from nexort.parametrization.graph import Key, NetworkGraph
from nexort.parametrization.layers import Array, Layer, Table
from nexort.parametrization.orders import OUT, Exponents, Order, round_order
from nexort.parametrization.theorem import FAILURE, Condition, Group
from nexort.support.diagnostics import fail

STEPS = 2
"""Steps that are shown at least."""

MOST_STEPS = 100
"""Steps after which a size that still grows is said to grow at every step."""

NUMBERS = 2**24
"""Orders that are held at a time: it tells how many tables."""

MOST_NUMBERS = 2**26
"""Orders of a single table that are held at most."""

Relation = Literal["<=", ">=", "="]


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """A condition ``order relation 0``; ``text`` is its formula, ``step`` when it is asked."""

    group: Group
    place: str
    text: str
    order: Order
    relation: Relation
    step: int

    @property
    def holds(self) -> Order:
        """Which tables satisfy it: where the value is exactly 0 there is nothing to ask."""
        compare = {"=": np.equal, ">=": np.greater_equal, "<=": np.less_equal}[self.relation]
        found: Order = compare(round_order(self.order), 0) | np.isinf(self.order)
        return found


@dataclass
class CountedSizes:
    """Orders: ``start[name]`` at the start, ``change[name][t - 1]`` of the change until step t, of
    features and of what has a name; ``output`` and ``output_change`` are of f,
    ``gradients[name][t]`` of what an update function sees at step t, times n^d,
    ``reference[name]`` of that with no average 0 and all weights moved that start there,
    ``updates[name][t]`` of the entries of the update at step t."""

    start: dict[str, Order] = field(default_factory=dict)
    change: dict[str, list[Order]] = field(default_factory=dict)
    output: Order = field(default_factory=lambda: np.zeros(1))
    output_change: list[Order] = field(default_factory=list)
    gradients: dict[str, list[Order]] = field(default_factory=dict)
    reference: dict[str, Order] = field(default_factory=dict)
    updates: dict[str, list[Order]] = field(default_factory=dict)


class Judged:
    """The conditions of a network on tables of exponents, step after step to the fixed point, or as
    far as some table has not failed yet, two steps at least, or ``steps`` alone.

    ``failed`` has the verdicts of tables that fail a condition, -1 for others, ``code`` has the
    verdicts, entries of theorem.VERDICTS; ``learned`` which features change by 1.
    """

    def __init__(
        self,
        graph: NetworkGraph,
        exponents: Exponents,
        only: frozenset[Key] | None = None,
        steps: int = MOST_STEPS,
    ) -> None:
        self.graph = graph
        self.steps = steps
        self.counting = Counting(graph, exponents, only)
        self.reference = Counting(graph, exponents, _zeros(graph), generic=True)
        for _ in range(MOST_STEPS):
            if self.reference.step().all():
                break
        self.names = {**graph.named, **{text: x for x, text in graph.features.items()}}
        self.sizes = CountedSizes()
        # what the output does not depend on is not moved
        self.layers = {key: graph.parameters[key].layer for key in graph.slopes}
        self.conditions: list[Wanted] = []
        count = max(len(x) for x in exponents.values())
        self.failed = np.full(count, -1)
        self._run()
        self.learned = {x: round_order(self.counting.change[x].total) == 0 for x in graph.features}
        self.code = self._codes()

    def _run(self) -> None:
        counting, sizes = self.counting, self.sizes
        sizes.start = {name: counting.first[x].total for name, x in self.names.items()}
        sizes.change = {name: [] for name in self.names}
        sizes.output = counting.output(counting.first[self.graph.out])
        for key, layer in self.layers.items():
            sizes.reference[layer.name] = self.reference.heard(key)
        self._hear()
        self._ask(self._initial())
        for t in range(1, self.steps + 1):
            made = {key: counting.updated(key, s)[0] for key, s in self.graph.slopes.items()}
            settled = counting.step()
            if t > STEPS and settled.all():
                return
            for key, layer in self.layers.items():
                sizes.updates.setdefault(layer.name, []).append(made[key].total)
            for name, x in self.names.items():
                sizes.change[name].append(counting.change[x].total)
            sizes.output_change.append(counting.output(counting.change[self.graph.out]))
            self._hear()
            self._ask(self._later(t))
            if t >= STEPS and (settled | (self.failed >= 0)).all():
                return
        if t < MOST_STEPS:
            return
        grows: Group = "stable in training"
        order = np.where(settled, 0.0, -1.0)
        self._ask([Wanted(grows, "", "sizes grow at every step", order, ">=", t)])

    def _hear(self) -> None:
        for key, layer in self.layers.items():
            found = self.sizes.gradients.setdefault(layer.name, [])
            found.append(self.counting.heard(key))

    def _ask(self, conditions: Iterator[Wanted] | list[Wanted]) -> None:
        for x in conditions:
            if not np.isinf(x.order).all():
                self.conditions.append(x)
                bad = ~x.holds & (self.failed < 0)
                self.failed = np.where(bad, FAILURE[x.group], self.failed)

    # ---- conditions ----------------------------------------------------------------------------

    def _initial(self) -> Iterator[Wanted]:
        g, s = self.graph, self.sizes
        stable: Group = "stable at initialization"
        for x, text in {**g.features, **g.bounded}.items():
            start, usual = self.counting.first[x].total, self.reference.first[x].total
            relation: Relation = "=" if x in g.features and _equal(start, usual) else ">="
            yield Wanted(stable, text, f"size of {text}", start, relation, 0)
        for x, text in g.features.items():
            start, usual = self.counting.first[x].total, self.reference.first[x].total
            if not _equal(start, usual):
                yield Wanted(stable, text, f"usual size of {text}", usual, "<=", 0)
        yield Wanted(stable, "f", "size of f", s.output, ">=", 0)
        faithful: Group = "faithful at initialization"
        for layer in self.layers.values():
            if layer.homogeneous is None:
                text = f"size of the gradient by {layer.name}, times n^d"
                seen, usual = s.gradients[layer.name][0], s.reference[layer.name]
                if _equal(seen, usual):
                    yield Wanted(faithful, layer.name, text, seen, "=", 0)
                else:
                    yield Wanted(faithful, layer.name, f"usual {text}", usual, "<=", 0)
                    yield Wanted(faithful, layer.name, text, seen, ">=", 0)

    def _later(self, t: int) -> Iterator[Wanted]:
        """After t steps."""
        g, s = self.graph, self.sizes
        stable: Group = "stable in training"
        for x, name in {**g.features, **g.bounded}.items():
            text = f"change of {name} until step {t}"
            yield Wanted(stable, name, text, self.counting.change[x].total, ">=", t)
        yield Wanted(stable, "f", f"change of f until step {t}", s.output_change[-1], ">=", t)
        faithful: Group = "faithful in training"
        for layer in self.layers.values():
            text = f"size of the gradient by {layer.name} at step {t}"
            now = s.gradients[layer.name][-1]
            if layer.homogeneous is None:
                yield Wanted(faithful, layer.name, f"{text}, times n^d", now, ">=", t)
            else:
                usual = s.reference[layer.name]
                over = np.where(np.isinf(usual), np.inf, now - np.where(np.isinf(usual), 0, usual))
                yield Wanted(faithful, layer.name, f"{text}, over its usual size", over, ">=", t)

    @property
    def moves(self) -> Wanted:
        """That f changes by 1 at some step."""
        order = self.sizes.output_change[-1]
        t = len(self.sizes.output_change)
        return Wanted("nontrivial", "f", f"change of f until step {t}", order, "=", t)

    def _codes(self) -> Array:
        learns = np.zeros(1, bool)
        for x in self.learned.values():
            learns = learns | x
        moves = round_order(self.moves.order) == 0
        good = np.where(learns, 3, 4)
        found = np.where(moves, good, FAILURE["nontrivial"])
        return np.where(self.failed >= 0, self.failed, found)

    # ---- of one table --------------------------------------------------------------------------

    def asked(self) -> list[Condition]:
        """Every quantity's condition once, at the first step at which it fails, those that fail in
        the order of steps, or else at the last one; of the first table alone."""
        last: dict[tuple[Group, str, str], Wanted] = {}
        for x in self.conditions:
            key = x.group, x.place, x.text.split(" until ")[0].split(" at step ")[0] + x.relation
            known = last.get(key)
            if known is None or known.holds[0]:
                last[key] = x
        kept = sorted(last.values(), key=lambda x: 0 if x.holds[0] else x.step)
        return [_condition(x) for x in [*kept, self.moves] if not np.isinf(x.order[0])]


def _condition(x: Wanted) -> Condition:
    left = round_order(x.order)
    return Condition(x.group, x.place, x.text, left, x.relation, np.zeros(len(left)))


def _equal(a: Order, b: Order) -> bool:
    return bool((a == b).all())


def _zeros(graph: NetworkGraph) -> frozenset[Key]:
    """The weights that start at 0."""
    return frozenset(key for key, p in graph.parameters.items() if p.zero)


class Judge:
    """A network's verdicts on any tables of exponents."""

    def __init__(self, graph: NetworkGraph) -> None:
        self.graph = graph
        self.layers: tuple[Layer, ...] = tuple(p.layer for p in graph.parameters.values())

    def of(
        self, tables: Array, out: Array, unit: int = 1, only: frozenset[Key] | None = None
    ) -> Judged:
        """Tables (N, weights, 4) and a_out (N,), in units of 1/unit; ``only`` lets those weights
        alone move. Raises NexortError for a network that is too large."""
        if self.numbers > MOST_NUMBERS:
            message = f"a network of {len(self.layers)} weights is too large to count sizes in"
            raise fail("too-long", message, help="fewer rounds of a loop: --set L=4")
        return Judged(self.graph, self.exponents(tables, out, unit), only)

    def at(self, table: Table, only: frozenset[Key] | None = None) -> Judged:
        """One table. Raises NexortError likewise."""
        return self.of(table.array, np.array([table.out], dtype=object), only=only)

    def exponents(self, tables: Array, out: Array, unit: int = 1) -> Exponents:
        """Tables by symbol."""
        numbers = tables.astype(float) / unit
        found = {OUT: out.astype(float) / unit}
        for k, layer in enumerate(self.layers):
            for j, e in enumerate("abcd"):
                found[layer.name, e] = numbers[:, k, j]
        return found

    def codes(self, tables: Array, out: Array, unit: int = 1) -> Array:
        """The verdicts: an entry's is theorem.VERDICTS[code]. Most tables fail early: fewer and
        fewer are counted on."""
        codes = np.full(len(tables), -1)
        for stage in (self._start, self._first, self._all):
            left = np.flatnonzero(codes < 0)
            size = max(1, NUMBERS // self.numbers)
            for k in range(0, len(left), size):
                some = left[k : k + size]
                codes[some] = stage(self.exponents(tables[some], out[some], unit))
        return codes

    def _start(self, exponents: Exponents) -> Array:
        """0 (unstable) where values are too large at the start."""
        counting = Counting(self.graph, exponents)
        read = [counting.first[x].total for x in (*self.graph.features, *self.graph.bounded)]
        large = [
            round_order(x) < 0 for x in [*read, counting.output(counting.first[self.graph.out])]
        ]
        return np.where(reduce(np.logical_or, large), FAILURE["stable at initialization"], -1)

    def _first(self, exponents: Exponents) -> Array:
        """The verdicts of tables that fail until step 1."""
        return Judged(self.graph, exponents, steps=1).failed

    def _all(self, exponents: Exponents) -> Array:
        return Judged(self.graph, exponents).code

    @cached_property
    def numbers(self) -> int:
        """How many orders a table has."""
        order = nodes(self.graph)
        objects, several = flips(self.graph, order)
        return 4 * len(order) * (2 * len(objects) * several + 1)
