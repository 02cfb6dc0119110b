"""A training's derivation with its own names: weights by their steps, hats by what they are of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from nexort.limit.derive.algebra import rebuilt, reindex
from nexort.limit.derive.derivation import (
    Derivation,
    Equation,
    GaussianFamily,
    IndexRange,
    KetDefinition,
    Rewrite,
    WeightUpdate,
)
from nexort.limit.derive.formula import (
    ZERO,
    Average,
    Bracket,
    Formula,
    Indices,
    Ket,
    Matrix,
    Operator,
    Outer,
    Response,
    Symbol,
)
from nexort.limit.derive.training.lines import TrainingLines
from nexort.program.index import Affine

START, ONE = Affine(), Affine(1)


class Reader:
    """Reads a derivation of a training's equations. ``hats`` are applications of initial matrices
    by what they are parts of; hats have the names of these."""

    def __init__(self, read: TrainingLines, hats: Mapping[str, str]) -> None:
        told, system = read.told, read.system
        self.told, self.system, self.hats = told, system, hats
        self.weights = read.weights
        self.matrices = {initial: name for name, initial in told.weights.items()}
        self.starts = {
            initial: name
            for name, initial in told.weights.items()
            if any(
                x.indices[-1] == START and isinstance(x.value, Ket) and x.value.name == initial
                for x in system.kets.get(name, ())
            )
        }
        taken = {*told.program.families, *told.program.params, *told.program.data}
        self.noises = {
            initial: f"z{name}"
            for name, initial in told.weights.items()
            if name in system.kets and initial not in self.starts and f"z{name}" not in taken
        }
        """Standard Gaussians that weights with a mean start from."""

    def training(self, found: Derivation) -> Derivation:
        """The derivation, what weights are apart from other kets."""
        kets = tuple(self._ket(k) for k in found.kets if k.ket.name not in self.weights)
        return replace(
            found,
            regime=self.told.regime,
            outputs=tuple(
                replace(o, value=self(o.value), given=o.given and self(o.given))
                for o in found.outputs
            ),
            equations=tuple(
                self._equation(e) for e in found.equations if _name(e.left) not in self.weights
            ),
            kets=kets,
            gaussians=tuple(self._family(g) for g in found.gaussians),
            weights=tuple(self._updates(found)),
            steps=tuple(self._step(s) for s in found.steps),
        )

    # ---- weights ---------------------------------------------------------------------------------

    def _updates(self, found: Derivation) -> Iterator[WeightUpdate]:
        """What every step does to weights."""
        random = {g.left.name for g in found.gaussians}
        for name in self.weights:
            updates = [
                WeightUpdate(k.ket, k.ranges, k.labels, k.value)
                for k in found.kets
                if k.ket.name == name
            ]
            updates += [
                WeightUpdate(e.left, e.ranges, e.labels, e.right)
                for e in found.equations
                if _name(e.left) == name
            ]
            updates += [
                WeightUpdate(Operator(Matrix(name, x.indices)), x.ranges, (), x.value)
                for x in self.system.operators.get(name, ())
            ]
            for x in updates:
                start = x.value.name if isinstance(x.value, Ket) else ""
                if start in self.starts and start in random:
                    continue
                value = ZERO if start in self.starts else self(x.value)  # of variance 0
                ranges = steps_last(x.ranges, x.weight)
                yield _forwarded(replace(x, value=value, ranges=ranges))

    # ---- formulas --------------------------------------------------------------------------------

    def __call__(self, formula: Formula) -> Formula:
        """A formula by the names of the training."""
        match formula:
            case Ket():
                return self._named(formula)
            case Bracket(left, right):
                return Bracket(self._named(left), self._named(right))
            case Average(ket):
                return Average(self._named(ket))
            case Response(ket, by):
                return Response(self._named(ket), self._named(by))
            case Outer(left, right):
                return Outer(self._named(left), self._named(right))
            case Operator(matrix):
                return Operator(self._matrix(matrix))
            case _:
                return rebuilt(formula, self)

    def _named(self, ket: Ket) -> Ket:
        if ket.part == "hat" and ket.name in self.hats:
            return replace(ket, name=self.hats[ket.name])
        if ket.name in self.starts:
            return replace(ket, name=self.starts[ket.name], indices=(*ket.indices, START))
        return replace(ket, name=self.noises.get(ket.name, ket.name))

    def _matrix(self, matrix: Matrix) -> Matrix:
        return replace(matrix, name=self.matrices.get(matrix.name, matrix.name))

    def _ket(self, k: KetDefinition) -> KetDefinition:
        return replace(
            k,
            ranges=steps_last(k.ranges, k.ket),
            value=self(k.value),
            matrix=k.matrix and self._matrix(k.matrix),
            argument=k.argument and self(k.argument),
            dot=k.dot and self(k.dot),
            why=k.why and self._said(k.why),
            note=k.note and self._said(k.note),
        )

    def _said(self, words: str) -> str:
        """A sentence about initial objects by the names of the weights."""
        names = {initial: name for name, initial in self.told.weights.items()}
        if not names:
            return words
        pattern = rf"\b({'|'.join(map(re.escape, names))})\b"
        return re.sub(pattern, lambda found: names[found[0]], words)

    def _equation(self, e: Equation) -> Equation:
        return replace(e, right=self(e.right), ranges=steps_last(e.ranges, e.left))

    def _family(self, g: GaussianFamily) -> GaussianFamily:
        left, right = self(g.left), self(g.right)
        assert isinstance(left, Ket | Symbol)
        assert isinstance(right, Ket | Symbol)
        ranges = steps_last(g.ranges, g.left, g.right)
        return replace(g, left=left, right=right, covariance=self(g.covariance), ranges=ranges)

    def _step(self, s: Rewrite) -> Rewrite:
        return replace(s, before=s.before and self(s.before), after=s.after and self(s.after))


def _name(formula: Formula) -> str:
    return formula.name if isinstance(formula, Symbol) else ""


def steps_last(ranges: tuple[IndexRange, ...], *members: Formula) -> tuple[IndexRange, ...]:
    """Ranges with those of the last indices of members behind the others."""
    steps = {n for x in members for i in _indices(x)[-1:] for n in i.names}
    return (
        *(r for r in ranges if r.var not in steps),
        *(r for r in ranges if r.var in steps),
    )


def _indices(member: Formula) -> Indices:
    found = member.matrix if isinstance(member, Operator) else member
    assert isinstance(found, Matrix | Ket | Symbol)
    return found.indices


def _forwarded(x: WeightUpdate) -> WeightUpdate:
    """w_t by w_{t-1} as w_{t+1} by w_t."""
    indices = _indices(x.weight)
    step = next((r for r in x.ranges if indices[-1] == Affine.variable(r.var)), None)
    if step is None or step.first != ONE:
        return x
    env, span = step.forward()
    return replace(
        x,
        weight=reindex(x.weight, env),
        value=reindex(x.value, env),
        ranges=tuple(span if r is step else r for r in x.ranges),
    )
