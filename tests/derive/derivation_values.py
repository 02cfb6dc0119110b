"""Numbers of a derivation: its equations run as a recursion over indices, arrays over axes.

This is the check of derived formulas, and a plain evaluator of every closed derivation: an unknown
at numeric indices is one array over its axes, computed once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from nexort import activations
from nexort.limit.derive import walking
from nexort.limit.derive.derivation import HISTORY, Derivation, OutputFormula
from nexort.limit.derive.formula import (
    Apply,
    Average,
    AxisSum,
    Bracket,
    CopyMean,
    Delta,
    Expectation,
    Fold,
    Formula,
    GaussianMean,
    GaussianPair,
    IndexNumber,
    Indices,
    Ket,
    LoopSum,
    Number,
    Operator,
    Outer,
    Power,
    Product,
    Response,
    Sum,
    Symbol,
)
from nexort.limit.derive.matching import Equations, Key, Members, axes_of, grid, key_of
from nexort.program import build
from nexort.program.index import Affine
from nexort.program.network import STEP
from nexort.program.nodes import Node, Op, rewrite
from nexort.support.diagnostics import InternalError, NexortError, fail

Array = np.ndarray[Any, Any]


def evaluate(
    derivation: Derivation,
    params: Mapping[str, int | float],
    sizes: Mapping[str, int],
    data: Mapping[str, Array],
    rtol: float = 1e-8,
) -> dict[str, Array]:
    """Every output: shape family grid + axes, as :func:`nexort.limit.sample.evaluate.evaluate` has
    it.

    Raises NexortError where an explicit expectation is needed.
    """
    return Evaluation(derivation, params, sizes, data, rtol).run()


class _Missing(Exception):
    """A value that has to be computed first."""

    def __init__(self, key: Key) -> None:
        super().__init__(key)
        self.key = key


@dataclass(frozen=True, slots=True)
class _Frame:
    """Numbers of index variables, and the dimension of every label."""

    numbers: Mapping[str, int]
    labels: tuple[tuple[str, str], ...]
    """(label, axis), in the order of the array's dimensions."""

    def position(self, label: str) -> int:
        return next(k for k, (name, _) in enumerate(self.labels) if name == label)


