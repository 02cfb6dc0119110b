"""What is known of a program before any expectation: dots, symmetries, Gaussian families."""

from __future__ import annotations

from dataclasses import replace

from nexort.limit.derive.algebra import BoundNames, axis_sum, delta, index_at, loop_sum, rebuilt
from nexort.limit.derive.arithmetic import add, mul
from nexort.limit.derive.dependence import (
    Dependence,
    DotSource,
    Offsets,
    outside,
    shorten_loops,
    steady_sources,
)
from nexort.limit.derive.derivation import IndexRange
from nexort.limit.derive.formula import (
    ZERO,
    AxisSum,
    Expectation,
    Formula,
    Ket,
    LoopSum,
    Product,
    Response,
    Sum,
)
from nexort.limit.derive.lines import Line, System, surely_at_most
from nexort.limit.derive.parity import Parities
from nexort.limit.derive.walking import factors_of, is_random
from nexort.program.index import Affine

THERE = "@"
"""Stands before the labels of another application while its matrix is compared."""


class Structure:
    """Everything that the rules of expectations ask about families."""

    def __init__(self, system: System, names: BoundNames) -> None:
        self.system, self.names = system, names
        self.parities = Parities(system)
        self.dropped: list[tuple[Formula, Formula]] = []
        for name, lines in system.kets.items():
            system.kets[name] = [self._without_odd(x) for x in lines]
        self.why: dict[Line, str] = {}
        self.candidates = {
            line: [s for b in system.applications() for s in self._sources(line, b)]
            for line in system.applications()
        }
        self.dots: dict[Line, list[DotSource]] = {line: [] for line in self.candidates}
        self.unbounded: set[tuple[str, str]] = set()
        self._find_dots()
        self.gaussian = self._gaussian_families()

    def _without_odd(self, line: Line) -> Line:
        """A rule without its terms that have a factor E[X], X odd."""

        def visit(formula: Formula) -> Formula:
            if isinstance(formula, Expectation):
                return formula
            if isinstance(formula, Sum):
                return add(*(visit(t) for t in formula.terms if not self.parities.vanishes(t)))
            return rebuilt(formula, visit)

        value = visit(line.value)
        if value == line.value or line.matrix is not None:
            return line
        self.dropped.append((line.value, value))
        return replace(line, value=value)

    # ---- dots ----------------------------------------------------------------------------------

    def _find_dots(self) -> None:
        """The least fixed point of: a source gives a dot if the argument depends on its hat.

        A ket depends on roots only through its rules and through dots that are there, so that the
        relation grows from no dots at all; bounds and ends of loops that keep moving are given up.
        """
        rounds = 0
        while True:
            self.dependence = Dependence(self.system, self.dots)
            self.why = {}
            kept = {line: self._kept(line, found) for line, found in self.candidates.items()}
            if rounds > 3:
                for line, found in kept.items():
                    self._give_up(found, self.dots[line])
                    kept[line] = steady_sources(found, self.dots[line])
            if kept == self.dots:
                return
            rounds += 1
            self.dots = kept

    def _give_up(self, now: list[DotSource], before: list[DotSource]) -> None:
        known = {(s.line.name, r.var): r for s in before for r in s.loops}
        for source in now:
            for loop in source.loops:
                last = known.get((source.line.name, loop.var))
                if last is not None and last.first != loop.first:
                    self.unbounded.add((loop.var, "first"))
                if last is not None and last.last != loop.last:
                    self.unbounded.add((loop.var, "last"))

    def _sources(self, line: Line, other: Line) -> list[DotSource]:
        """Applications of the transposed matrix: their index, as far as the matrix's tells it."""
        a, b = line.matrix, other.matrix
        assert a is not None
        assert b is not None
        if a.name != b.name or a.transposed == b.transposed:
            return []
        env = {r.var: Affine.variable(self.names.fresh(r.var)) for r in other.ranges}
        env |= {x.label: Affine.variable(THERE + x.label) for x in other.labels}
        loops = tuple(
            IndexRange(env[r.var].terms[0][0], index_at(r.first, env), index_at(r.last, env))
            for r in other.ranges
        )
        solved: dict[str, Affine] = {}
        condition = []
        for mine, theirs in zip(a.indices, b.indices, strict=True):
            there = index_at(index_at(theirs, env), solved)
            gap = mine - there
            free = [r.var for r in loops if dict(there.terms).get(r.var) in (1, -1)]
            if not gap.terms:
                if gap.constant:
                    return []
            elif free and surely_inside(
                value := solution(there, mine, free[0]), loops, free[0], line.ranges
            ):
                solved[free[0]] = value
            else:
                condition.append((mine, there))
        indices = tuple(index_at(index_at(i, env), solved) for i in other.indices)
        left = tuple(
            IndexRange(r.var, index_at(r.first, solved), index_at(r.last, solved))
            for r in loops
            if r.var not in solved
        )
        return [DotSource(other, indices, left, tuple(condition))]

    def _kept(self, line: Line, sources: list[DotSource]) -> list[DotSource]:
        """The sources that may give a dot; why none does is kept in ``why``."""
        assert isinstance(line.value, Ket)
        kept = []
        reasons = []
        assert line.matrix is not None
        flipped = line.matrix.name + ("" if line.matrix.transposed else "^T")
        for source in sources:
            depends = self.dependence.on_hat(line.value.name, source.line.name)
            argument = source.line.value
            assert isinstance(argument, Ket)
            ranges = line.ranges + source.loops
            if depends is None or outside(line.value.indices, source.indices, depends, ranges):
                reasons.append(
                    f"|{line.value.name}> does not depend on the hat of {flipped} |{argument.name}>"
                )
                continue
            odd = self.parities.is_odd(line.value, source.line.ket)
            if odd is not None:
                reasons.append(
                    f"the derivative of |{line.value.name}> by the hat of {flipped} "
                    f"|{argument.name}> is odd in {odd}, so that its expectation is zero"
                )
                continue
            kept.append(self._bounded(line, source, depends))
        if not kept:
            reasons = reasons or [f"{flipped} is not applied to anything"]
            self.why.setdefault(line, "; ".join(dict.fromkeys(reasons)))
        return kept

    def _bounded(self, line: Line, source: DotSource, depends: Offsets) -> DotSource:
        """Loops shortened to what the argument depends on."""
        assert isinstance(line.value, Ket)
        loops = shorten_loops(
            source.loops, source.indices, line.value.indices, depends, line.ranges, self.unbounded
        )
        return replace(source, loops=loops, depends=depends)

    def dot(self, line: Line) -> Formula:
        """dot(Wx) = sigma^2 sum over W^T y of |y> E[d|x> / d hat(W^T y)] (Def 2.6.5, MatMul)."""
        argument = line.value
        assert isinstance(argument, Ket)
        terms = []
        for source in self.dots[line]:
            other = source.line
            labels = [self.names.fresh() for _ in other.labels]
            axes = tuple(Affine.variable(x) for x in labels)
            hat = Ket(other.name, source.indices, axes, "hat")
            acted = other.at(source.indices, axes)
            body = mul(line.scale, other.scale, acted, Response(argument, hat))
            there = {THERE + x.label: a for x, a in zip(other.labels, axes, strict=True)}
            for left, right in source.condition:
                body = mul(body, delta(left, index_at(right, there)))
            for label, own in zip(labels, other.labels, strict=True):
                body = axis_sum(label, own.axis, body)
            for loop in reversed(source.loops):
                body = loop_sum(loop.var, loop.first, loop.last, body)
            terms.append(body)
        return add(*terms) if terms else ZERO

    # ---- Gaussian families ---------------------------------------------------------------------

    def _gaussian_families(self) -> frozenset[str]:
        """Families all of whose members are linear in hats and initial vectors.

        The largest set such that every rule of its families is linear in kets of the set: by
        induction along the program, all members are then jointly Gaussian of mean zero.
        """
        found = {*self.system.initial, *self.system.kets}
        while True:
            failing = {
                name
                for name in found & self.system.kets.keys()
                if not all(self._is_linear(x, found) for x in self.system.kets[name])
            }
            if not failing:
                return frozenset(found)
            found -= failing

    def _centred(self, value: Formula, families: set[str]) -> Formula:
        """A formula without the terms that have a factor E[X], X linear in Gaussian kets."""

        def is_zero(term: Formula) -> bool:
            return any(
                isinstance(f, Expectation) and is_combination(f.body, families)
                for f in factors_of(term)
            )

        def visit(formula: Formula) -> Formula:
            if isinstance(formula, Expectation):
                return formula
            if isinstance(formula, Sum):
                return add(*(visit(t) for t in formula.terms if not is_zero(t)))
            return rebuilt(formula, visit)

        return visit(value)

    def _is_linear(self, line: Line, families: set[str]) -> bool:
        if line.matrix is None:
            return is_combination(self._centred(line.value, families), families)
        return all(
            isinstance(s.line.value, Ket) and s.line.value.name in families for s in self.dots[line]
        )


def is_combination(formula: Formula, families: set[str] | frozenset[str]) -> bool:
    """Whether a formula is a linear combination of kets of these families."""
    match formula:
        case Ket():
            return formula.copy == 0 and (formula.part == "hat" or formula.name in families)
        case Sum(terms):
            return all(is_combination(t, families) for t in terms)
        case Product(factors):
            random = [f for f in factors if is_random(f)]
            return len(random) == 1 and is_combination(random[0], families)
        case LoopSum() | AxisSum():
            return is_combination(formula.body, families)
        case _:
            return False


def solution(there: Affine, mine: Affine, var: str) -> Affine:
    """The value of ``var`` at which ``there`` is ``mine``; its coefficient is 1 or -1."""
    sign = dict(there.terms)[var]
    rest = there - Affine(0, ((var, sign),))
    return (mine - rest).scaled(sign)


def surely_inside(
    value: Affine, loops: tuple[IndexRange, ...], var: str, ranges: tuple[IndexRange, ...]
) -> bool:
    """Whether a value lies in the loop over ``var``."""
    loop = next(r for r in loops if r.var == var)
    return surely_at_most(loop.first, value, ranges) and surely_at_most(value, loop.last, ranges)
