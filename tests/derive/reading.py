"""Derivations of trainings read at a finite width: vectors for kets, averages for expectations.

Every equation of the maximal update limit is that of the training loop at width n with every object
replaced by its ket (Remark 2.7.2). Read back, with W_0 x for hat + dot, it must give what a loop at
width n gives, to rounding. Nothing of the evaluators is used.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np

from nexort import activations
from nexort.limit.derive.derivation import AxisLabel, Derivation, IndexRange, KetDefinition
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
from nexort.program.index import Affine

COPIES = 3
"""A value has a dimension for a ket's own entries and one for each iid copy."""

Env = Mapping[str, int]
Key = tuple[str, tuple[int, ...], tuple[int, ...]]


class Reading:
    """One draw at a width. ``matrices`` and ``kets`` are the initial objects by name and indices,
    matrices with their variance, kets of the shape (width, axes)."""

    def __init__(
        self,
        derivation: Derivation,
        width: int,
        numbers: Mapping[str, float],
        sizes: Mapping[str, int],
        data: Mapping[str, Any],
        matrices: Mapping[tuple[str, tuple[int, ...]], Any],
        kets: Mapping[tuple[str, tuple[int, ...]], Any],
        given: Mapping[tuple[str, tuple[int, ...]], Any] | None = None,
        whole: bool = False,
    ) -> None:
        """``whole``: applications by the matrices at a step, not by the expressions of kets."""
        self.d, self.width = derivation, width
        self.numbers, self.sizes, self.data = numbers, sizes, data
        self.matrices, self.kets = matrices, kets
        self.base = {k: v for k, v in {**numbers, **sizes}.items() if isinstance(v, int)}
        self.given = given or {}
        self.whole = whole
        self.trained = {
            w.weight.matrix.name for w in derivation.weights if isinstance(w.weight, Operator)
        }
        self.known: dict[Key, Any] = {}
        self.states: Mapping[tuple[str, int], Any] = {}
        self.bump: tuple[str, tuple[int, ...], tuple[int, ...], Any] | None = None
        self.pushing = False
        self.pushed: dict[Any, tuple[Reading, Any]] = {}
        self.responses: dict[Any, float] = {}
        self.updates = {u.name: u for u in derivation.updates}

    # ---- what is asked for -----------------------------------------------------------------------

    def output(self, name: str, *indices: int) -> Any:
        """A member of an output, an array over its axes."""
        for o in self.d.outputs:
            if o.name == name and (env := self._bound(o.indices, indices, o.ranges)) is not None:
                return self._over(o.value, o.labels, env)
        raise AssertionError(f"no output {name}{indices}")

    def scalar(self, name: str, indices: tuple[int, ...], axes: tuple[int, ...]) -> Any:
        """A member of a family of numbers."""
        if (name, indices) in self.given:
            return np.asarray(self.given[name, indices])[axes]
        key = name, indices, axes
        if key not in self.known:
            self.known[key] = self._scalar(name, indices, axes)
        return self.known[key]

    def _scalar(self, name: str, indices: tuple[int, ...], axes: tuple[int, ...]) -> Any:
        lines = [(w.weight, w.value, w.ranges, w.labels) for w in self.d.weights]
        lines += [(e.left, e.right, e.ranges, e.labels) for e in self.d.equations]
        for left, right, ranges, labels in lines:
            if isinstance(left, Symbol) and left.name == name:
                env = self._bound(left.indices, indices, ranges)
                if env is not None:
                    return self._number(right, {**env, **_at(labels, axes)})
        raise AssertionError(f"no equation for {name}{indices}")

    def ket(self, name: str, indices: tuple[int, ...], axes: tuple[int, ...]) -> Any:
        """A ket's entries at labels."""
        key = "|" + name, indices, axes
        if key not in self.known:
            self.known[key] = self._ket(name, indices, axes)
        return self.known[key]

    def _ket(self, name: str, indices: tuple[int, ...], axes: tuple[int, ...]) -> Any:
        for k in self.d.kets:
            if k.ket.name == name:
                env = self._bound(k.ket.indices, indices, k.ranges)
                if env is not None:
                    return self._defined(k, {**env, **_at(k.labels, axes)})
        for w in self.d.weights:
            if isinstance(w.weight, Ket) and w.weight.name == name:
                env = self._bound(w.weight.indices, indices, w.ranges)
                if env is not None:
                    return self._vector(w.value, {**env, **_at(w.labels, axes)})
        if (name, indices) not in self.kets and self.d.regime != "tangent":
            assert indices[-1] == 0, f"no rule for |{name}{indices}>"
            indices = indices[:-1]
        return self.kets[name, indices][(slice(None), *axes)]

    def _defined(self, k: KetDefinition, env: Env) -> Any:
        """A rule of a ket; hat + dot of an application are W_0 on its argument."""
        if k.matrix is None:
            return self._vector(k.value, env)
        assert k.argument is not None
        assert k.hat is not None
        argument = self._vector(k.argument, env)
        if self.whole:
            moved = self.matrix(k.matrix.name, self._at(k.matrix.indices, env)) / self.width
            return (moved.T if k.matrix.transposed else moved) @ argument
        indices = tuple(self._index(i, env) for i in k.matrix.indices)
        applied = self.initial(k, indices) @ argument
        if self.bump is not None:
            name, at, labels, push = self.bump
            mine = self._at(k.ket.indices, env), self._at(k.ket.axes, env)
            if (k.ket.name, *mine) == (name, at, labels):
                applied = applied + push
        return self._vector(k.value, {**env, "hat": 1}, applied)

    def initial(self, k: KetDefinition, indices: tuple[int, ...]) -> Any:
        """The initial matrix of an application, transposed where it is; ``indices`` may have a
        step."""
        assert k.matrix is not None
        trained = k.matrix.name in self.trained
        found = self.matrices[k.matrix.name, indices[:-1] if trained else indices]
        return found.T if k.matrix.transposed else found

    # ---- hats and dots ---------------------------------------------------------------------------

    def hat(self, k: KetDefinition, env: Env) -> Any:
        """hat(W_0 x) = W_0 x - dot, the dot's derivatives found by pushing hats at random."""
        assert k.matrix is not None
        assert k.argument is not None
        assert k.dot is not None
        env = {**self.base, **env}
        whole = self.applied(k, env)
        self.pushing = True
        try:
            return whole - self._vector(k.dot, env)
        finally:
            self.pushing = False

    def applied(self, k: KetDefinition, env: Env) -> Any:
        """W_0 x."""
        assert k.matrix is not None
        assert k.argument is not None
        env = {**self.base, **env}
        return self.initial(k, self._at(k.matrix.indices, env)) @ self._vector(k.argument, env)

    def grid(self, ranges: Sequence[IndexRange]) -> list[dict[str, int]]:
        """All values of the variables of a line."""
        found: list[dict[str, int]] = [{}]
        for r in ranges:
            found = [
                {**env, r.var: k}
                for env in found
                for k in range(self._index(r.first, env), self._index(r.last, env) + 1)
            ]
        return found

    def indices(self, x: Any, env: Env) -> tuple[int, ...]:
        """The numbers of a member's indices."""
        return self._at(x.indices, env)

    def _response(self, formula: Response, env: Env) -> float:
        """E[d|x>/d hat] as the average of r (x(hat + eps r) - x(hat)) / eps, r standard normal."""
        by, x = formula.by, formula.ket
        at = by.name, self._at(by.indices, env), self._at(by.axes, env)
        member = x.name, self._at(x.indices, env), self._at(x.axes, env)
        key = ("response", *member, *at)
        if key not in self.responses:
            if at not in self.pushed:
                r = np.random.default_rng(1000 + len(self.pushed)).standard_normal(self.width)
                other = copy(self)
                other.known, other.bump = {}, (*at, 1e-6 * r)
                other.pushing = False
                self.pushed[at] = other, r
            other, r = self.pushed[at]
            moved = (other.ket(*member) - self.ket(*member)) / 1e-6
            self.responses[key] = float(np.mean(r * moved))
        return self.responses[key]

    # ---- formulas --------------------------------------------------------------------------------

    def _number(self, formula: Formula, env: Env) -> float:
        return float(np.asarray(self.value(formula, env)).reshape(()))

    def _vector(self, formula: Formula, env: Env, hat: Any = None) -> Any:
        value = np.asarray(self.value(formula, env, hat))
        shape = (self.width, *(1,) * (COPIES - 1))
        return np.broadcast_to(value, shape if value.size == 1 else value.shape).reshape(-1)

    def value(self, formula: Formula, env: Env, hat: Any = None) -> Any:
        """A formula's array, one dimension a copy; that of operators is n times their matrix."""

        def of(f: Formula) -> Any:
            return self.value(f, env, hat)

        match formula:
            case Ket(part="hat"):
                return hat.reshape(self.width, *(1,) * (COPIES - 1))
            case Bracket(left, right):
                return np.mean(of(left) * of(right))
            case Average(x) | Expectation(x):
                return np.mean(of(x))
            case Sum(terms):
                return sum(of(t) for t in terms)
            case Product(factors):
                return reduce(operator.mul, [of(f) for f in factors])
            case Power(base, exponent):
                value, by = of(base), of(exponent)
                # an update that is 0 stays 0 when it is divided by its norm
                return 0.0 if np.ndim(value) == 0 and value == 0 and by < 0 else value**by
            case Apply(name, args):
                return activations.registry()[name].evaluate(*(np.asarray(of(a)) for a in args))
            case CopyMean(copies, body):
                return np.mean(of(body), axis=copies, keepdims=True)
            case Fold():
                return self._folded(formula, env, hat)
            case LoopSum() | AxisSum():
                return self._summed(formula, env, hat)
            case _:
                return self._leaf(formula, env)

    def _leaf(self, formula: Formula, env: Env) -> Any:
        match formula:
            case Number(value):
                return float(value)
            case IndexNumber(index):
                return float(self._index(index, env))
            case Delta(left, right):
                return float(self._index(left, env) == self._index(right, env))
            case Symbol():
                return self._symbol(formula, env)
            case Ket(name, indices, axes, _, copy):
                at = (1,) * copy + (self.width,) + (1,) * (COPIES - copy - 1)
                return self.ket(name, self._at(indices, env), self._at(axes, env)).reshape(at)
            case Response():
                return self._response(formula, env) if self.pushing else 0.0  # it is in W_0 x
            case Operator(matrix):
                return self.matrix(matrix.name, self._at(matrix.indices, env))[:, :, None]
            case Outer(left, right):
                return self._leaf(left, env) * self._leaf(replace(right, copy=1), env)
            case _:
                raise AssertionError(f"{formula} has no value")

    def _summed(self, formula: LoopSum | AxisSum, env: Env, hat: Any) -> Any:
        if isinstance(formula, AxisSum):
            name, span = formula.label, range(self.size(formula.axis))
        else:
            ends = self._index(formula.first, env), self._index(formula.last, env)
            name, span = formula.var, range(ends[0], ends[1] + 1)
        return sum((self.value(formula.body, {**env, name: k}, hat) for k in span), 0.0)

    def matrix(self, name: str, indices: tuple[int, ...]) -> Any:
        """n times a matrix, an initial one or one at a step."""
        if (name, indices) in self.matrices:
            return self.width * self.matrices[name, indices]
        for w in self.d.weights:
            if isinstance(w.weight, Operator) and w.weight.matrix.name == name:
                env = self._bound(w.weight.matrix.indices, indices, w.ranges)
                if env is not None:
                    return self.value(w.value, env)[:, :, 0]
        raise AssertionError(f"no rule for {name}{indices}")

    def _folded(self, formula: Fold, env: Env, hat: Any) -> Any:
        """An update function as the derivation defines it, over its history."""
        rule = self.updates[formula.function]
        last = self._index(formula.last, env)
        known: dict[tuple[str, int], Any] = {
            (s.name, -1): self.value(s.start, env) for s in rule.states if s.start is not None
        }
        for t in range(last + 1):
            known["g", t] = self.value(formula.body, {**env, formula.var: t}, hat)
            for s in rule.states:
                known[s.name, t] = self._state(s.value, t, known)
        return self._state(rule.result, last, known)

    def _state(self, formula: Formula, t: int, known: Mapping[tuple[str, int], Any]) -> Any:
        outer, self.states = self.states, known
        try:
            return self.value(formula, {**self.base, "t": t})
        finally:
            self.states = outer

    def _symbol(self, symbol: Symbol, env: Env) -> Any:
        indices, axes = self._at(symbol.indices, env), self._at(symbol.axes, env)
        match symbol.kind:
            case "param":
                return self.numbers[symbol.name]
            case "size":
                return self.sizes[symbol.name]
            case "data":
                return np.asarray(self.data[symbol.name])[axes]
            case "state":
                return self.states[symbol.name, axes[0]]
            case _:
                return self.scalar(symbol.name, indices, axes)

    # ---- indices ---------------------------------------------------------------------------------

    def size(self, axis: str) -> int:
        return self.sizes[axis] if axis in self.sizes else int(axis)

    def _over(self, value: Formula, labels: Sequence[AxisLabel], env: Env) -> Any:
        shape = tuple(self.size(x.axis) for x in labels)
        found = np.empty(shape)
        for at in np.ndindex(*shape):
            found[at] = self._number(value, {**env, **_at(labels, at)})
        return found

    def _index(self, index: Affine, env: Env) -> int:
        return index.value({**self.base, **env})

    def _at(self, indices: Indices, env: Env) -> tuple[int, ...]:
        return tuple(self._index(i, env) for i in indices)

    def _bound(
        self, indices: Indices, given: tuple[int, ...], ranges: Sequence[IndexRange]
    ) -> dict[str, int] | None:
        """The variables of a line at a member; None where it is not of the line."""
        free = {r.var for r in ranges}
        env: dict[str, int] = {}
        if len(indices) != len(given):
            return None
        for index, at in zip(indices, given, strict=True):
            own = [n for n in index.names if n in free and n not in env]
            if own:
                rest = index - Affine.variable(own[0])
                env[own[0]] = at - self._index(rest, env)
            elif self._index(index, env) != at:
                return None
        inside = all(
            self._index(r.first, env) <= env[r.var] <= self._index(r.last, env) for r in ranges
        )
        return env if inside else None


def _at(labels: Sequence[AxisLabel], axes: Sequence[int]) -> dict[str, int]:
    return {x.label: a for x, a in zip(labels, axes, strict=True)}