class Evaluation:
    """One evaluation; values of unknowns are kept."""

    def __init__(
        self,
        derivation: Derivation,
        params: Mapping[str, int | float],
        sizes: Mapping[str, int],
        data: Mapping[str, Array],
        rtol: float,
    ) -> None:
        self.derivation, self.params, self.sizes = derivation, params, sizes
        self.data, self.rtol = data, rtol
        self.base: dict[str, int] = {k: v for k, v in params.items() if isinstance(v, int)}
        self.base.update(sizes)
        self.values: dict[Key, Array] = {}
        self.states: dict[tuple[str, int], Array] = {}
        """The arguments and states of the update function that is evaluated, by name and step."""
        self.equations = Equations(derivation.equations, self.base)

    # ---- outputs -------------------------------------------------------------------------------

    def run(self) -> dict[str, Array]:
        """The outputs by name."""
        return {o.name: self._output(o) for o in self.derivation.outputs}

    def _output(self, output: OutputFormula) -> Array:
        labels = tuple((x.label, x.axis) for x in output.labels)
        shape = tuple(self.size(axis) for _, axis in labels)
        if not output.ranges:
            frame = _Frame(self.base, labels)
            return np.broadcast_to(self._settled(output.value, frame), shape).copy()
        grids = list(grid(output.ranges, self.base))
        parts = [
            np.broadcast_to(
                self._settled(output.value, _Frame({**self.base, **env}, labels)), shape
            )
            for env in grids
        ]
        lengths = [len({env[r.var] for env in grids}) for r in output.ranges]
        return np.stack(parts).reshape((*lengths, *shape))

    def _settled(self, formula: Formula, frame: _Frame) -> Array:
        """The value of a formula; what it needs is computed first, one unknown after another."""
        while True:
            try:
                return self.value(formula, frame)
            except _Missing as missing:
                self._compute(missing.key)

    def _compute(self, key: Key) -> None:
        waiting = [key]
        while waiting:
            if waiting.count(waiting[-1]) > 1:
                raise InternalError(f"{waiting[-1]} is defined by itself")
            try:
                self.values[waiting[-1]] = self._unknown(waiting[-1])
                waiting.pop()
            except _Missing as missing:
                waiting.append(missing.key)

    # ---- unknowns ------------------------------------------------------------------------------

    def _unknown(self, key: Key) -> Array:
        kind, members = key
        found = self.equations.find(key)
        if found is not None:
            equation, env = found
            labels = tuple((x.label, x.axis) for x in equation.labels)
            shape = tuple(self.size(axis) for _, axis in labels)
            value = self.value(equation.right, _Frame({**self.base, **env}, labels))
            return np.broadcast_to(value, shape)
        if kind == "bracket":
            turned = self._turned(members)
            if turned is not None:
                return turned
        raise self._not_closed(key)

    def _turned(self, members: Members) -> Array | None:
        """<x|y> from the equation of <y|x>."""
        other: Key = ("bracket", members[::-1])
        found = self.equations.find(other)
        if found is None:
            return None
        if other not in self.values:
            raise _Missing(other)
        left = found[0].left
        assert isinstance(left, Bracket)
        value = self.values[other]
        split = len(left.left.axes)
        return value.transpose([*range(split, value.ndim), *range(split)])

    def _not_closed(self, key: Key) -> NexortError:
        kind, members = key
        text = ", ".join(f"{n}{list(i) if i else ''}" for n, i in members)
        return fail(
            "not-closed", f"the derivation has no equation for the {kind} of {text}",
            help="nexort eval samples what has no closed form",
        )  # fmt: skip

    def _known(self, formula: Formula, frame: _Frame) -> Array:
        """The value of an unknown at the labels of its axes."""
        key = key_of(formula, frame.numbers)
        if key not in self.values:
            raise _Missing(key)
        return self._placed(self.values[key], axes_of(formula), frame)

    def _placed(self, value: Array, axes: Indices, frame: _Frame) -> Array:
        """An array's entries at labels: dimensions in the frame's order, equal labels joined."""
        picks: list[Any] = []
        for axis, size in zip(axes, value.shape, strict=True):
            if axis.terms and axis.terms[0][0] in dict(frame.labels):
                shape = [1] * len(frame.labels)
                shape[frame.position(axis.terms[0][0])] = size
                picks.append(np.arange(size).reshape(shape))
            else:
                picks.append(axis.value(frame.numbers))
        found = value[tuple(picks)] if picks else value
        return np.asarray(found).reshape(found.shape or (1,) * len(frame.labels))

    def size(self, axis: str) -> int:
        """The size of an axis: that of the dim, or the literal that is its name."""
        return self.sizes[axis] if axis in self.sizes else int(axis)

    # ---- formulas ------------------------------------------------------------------------------

    def value(self, formula: Formula, frame: _Frame) -> Array:
        """A formula's array over the labels of the frame (1 where it does not depend on one)."""
        match formula:
            case Number() | IndexNumber() | Delta() | Symbol():
                return self._leaf(formula, frame)
            case Bracket() | Average() | Response():
                return self._known(formula, frame)
            case Sum() | Product() | Power() | Apply():
                return self._arithmetic(formula, frame)
            case LoopSum() | AxisSum():
                return self._summed(formula, frame)
            case GaussianPair() | GaussianMean():
                return self._gaussian(formula, frame)
            case Fold():
                return self._folded(formula, frame)
            case Ket() | CopyMean() | Expectation() | Operator() | Outer():
                raise fail(
                    "not-closed", "an expectation has no closed form here",
                    help="nexort eval samples what has no closed form",
                )  # fmt: skip

    def _leaf(self, formula: Number | IndexNumber | Delta | Symbol, frame: _Frame) -> Array:
        match formula:
            case Number(number):
                return self._number(float(number), frame)
            case IndexNumber(index):
                return self._number(index.value(frame.numbers), frame)
            case Delta(left, right):
                return np.equal(self._index(left, frame), self._index(right, frame)).astype(float)
            case Symbol():
                return self._symbol(formula, frame)

    def _arithmetic(self, formula: Sum | Product | Power | Apply, frame: _Frame) -> Array:
        parts = [self.value(p, frame) for p in walking.parts(formula)]
        match formula:
            case Sum():
                return reduce(np.add, parts)
            case Product():
                return reduce(np.multiply, parts)
            case Power():
                return np.asarray(np.power(*parts))
            case Apply(name):
                entry = activations.lookup(name)
                if entry is None:
                    raise fail("not-closed", f"'{name}' is an update function")
                return np.asarray(entry.evaluate(*parts))

    def _summed(self, formula: LoopSum | AxisSum, frame: _Frame) -> Array:
        if isinstance(formula, AxisSum):
            label = formula.label, formula.axis
            value = self.value(formula.body, _Frame(frame.numbers, (*frame.labels, label)))
            count = self.size(formula.axis) if value.shape[-1] == 1 else 1
            return np.asarray(value.sum(axis=-1) * count)
        total = self._number(0.0, frame)
        first, last = formula.first.value(frame.numbers), formula.last.value(frame.numbers)
        for number in range(first, last + 1):
            inner = _Frame({**frame.numbers, formula.var: number}, frame.labels)
            total = total + self.value(formula.body, inner)
        return total

    def _folded(self, formula: Fold, frame: _Frame) -> Array:
        """An update function over its history, its states carried from step to step."""
        rule = next(u for u in self.derivation.updates if u.name == formula.function)
        known = {
            (s.name, -1): self.value(s.start, frame) for s in rule.states if s.start is not None
        }

        def at(part: Formula, t: int) -> Array:
            inner = _Frame({**frame.numbers, STEP: t}, frame.labels)
            outer, self.states = self.states, known
            try:
                return self.value(part, inner)
            finally:
                self.states = outer

        last = formula.last.value(frame.numbers)
        for t in range(last + 1):
            here = _Frame({**frame.numbers, formula.var: t}, frame.labels)
            known[HISTORY, t] = self.value(formula.body, here)
            for state in rule.states:
                known[state.name, t] = at(state.value, t)
        return at(rule.result, last)

    def _number(self, number: float, frame: _Frame) -> Array:
        return np.full((1,) * len(frame.labels), float(number))

    def _index(self, index: Affine, frame: _Frame) -> Array:
        known = dict(frame.labels)
        total = self._number(index.constant, frame)
        for name, coefficient in index.terms:
            if name in known:
                shape = [1] * len(frame.labels)
                shape[frame.position(name)] = self.size(known[name])
                total = total + coefficient * np.arange(self.size(known[name])).reshape(shape)
            else:
                total = total + coefficient * frame.numbers[name]
        return total

    def _symbol(self, symbol: Symbol, frame: _Frame) -> Array:
        match symbol.kind:
            case "param":
                return self._number(self.params[symbol.name], frame)
            case "size":
                return self._number(self.sizes[symbol.name], frame)
            case "state":
                return self.states[symbol.name, symbol.axes[0].value(frame.numbers)]
            case "data":
                return self._placed(np.asarray(self.data[symbol.name]), symbol.axes, frame)
            case _:
                return self._known(symbol, frame)

    def _gaussian(self, formula: GaussianPair | GaussianMean, frame: _Frame) -> Array:
        from nexort.gaussian.covariance import Covariance
        from nexort.gaussian.expectation import expect_one, expect_pair
        from nexort.gaussian.univariate import Univariate

        def number(part: Formula) -> Array:
            return np.atleast_1d(self.value(part, frame))

        shape = (1,) * len(frame.labels)
        if isinstance(formula, GaussianMean):
            f = Univariate.of(self._literal(formula.function))
            found = expect_one(f, number(formula.variance), self.rtol)
        else:
            f = Univariate.of(self._literal(formula.left))
            g = Univariate.of(self._literal(formula.right))
            covariance = Covariance(
                number(formula.left_variance),
                number(formula.right_variance),
                number(formula.covariance),
            )
            found = expect_pair(f, g, covariance, self.rtol)
        value = np.asarray(found.value)
        return value if shape else value.reshape(())

    def _literal(self, node: Node) -> Node:
        """A graph with numbers for params."""

        def place(x: Node) -> Node:
            return build.constant(self.params[str(x.attr)]) if x.op is Op.PARAM else x

        return rewrite([node], place)[node]
