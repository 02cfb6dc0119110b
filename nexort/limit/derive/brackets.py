"""Bra-kets: known for initial vectors and hats, else unknowns of the recursion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from nexort.limit.derive.algebra import BoundNames, axis_sum, delta, index_at, loop_sum
from nexort.limit.derive.arithmetic import add, mul
from nexort.limit.derive.dependence import shorten_loops
from nexort.limit.derive.derivation import IndexRange
from nexort.limit.derive.formula import (
    ZERO,
    Bracket,
    Expectation,
    Formula,
    Ket,
    Response,
)
from nexort.limit.derive.lines import Line, covers
from nexort.limit.derive.structure import Structure
from nexort.limit.derive.trace import Trace
from nexort.program.index import Affine

Ranges = tuple[IndexRange, ...]
Demand = Callable[[Formula], None]


class Attempts(Protocol):
    """Rewrites that can be taken back: what they asked for and recorded is forgotten."""

    def begin(self) -> object:
        """A mark to go back to."""

    def undo(self, mark: object) -> None:
        """Back to the mark."""


class Brackets:
    """The rules about pairs of kets. ``demand`` is told every unknown that a result refers to;
    ``value`` is the right side of a rule."""

    def __init__(
        self,
        structure: Structure,
        names: BoundNames,
        trace: Trace,
        demand: Demand,
        value: Callable[[Line], Formula],
        attempts: Attempts,
    ) -> None:
        self.structure, self.names, self.trace = structure, names, trace
        self.system = structure.system
        self.demand = demand
        self.value = value
        self.attempts = attempts
        self.unfolding: tuple[str, ...] = ()
        self.products = 0

    def of(self, formula: Formula, ranges: Ranges) -> Formula:
        """E[formula]."""
        raise NotImplementedError

    def _linked(self, a: Ket, b: Ket, ranges: Ranges) -> bool:
        return a == b or self.structure.dependence.linked(a, b, ranges)

    def _is_gaussian(self, ket: Ket) -> bool:
        return ket.part == "hat" or ket.name in self.structure.gaussian

    def bracket(self, left: Ket, right: Ket, ranges: Ranges) -> Formula:
        """<x|y>: known for initial vectors and hats, else an unknown of the recursion."""
        if not self._linked(left, right, ranges):
            if self._is_gaussian(left) or self._is_gaussian(right):
                return ZERO
            return mul(self.of(left, ranges), self.of(right, ranges))
        left, right = replace(left, copy=0), replace(right, copy=0)
        odd = self.structure.parities.is_odd(left, right)
        if odd is not None:
            self.trace.record(
                "vanishing odd moment", Expectation(mul(left, right)), ZERO, f"odd in {odd}"
            )
            return ZERO
        if left.part == "hat" or right.part == "hat":
            return self._with_hat(left, right, ranges)
        if left.name in self.system.initial and self._together(left, right):
            result = self.system.initial[left.name](left, right)
            self.trace.record("initial vectors", Expectation(mul(left, right)), result)
            return result
        found = canonical_bracket(left, right)
        self.demand(found)
        return found

    def _together(self, left: Ket, right: Ket) -> bool:
        """Whether two initial vectors are of one family, or declared together."""
        return self.system.group(left.name) == self.system.group(right.name)

    def _with_hat(self, left: Ket, right: Ket, ranges: Ranges) -> Formula:
        """Cov(hat(Wx), hat(Wy)) = sigma^2 <x|y> (Def 2.6.5), and Stein's lemma for other kets:
        <hat(Wx)|y> = sum over hats of W of their covariance times E[d|y> / d hat]."""
        hat, other = (left, right) if left.part == "hat" else (right, left)
        if other.part == "hat":
            result = self._of_hats(hat, other, ranges)
            self.trace.record("covariance of hats", Expectation(mul(hat, other)), result)
            return result
        if other.name in self.system.initial:
            return ZERO
        line = self._line_at(other, ranges)
        if line is not None and line.matrix is not None and not self.structure.dots[line]:
            return self._with_hat(hat, replace(other, part="hat"), ranges)
        mine = self._line_at(hat, ranges)
        if mine is None:
            return Expectation(mul(hat, other))
        terms = []
        for line in self.system.applications():
            depends = self.structure.dependence.on_hat(other.name, line.name)
            if depends is None or not _same_symbol(mine, line):
                continue
            var = {r.var: Affine.variable(self.names.fresh(r.var)) for r in line.ranges}
            loops = tuple(
                IndexRange(var[r.var].terms[0][0], index_at(r.first, var), index_at(r.last, var))
                for r in line.ranges
            )
            indices = tuple(index_at(i, var) for i in line.indices)
            loops = shorten_loops(loops, indices, other.indices, depends, ranges)
            fresh = [self.names.fresh() for _ in line.labels]
            there = Ket(line.name, indices, tuple(map(Affine.variable, fresh)), "hat")
            response = Response(replace(other, copy=0), there)
            wider = (*ranges, *loops)
            body = mul(self._of_hats(hat, there, wider), response)
            if body == ZERO:
                continue
            self.demand(response)
            for label, own in zip(fresh, line.labels, strict=True):
                body = axis_sum(label, own.axis, body)
            for loop in reversed(loops):
                body = loop_sum(loop.var, loop.first, loop.last, body)
            terms.append(body)
        result = add(*terms) if terms else ZERO
        self.trace.record("Stein's lemma", Expectation(mul(hat, other)), result)
        return result

    def _of_hats(self, left: Ket, right: Ket, ranges: Ranges) -> Formula:
        a, b = self._line_at(left, ranges), self._line_at(right, ranges)
        if a is None or b is None:
            return Expectation(mul(left, right))
        if not _same_symbol(a, b):
            return ZERO
        assert a.matrix is not None
        assert b.matrix is not None
        result = mul(a.scale, b.scale)
        ea, eb = a.env(left.indices, left.axes), b.env(right.indices, right.axes)
        for i, j in zip(a.matrix.indices, b.matrix.indices, strict=True):
            result = mul(result, delta(index_at(i, ea), index_at(j, eb)))
        if result == ZERO:
            return ZERO
        x, y = a.at(left.indices, left.axes), b.at(right.indices, right.axes)
        assert isinstance(x, Ket)
        assert isinstance(y, Ket)
        return mul(result, self.bracket(x, y, ranges))

    def _line_at(self, ket: Ket, ranges: Ranges) -> Line | None:
        """The rule that defines a member, where only one can."""
        lines = self.system.kets.get(ket.name, [])
        if ket.part == "hat":
            lines = [x for x in lines if x.matrix is not None]
        if len(lines) == 1 and ket.part == "hat":
            return lines[0]
        found = [x for x in lines if covers(x, ket.indices, ranges)]
        return found[0] if len(found) == 1 else None


def canonical_bracket(left: Ket, right: Ket) -> Bracket:
    """<x|y> = <y|x>: names in order, and equal names by their index."""
    key = (right.name, [str(i) for i in right.indices], [str(i) for i in right.axes])
    swap = key < (left.name, [str(i) for i in left.indices], [str(i) for i in left.axes])
    return Bracket(right, left) if swap else Bracket(left, right)


def _same_symbol(a: Line, b: Line) -> bool:
    assert a.matrix is not None
    assert b.matrix is not None
    return (a.matrix.name, a.matrix.transposed) == (b.matrix.name, b.matrix.transposed)
