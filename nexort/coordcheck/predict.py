"""The power of n that sizes are counted to have, beside which fits are set
(nexort.parametrization)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal

import numpy as np

from nexort.coordcheck.tensors import Quantity, Tensor, What
from nexort.parametrization.counting import Counting
from nexort.parametrization.graph import NetworkGraph, Slope
from nexort.parametrization.orders import (
    ONE,
    OUT,
    ZERO,
    Order,
    exact_order,
    order_of_sum,
    round_order,
)
from nexort.parametrization.sizes import Size, homogeneous, nonlinear, sum_size
from nexort.parametrization.task_graph import parameter, slopes, symbol_values
from nexort.parametrization.verdict import layer
from nexort.program.nodes import Node, Op, walk
from nexort.program.types import Kind
from nexort.training.backprop import Reverse
from nexort.training.task import Key, Task, seed_slot
from nexort.training.update import Update

Exponent = Fraction | Literal["zero"]
"""A power of n, or of what is exactly 0."""


@dataclass(frozen=True)
class Prediction:
    """Exponents by quantity; what is absent is not predicted. ``until``: the first step at which
    arguments of bounded functions grow with n, from which on no power of n is predicted.

    ``least`` are the exponents of terms that lead at widths that are not large enough for a small
    learning rate: what was there before, and what is of first order in the changes of weights. The
    exponent of a sum of powers lies between theirs."""

    exponents: Mapping[Quantity, Exponent]
    until: int | None
    least: Mapping[Quantity, Fraction] = field(default_factory=dict)


def predict_training(
    task: Task, tensors: Sequence[Tensor], degrees: Mapping[Key, int | None] | None = None
) -> Prediction:
    """Predicted exponents of all sizes at all steps of a task.

    ``degrees`` are those in which update functions are homogeneous at the sizes of the gradients at
    hand (:func:`response`); by default in general.
    """
    counting = _Everything(task, degrees or {})
    exponents = _exponents(counting, tensors)
    first = _exponents(_Everything(task, degrees or {}, second=False), tensors)
    least: dict[Quantity, Fraction] = {}
    for q in exponents:
        earlier = [replace(q, step=t) for t in range(q.step + 1)]
        known = [x for p in earlier for x in (exponents.get(p), first.get(p))]
        numbers = [x for x in known if isinstance(x, Fraction)]
        if numbers:
            least[q] = min(numbers)
    for x in tensors:
        exponents |= _own(task, x)
    return Prediction(exponents, counting.until, least)


def _exponents(counting: _Everything, tensors: Sequence[Tensor]) -> dict[Quantity, Exponent]:
    return {
        Quantity(what, tensor, t): predicted_power(order)
        for t, found in enumerate(counting.steps(tensors))
        for (what, tensor), order in found.items()
    }


def predicted_power(order: Order) -> Exponent:
    """What an order, of one table, predicts."""
    return "zero" if np.isinf(order[0]) else -exact_order(float(order[0]))


def _own(task: Task, x: Tensor) -> dict[Quantity, Exponent]:
    """What a weight's own exponents say, and of f the network's a_out."""
    if x.role == "output":
        return {Quantity("scale", x, 0): 1 - task.output_exponent}
    if x.role != "weight" or x.key is None:
        return {}
    w = task.weights[x.key]
    e = w.exponents
    b = Fraction(0) if w.kind == "scalar" else e.b
    found: dict[Quantity, Exponent] = {
        Quantity("pull", x, 0): e.d - e.a,
        Quantity("push", x, 0): -e.a - e.c - w.shift,
    }
    if w.mean or w.kind != "scalar":
        found[Quantity("initial", x, 0)] = -e.a - b
    return found


def response(update: Update, size: float) -> float:
    """The power in which an update function answers to gradients of a size: d log |Q_0(s g)| /
    d log s, in root mean square over Gaussian g."""
    draws = np.random.Generator(np.random.PCG64(0)).standard_normal(512)
    found = []
    for scale in (size / 1.1, size * 1.1):
        states = update.start(draws.shape)
        with np.errstate(all="ignore"):
            value = update.step(0, scale * draws, states)
        found.append(0.5 * np.log(np.mean(value**2)))
    return float((found[1] - found[0]) / (2 * np.log(1.1)))


# ---- the counting --------------------------------------------------------------------------------


class _Adjoints(Reverse):
    """The backpropagation program, which keeps every cotangent."""

    def __init__(self, weights: set[Key], sizes: Mapping[str, int]) -> None:
        super().__init__(weights, sizes)
        self.by: dict[Node, Node] = {}

    def back(self, x: Node, g: Node) -> list[tuple[Node, Node]]:
        self.by[x] = g
        return super().back(x, g)


class _Everything(Counting):
    """Sizes counted over every step, with an error signal as large as f, for tables of any kind."""

    def __init__(
        self, task: Task, degrees: Mapping[Key, int | None], *, second: bool = True
    ) -> None:
        self.task = task
        adjoints = _Adjoints(set(task.weights), task.step.sizes)
        adjoints.run([task.out], {task.out: [seed_slot(task.out.type.axes)]})
        self.adjoints = adjoints.by
        parameters = {
            key: parameter(replace(found, degree=degrees.get(key, found.degree)), w)
            for key, w in task.weights.items()
            for found in (layer(key, w, readout=False),)
        }
        named = {x for x, _ in task.moments.values()}
        inside = walk([task.out, *named])
        kets = [*inside, *(self.adjoints[x] for x in inside if x in self.adjoints)]
        graph = NetworkGraph(
            task.out, slopes(task), parameters, named={str(k): x for k, x in enumerate(kets)}
        )
        super().__init__(graph, symbol_values(task), second=second)
        self.decayed = {key for key, w in task.weights.items() if (w.decay > 0).any()}
        self.chi: Order = ONE
        self.effects: dict[Node, Size] = {}
        self.moves: dict[Key, list[Order]] = {}
        self.until: int | None = None

    def steps(self, tensors: Sequence[Tensor]) -> list[dict[tuple[What, Tensor], Order]]:
        """The orders of all quantities at every step."""
        found: list[dict[tuple[What, Tensor], Order]] = []
        for t in range(self.task.steps + 1):
            if t > 0:
                self.step()
            if self._outgrown():
                self.until = t
                return found
            f = self._f(t)
            self.chi = order_of_sum(ONE, f)
            now: dict[tuple[What, Tensor], Order] = {}
            for x in tensors:
                now |= self._forward_of(x, t, f)
            if t < self.task.steps:
                for x in tensors:
                    if x.node in self.adjoints and x.role in ("ket", "scalar"):
                        now["gradient", x] = self._by_node(x.node)
                for x in tensors:
                    now |= self._step_of(x)
            found.append(now)
        return found

    def _f(self, t: int) -> Order:
        change = self.output(self.change[self.task.out]) if t else ZERO
        match self.task.start:
            case "centre":
                return change
            case "plain":
                return order_of_sum(self.output(self.first[self.task.out]), change)
            case _:
                return order_of_sum(ONE, change)

    def _forward_of(self, x: Tensor, t: int, f: Order) -> dict[tuple[What, Tensor], Order]:
        match x.role:
            case "output":
                change = self.output(self.change[self.task.out]) if t else ZERO
                return {("size", x): f, **({("change", x): change} if t else {})}
            case "signal":
                return {("size", x): self.chi} if t < self.task.steps else {}
            case "weight" if x.node is None and x.key is not None:
                a, b, _, _ = self.numbers(x.key)
                known = self.graph.parameters[x.key]
                start = order_of_sum(a + b if known.random else ZERO, a if known.mean else ZERO)
                moves = [*self.moves.get(x.key, []), *([start] if x.key in self.decayed else [])]
                change = order_of_sum(*moves) if t else ZERO
            case _:
                assert x.node is not None
                start = self.first[x.node].total
                change = self.change[x.node].total if t else ZERO
        found: dict[tuple[What, Tensor], Order] = {("size", x): order_of_sum(start, change)}
        if t:
            found["change", x] = change
            if x.node in self.effects:
                found["effect", x] = self.effects[x.node].total
        return found

    def _by_node(self, x: Node) -> Order:
        """Of sum_i chi_i f_i by an entry of a ket, or by a scalar."""
        low = 0 if x.type.kind is Kind.KET else -1
        return self.now(self.adjoints[x]).total + self.exponents[OUT] + low + self.chi

    def _step_of(self, x: Tensor) -> dict[tuple[What, Tensor], Order]:
        if x.role != "weight" or x.key is None or x.key not in self.graph.slopes:
            return {}
        slope = self.graph.slopes[x.key]
        a, _, _, d = self.numbers(x.key)
        gradient = self.gradient(x.key, slope).total
        update = self.updated(x.key, slope)[0].total
        self.moves.setdefault(x.key, []).append(update)
        return {("gradient", x): gradient - a, ("seen", x): gradient - d, ("update", x): update}

    def _outgrown(self) -> bool:
        """Whether an argument of a function that is not homogeneous grows with n."""
        return any(
            round_order(self.now(a).total)[0] < 0
            for x in self.order
            if x.op is Op.CALL and nonlinear(str(x.attr)) and not homogeneous(str(x.attr))
            for a in x.args
        )

    # ---- what differs from stable tables ---------------------------------------------------------

    def gradient(self, key: Key, slope: Slope) -> Size:
        return super().gradient(key, slope) + self.chi

    def pairs(self, slope: Slope) -> list[tuple[Size, Size]]:
        return [(left + self.chi, right) for left, right in super().pairs(slope)]

    def moved(self, x: Node) -> Size:
        if x.op is Op.MATMUL:
            now = self.argument(x)
            updates = self.matrices.get(x.attr[:2], [])
            parts = [self.acted(u, x, now) for u in updates]
            # of W - decay W, the second part
            decay = [self.applied(x, now)] if x.attr[:2] in self.decayed else []
            self.effects[x] = sum_size(self.plain(ZERO), *parts, *decay)
            return sum_size(super().moved(x), *decay)
        if x.op in (Op.INIT_VECTOR, Op.INIT_SCALAR) and x.attr in self.decayed:
            return sum_size(super().moved(x), self.first[x])
        return super().moved(x)
