"""The power of n that sizes are counted to have, beside which fits are set (nexort.scaling)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

import numpy as np

from nexort.coordcheck.tensors import Quantity, Tensor, What
from nexort.program.nodes import Node, Op, walk
from nexort.program.types import Kind
from nexort.scaling.counting import Counting
from nexort.scaling.graph import Graph, Slope
from nexort.scaling.orders import ONE, ZERO, Order, evaluate, least, most
from nexort.scaling.sizes import Size, added, moved, nonlinear
from nexort.training.backprop import Reverse
from nexort.training.sizes import exponent_numbers, parameter, slopes
from nexort.training.stability import layer
from nexort.training.task import Key, Task, seed_slot
from nexort.training.update import Update

Exponent = Fraction | Literal["zero"]
"""A power of n, or of what is exactly 0."""

BOUNDED_BELOW = frozenset(("relu", "leaky_relu", "abs", "sign", "step"))
"""Functions that are homogeneous of degree 1 or 0: of arguments of any size their changes are no
larger than their arguments', or than 1."""


@dataclass(frozen=True)
class Prediction:
    """Exponents by quantity; what is absent is not predicted. ``until``: the first step at which
    arguments of bounded functions grow with n, from which on no power of n is predicted."""

    exponents: Mapping[Quantity, Exponent]
    until: int | None


def predict(
    task: Task, tensors: Sequence[Tensor], degrees: Mapping[Key, int | None] | None = None
) -> Prediction:
    """Predicted exponents of all sizes at all steps of a task.

    ``degrees`` are those in which update functions are homogeneous at the sizes of the gradients at
    hand (:func:`response`); by default in general.
    """
    counting = _Everything(task, degrees or {})
    steps = counting.steps(tensors)
    orders = [order for found in steps for order in found.values()]
    numbers = iter(evaluate(orders, {}, Fraction(1), 1))
    exponents: dict[Quantity, Exponent] = {}
    for t, found in enumerate(steps):
        for what, tensor in found:
            value = next(numbers)
            exponents[Quantity(what, tensor, t)] = (
                "zero" if value is None else -Fraction(np.asarray(value).reshape(-1)[0])
            )
    for x in tensors:
        exponents |= _own(task, x)
    return Prediction(exponents, counting.until)


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

    def __init__(self, task: Task, degrees: Mapping[Key, int | None]) -> None:
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
        graph = Graph(
            task.out, slopes(task), parameters, kets={str(k): x for k, x in enumerate(kets)}
        )
        super().__init__(graph, at=exponent_numbers(task))
        self.decayed = {key for key, w in task.weights.items() if (w.decay > 0).any()}
        self.chi: Order = ONE
        self.effects: dict[Node, Size] = {}
        self.moves: dict[Key, list[Order]] = {}
        self.until: int | None = None

    def steps(self, tensors: Sequence[Tensor]) -> list[dict[tuple[What, Tensor], Order]]:
        """The orders of all quantities at every step."""
        found: list[dict[tuple[What, Tensor], Order]] = []
        self._forward(start=True)
        for t in range(self.task.steps + 1):
            if t > 0:
                self._forward(start=False)
            if self._outgrown():
                self.until = t
                return found
            f = self._f(t)
            self.chi = least(ONE, f)
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
        change = self._output(self.change[self.task.out]) if t else ZERO
        match self.task.start:
            case "centre":
                return change
            case "plain":
                return least(self._output(self.first[self.task.out]), change)
            case _:
                return least(ONE, change)

    def _forward_of(self, x: Tensor, t: int, f: Order) -> dict[tuple[What, Tensor], Order]:
        match x.role:
            case "output":
                change = self._output(self.change[self.task.out]) if t else ZERO
                return {("size", x): f, **({("change", x): change} if t else {})}
            case "signal":
                return {("size", x): self.chi} if t < self.task.steps else {}
            case "weight" if x.node is None and x.key is not None:
                a, b, _, _ = self._symbols(x.key)
                known = self.graph.parameters[x.key]
                start = least(a + b if known.random else ZERO, a if known.mean else ZERO)
                moves = [*self.moves.get(x.key, []), *([start] if x.key in self.decayed else [])]
                change = least(*moves) if t else ZERO
            case _:
                assert x.node is not None
                start = self.first[x.node].total
                change = self.change[x.node].total if t else ZERO
        found: dict[tuple[What, Tensor], Order] = {("size", x): least(start, change)}
        if t:
            found["change", x] = change
            if x.node in self.effects:
                found["effect", x] = self.effects[x.node].total
        return found

    def _by_node(self, x: Node) -> Order:
        """Of sum_i chi_i f_i by an entry of a ket, or by a scalar."""
        low = 0 if x.type.kind is Kind.KET else -1
        return self._now(self.adjoints[x]).total + self._symbol("out", "a") + low + self.chi

    def _step_of(self, x: Tensor) -> dict[tuple[What, Tensor], Order]:
        if x.role != "weight" or x.key is None or x.key not in self.graph.slopes:
            return {}
        slope = self.graph.slopes[x.key]
        a = self._symbols(x.key)[0]
        gradient = self._gradient(x.key, slope).total + a.times(-1)
        seen, update = self._update(x.key, slope)
        self.moves.setdefault(x.key, []).append(update)
        return {("gradient", x): gradient, ("seen", x): seen, ("update", x): update}

    def _outgrown(self) -> bool:
        """Whether an argument of a function that is not homogeneous grows with n."""
        arguments = [
            self._now(a).total
            for x in self.order
            if x.op is Op.CALL and nonlinear(str(x.attr)) and str(x.attr) not in BOUNDED_BELOW
            for a in x.args
        ]
        values = evaluate(arguments, {}, Fraction(1), 1)
        return any(v is not None and np.asarray(v).reshape(-1)[0] < 0 for v in values)

    # ---- what differs from stable tables ---------------------------------------------------------

    def _gradient(self, key: Key, slope: Slope) -> Size:
        return super()._gradient(key, slope) + self.chi

    def _pairs(self, slope: Slope) -> list[tuple[Size, Size]]:
        return [(left + self.chi, right) for left, right in super()._pairs(slope)]

    def _change(self, x: Node) -> Size:
        if x.op is Op.MATMUL:
            now = added(self.first[x.args[0]], self.change[x.args[0]])
            updates = self.matrices.get(x.attr[:2], [])
            parts = [self._acted(u, x, now) for u in updates]
            # of W - decay W, the second part
            decay = [self._applied(x, now)] if x.attr[:2] in self.decayed else []
            self.effects[x] = added(self._plain(ZERO), *parts, *decay)
            return added(super()._change(x), *decay)
        if x.op in (Op.INIT_VECTOR, Op.INIT_SCALAR) and x.attr in self.decayed:
            return added(super()._change(x), self.first[x])
        if x.op is Op.CALL and str(x.attr) in BOUNDED_BELOW:
            name, move = str(x.attr), self.change[x.args[0]]
            found = moved(x, [self.first[x.args[0]]], [move])
            # |phi(x + y) - phi(x)| <= |y|, and of signs and steps at most 2
            return _capped(found, ONE if name in ("sign", "step") else move.total)
        return super()._change(x)


def _capped(size: Size, bound: Order) -> Size:
    """The size of what is no larger than a bound."""
    if size.is_zero:
        return size
    return Size(
        most(size.total, bound),
        tuple(p if p.is_zero else most(p, bound) for p in size.even),
        tuple(p if p.is_zero else most(p, bound) for p in size.odd),
    )
