"""Expectations of random formulas, made simpler by named rules until none applies.

``Expectations.of`` is linear, splits products into independent groups, and evaluates each group:
odd ones vanish, Gaussian kets go by Stein's lemma, Wick's theorem or a dual activation, pairs of
kets become bra-kets, and what is left is replaced by its definition or stays explicit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import reduce
from typing import Protocol

from nexort.derive import univariate as u
from nexort.derive.algebra import (
    Names,
    add,
    axis_sum,
    delta,
    loop_sum,
    mul,
    number,
    order,
    power,
    reindexed,
    unbound,
)
from nexort.derive.derivation import Range
from nexort.derive.formula import (
    ONE,
    ZERO,
    Average,
    AxisSum,
    Bracket,
    CopyMean,
    Expectation,
    Formula,
    GaussianMean,
    GaussianPair,
    Ket,
    LoopSum,
    Number,
    Power,
    Product,
    Response,
    Sum,
)
from nexort.derive.lines import Line, covers, surely_at_most
from nexort.derive.structure import Structure
from nexort.derive.trace import Trace
from nexort.derive.walking import is_random, kets_of, walk
from nexort.diagnostics import InternalError
from nexort.program.index import Affine
from nexort.program.nodes import Node, Op

Ranges = tuple[Range, ...]
Demand = Callable[[Formula], None]
MOST_FACTORS = 8


class Attempts(Protocol):
    """Rewrites that can be taken back: what they asked for and recorded is forgotten."""

    def begin(self) -> object:
        """A mark to go back to."""

    def undo(self, mark: object) -> None:
        """Back to the mark."""


class Expectations:
    """The rules over one program. ``demand`` is told every unknown that a result refers to."""

    def __init__(
        self,
        structure: Structure,
        names: Names,
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

    # ---- linearity -----------------------------------------------------------------------------

    def of(self, formula: Formula, ranges: Ranges) -> Formula:
        """E[formula]. Linearity: numbers and sums move out of the expectation."""
        if not is_random(formula):
            return formula
        match formula:
            case Sum(terms):
                parts = [self.of(t, ranges) for t in terms]
                return add(*parts)
            case LoopSum() | AxisSum() | Product() | Power() | CopyMean():
                return self._product(list(self._factors(formula)), ranges)
            case _:
                return self._group([formula], ranges)

    def _factors(self, formula: Formula) -> list[Formula]:
        match formula:
            case Product(factors):
                return [x for f in factors for x in self._factors(f)]
            case Power(base, Number(value)) if (
                isinstance(value, Fraction)
                and value.denominator == 1
                and 1 < value <= MOST_FACTORS
                and is_random(base)
            ):
                return [x for _ in range(value.numerator) for x in self._factors(base)]
            case _:
                return [formula]

    def _product(self, factors: list[Formula], ranges: Ranges) -> Formula:
        """One product: sums are multiplied out, sums over loops and axes move out, copies of
        different factors are different copies."""
        known = [f for f in factors if not is_random(f)]
        random = [f for f in factors if is_random(f)]
        for k, factor in enumerate(random):
            others = random[:k] + random[k + 1 :]
            match factor:
                case Sum(terms):
                    if all(isinstance(o, Ket) for o in others) or _expands(factor):
                        parts = [
                            self._product([*self._factors(t), *known, *others], ranges)
                            for t in terms
                        ]
                        return add(*parts)
                case Product():
                    return self._product([*self._factors(factor), *known, *others], ranges)
                case LoopSum(var, first, last, body):
                    new = self.names.fresh(var)
                    inner = unbound(reindexed(body, {var: Affine.variable(new)}), self.names)
                    wider = (*ranges, Range(new, first, last))
                    rest = [*known, *others, *self._factors(inner)]
                    return loop_sum(new, first, last, self._product(rest, wider))
                case AxisSum(label, axis, body):
                    new = self.names.fresh()
                    inner = unbound(reindexed(body, {label: Affine.variable(new)}), self.names)
                    rest = [*known, *others, *self._factors(inner)]
                    return axis_sum(new, axis, self._product(rest, ranges))
                case CopyMean(copies, body):
                    fresh = self._fresh_copies(copies, body, others)
                    before = Expectation(mul(*random))
                    after = Expectation(mul(fresh, *others))
                    self.trace.record("iid copies", before, after)
                    return self._product([*known, *others, *self._factors(fresh)], ranges)
                case _:
                    pass
        if not random:
            return mul(*known)
        return mul(*known, self._independent(random, ranges))

    def _fresh_copies(
        self, copies: tuple[int, ...], body: Formula, others: list[Formula]
    ) -> Formula:
        """E_copy[f] g has the expectation of f on copies that g does not use."""
        used = max((k.copy for o in others for k in _deep_kets(o)), default=0)
        return _recopied(body, {c: used + n + 1 for n, c in enumerate(copies)})

    # ---- independence --------------------------------------------------------------------------

    def _independent(self, factors: list[Formula], ranges: Ranges) -> Formula:
        """E[X Y] = E[X] E[Y] for independent X and Y: functions of different initial vectors and
        of hats of different matrices (W and W^T are different)."""
        groups: list[tuple[list[Formula], list[Ket]]] = []
        for factor in factors:
            kets = kets_of(factor)
            joined = [factor]
            apart = []
            for members, theirs in groups:
                if any(self._linked(a, b, ranges) for a in kets for b in theirs):
                    joined = members + joined
                    kets = theirs + kets
                else:
                    apart.append((members, theirs))
            groups = [*apart, (joined, kets)]
        parts = [mul(*members) for members, _ in groups]
        if len(groups) > 1:
            whole = Expectation(mul(*factors))
            self.trace.record("independence", whole, mul(*(Expectation(p) for p in parts)))
        results = []
        for members, _ in groups:
            result = self._group(members, ranges)
            if result == ZERO:
                return ZERO
            results.append(result)
        return mul(*results)

    def _linked(self, a: Ket, b: Ket, ranges: Ranges) -> bool:
        return a == b or self.structure.dependence.linked(a, b, ranges)

    # ---- one group -----------------------------------------------------------------------------

    def _group(self, factors: list[Formula], ranges: Ranges) -> Formula:
        """E of a product that does not split."""
        whole = mul(*factors)
        odd = self.structure.parities.is_odd(*factors)
        if odd is not None:
            self.trace.record("vanishing odd moment", Expectation(whole), ZERO, f"odd in {odd}")
            return ZERO
        kets = [f for f in factors if isinstance(f, Ket)]
        functions: list[Formula] = [f for f in factors if not isinstance(f, Ket)]
        if not functions:
            simple = self._of_kets(kets, ranges)
            if simple is not None:
                return simple
        elif all(self._is_gaussian(k) for f in factors for k in kets_of(f)):
            gaussian = self._of_gaussians(kets, functions, ranges)
            if gaussian is not None:
                self.trace.record(self._rule_of(gaussian), Expectation(whole), gaussian)
                return gaussian
        unfolded = self._unfolded(whole, ranges)
        if unfolded is not None:
            return unfolded
        self._name_covariances(whole, ranges)
        return Expectation(whole)

    def _name_covariances(self, whole: Formula, ranges: Ranges) -> None:
        """An explicit expectation needs the covariances of its Gaussian kets: ask for them."""
        gaussian = [k for k in kets_of(whole) if self._is_gaussian(k)]
        for n, a in enumerate(gaussian):
            for b in gaussian[n:]:
                if a.part != "hat" and b.part != "hat":
                    self.bracket(a, b, ranges)

    def _rule_of(self, result: Formula) -> str:
        return (
            "dual activation"
            if isinstance(result, GaussianPair | GaussianMean)
            else ("Stein's lemma")
        )

    def _is_gaussian(self, ket: Ket) -> bool:
        return ket.part == "hat" or ket.name in self.structure.gaussian

    def _of_kets(self, kets: list[Ket], ranges: Ranges) -> Formula | None:
        """Products of kets: <1|x>, <x|y>, and Wick's theorem for Gaussian ones."""
        if len(kets) == 1:
            [ket] = kets
            if self._is_gaussian(ket):
                self.trace.record("Gaussian mean zero", Expectation(ket), ZERO)
                return ZERO
            result = Average(replace(ket, copy=0))
            self.demand(result)
            return result
        if len(kets) == 2:
            return self.bracket(kets[0], kets[1], ranges)
        if all(self._is_gaussian(k) for k in kets):
            return self._wick(kets, ranges)
        return None

    def _wick(self, kets: list[Ket], ranges: Ranges) -> Formula:
        """E z_1 ... z_n = sum_k Cov(z_1, z_k) E of the others (Isserlis 1918)."""
        if not kets:
            return ONE
        if len(kets) % 2:
            return ZERO
        first, rest = kets[0], kets[1:]
        result = add(
            *(
                mul(self.bracket(first, k, ranges), self._wick(rest[:n] + rest[n + 1 :], ranges))
                for n, k in enumerate(rest)
            )
        )
        self.trace.record("Wick's theorem", Expectation(mul(*kets)), result)
        return result

    # ---- Gaussian groups -----------------------------------------------------------------------

    def _of_gaussians(
        self,
        raw: list[Ket],
        functions: list[Formula],
        ranges: Ranges,
        seed: dict[Ket, Node] | None = None,
    ) -> Formula | None:
        """E of functions of at most two Gaussian kets, times further Gaussian kets."""
        if len(functions) == 2 and not raw and not seed:
            same = self._of_one(functions, ranges)
            if same is not None:
                return same
        graphs: dict[Ket, Node] = dict(seed or {})
        for f in functions:
            inside = kets_of(f)
            if len(inside) != 1:
                return None
            node = u.graph(f, inside[0])
            if node is None:
                return None
            graphs[inside[0]] = u.times(graphs.get(inside[0], u.power_of_z(0)), node)
        if len(graphs) > 2:
            return None
        outside = [k for k in raw if k not in graphs]
        for k in raw:
            if k in graphs:
                graphs[k] = u.times(u.power_of_z(1), graphs[k])
        if not outside:
            return self._dual(list(graphs.items()), ranges)
        return self._stein(outside, graphs, ranges)

    def _of_one(self, functions: list[Formula], ranges: Ranges) -> Formula | None:
        """E f(z) g(z) as E f(z_a) g(z_b) at z_a = z_b, where that has a closed form."""
        kets = {k for f in functions for k in kets_of(f)}
        if len(kets) != 1:
            return None
        [ket] = kets
        f, g = (u.graph(x, ket) for x in functions)
        if f is None or g is None or not u.has_closed_form(f, g):
            return None
        ket = replace(ket, copy=0)
        variance = self.bracket(ket, ket, ranges)
        return GaussianPair(f, g, variance, variance, variance, ket, ket)

    def _dual(self, graphs: list[tuple[Ket, Node]], ranges: Ranges) -> Formula:
        """E f(z_a) g(z_b), a function of the covariance: the dual activation."""
        constants = [f for _, f in graphs if u.constant_value(f)]
        graphs = [(k, f) for k, f in graphs if not u.constant_value(f)]
        known = [number(f.attr) if f.op is Op.CONST else None for f in constants]
        if None in known and graphs:
            (k, f), *others = graphs
            graphs = [(k, reduce(u.times, constants, f)), *others]
        elif constants and None not in known:
            rest = self._dual(graphs, ranges) if graphs else ONE
            return mul(*(k for k in known if k is not None), rest)
        elif constants:
            raise InternalError("an expectation of a constant that is not a literal")
        if self._odd(graphs, ranges):
            return ZERO
        if len(graphs) == 1:
            [(ket, f)] = graphs
            ket = replace(ket, copy=0)
            return GaussianMean(f, self.bracket(ket, ket, ranges), ket)
        (a, f), (b, g) = sorted(graphs, key=lambda pair: order(pair[0]))
        return GaussianPair(
            f, g, self.bracket(a, a, ranges), self.bracket(a, b, ranges),
            self.bracket(b, b, ranges), replace(a, copy=0), replace(b, copy=0),
        )  # fmt: skip

    def _odd(self, graphs: list[tuple[Ket, Node]], ranges: Ranges) -> bool:
        """Whether f(z_a) g(z_b) changes its sign with (z_a, z_b)."""
        parities = [u.parity(f) for _, f in graphs]
        if None in parities or parities.count("odd") % 2 == 0:
            return False
        before = Expectation(mul(*(k for k, _ in graphs)))
        self.trace.record("vanishing odd moment", before, ZERO, "odd in the Gaussian kets")
        return True

    def _stein(self, outside: list[Ket], graphs: dict[Ket, Node], ranges: Ranges) -> Formula | None:
        """E z F = sum_k Cov(z, z_k) E dF/dz_k; for one f that may jump,
        E z f(z_k) = Cov(z, z_k) / Var(z_k) E z_k f(z_k)."""
        z, others = outside[0], outside[1:]
        if not all(u.is_continuous(f) for f in graphs.values()):
            if others or len(graphs) > 1:
                return None
            [(k, f)] = graphs.items()
            moment = self._dual([(k, u.times(u.power_of_z(1), f))], ranges)
            variance = power(self.bracket(k, k, ranges), Number(Fraction(-1)))
            return mul(self.bracket(z, k, ranges), variance, moment)
        terms = []
        for k, f in graphs.items():
            slope = u.slope(f)
            if _is_zero(slope):
                continue
            smoother = {**graphs, k: slope}
            rest = (
                self._stein(others, smoother, ranges)
                if others
                else (self._dual(list(smoother.items()), ranges))
            )
            if rest is None:
                return None
            terms.append(mul(self.bracket(z, k, ranges), rest))
        for n, k in enumerate(others):
            left = others[:n] + others[n + 1 :]
            rest = (
                self._stein(left, graphs, ranges)
                if left
                else (self._dual(list(graphs.items()), ranges))
            )
            if rest is None:
                return None
            terms.append(mul(self.bracket(z, k, ranges), rest))
        return add(*terms)

    def function(self, ket: Ket, f: Node, rest: list[Formula], ranges: Ranges) -> Formula | None:
        """E[f(z) rest] for a Gaussian ket z; None where the rest does not separate."""
        if not any(is_random(r) for r in rest):
            return mul(*rest, self._dual([(ket, f)], ranges))
        if not any(self._linked(ket, k, ranges) for r in rest for k in kets_of(r)):
            return mul(self._dual([(ket, f)], ranges), self.of(mul(*rest), ranges))
        if not all(self._is_gaussian(k) for r in rest for k in kets_of(r)):
            return None
        known = [r for r in rest if not is_random(r)]
        raw = [r for r in rest if isinstance(r, Ket)]
        functions: list[Formula] = [r for r in rest if is_random(r) and not isinstance(r, Ket)]
        found = self._of_gaussians(raw, functions, ranges, {ket: f})
        return None if found is None else mul(*known, found)

    def slope_by_stein(self, ket: Ket, f: Node, ranges: Ranges) -> Formula:
        """E f'(z) = E z f(z) / Var(z), also where f jumps."""
        moment = self._dual([(ket, u.times(u.power_of_z(1), f))], ranges)
        return mul(power(self.bracket(ket, ket, ranges), Number(Fraction(-1))), moment)

    # ---- bra-kets ------------------------------------------------------------------------------

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
        if left.name in self.system.initial and left.name == right.name:
            result = self.system.initial[left.name](left, right)
            self.trace.record("initial vectors", Expectation(mul(left, right)), result)
            return result
        found = canonical_bracket(left, right)
        self.demand(found)
        return found

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
            if depends is False or not _same_symbol(mine, line):
                continue
            var = {r.var: Affine.variable(self.names.fresh(r.var)) for r in line.ranges}
            loops = [
                Range(var[r.var].terms[0][0], reindex(r.first, var), reindex(r.last, var))
                for r in line.ranges
            ]
            indices = tuple(reindex(i, var) for i in line.indices)
            if isinstance(depends, tuple):
                loops = _shortened(loops, indices, other, depends, ranges)
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
            result = mul(result, delta(reindex(i, ea), reindex(j, eb)))
        if result == ZERO:
            return ZERO
        x, y = a.at(left.indices, left.axes), b.at(right.indices, right.axes)
        assert isinstance(x, Ket)
        assert isinstance(y, Ket)
        return mul(result, self.bracket(x, y, ranges))

    # ---- definitions ---------------------------------------------------------------------------

    def _line_at(self, ket: Ket, ranges: Ranges) -> Line | None:
        """The rule that defines a member, where only one can."""
        lines = self.system.kets.get(ket.name, [])
        if ket.part == "hat":
            lines = [x for x in lines if x.matrix is not None]
        if len(lines) == 1 and ket.part == "hat":
            return lines[0]
        found = [x for x in lines if covers(x, ket.indices, ranges)]
        return found[0] if len(found) == 1 else None

    def definition(self, ket: Ket, ranges: Ranges) -> Formula | None:
        """The right side of the rule of a ket, at its index and labels."""
        line = self._line_at(ket, ranges)
        if line is None or ket.part == "hat":
            return None
        value = unbound(self.value(line), self.names)
        value = reindexed(value, line.env(ket.indices, ket.axes))
        if ket.copy and any(isinstance(x, CopyMean) for x in walk(value)):
            return None
        return _on_copy(value, ket.copy) if ket.copy else value

    def _unfolded(self, whole: Formula, ranges: Ranges) -> Formula | None:
        """Kets that are not Gaussian replaced by their definitions, and the expectation of that."""
        env: dict[Ket, Formula] = {}
        for ket in kets_of(whole):
            if self._is_gaussian(ket) or ket.name in self.unfolding:
                continue
            value = self.definition(ket, ranges)
            if value is not None:
                env[ket] = value
        if not env:
            return None
        outer = self.unfolding
        self.unfolding = (*outer, *(k.name for k in env))
        replaced = substituted(whole, env)
        attempt = self.attempts.begin()
        self.trace.record("definition", Expectation(whole), Expectation(replaced))
        try:
            result = self.of(replaced, ranges)
        finally:
            self.unfolding = outer
        if any(isinstance(x, Expectation) for x in walk(result)):
            self.attempts.undo(attempt)  # the shorter one is as good
            return None
        return result


# ---- small tools ---------------------------------------------------------------------------------


def substituted(formula: Formula, env: dict[Ket, Formula]) -> Formula:
    """A random formula with kets replaced."""
    from nexort.derive.algebra import rebuilt

    if isinstance(formula, Ket):
        return env.get(formula, formula)
    if isinstance(formula, Expectation | GaussianPair | GaussianMean):
        return formula
    return rebuilt(formula, lambda f: substituted(f, env))


def canonical_bracket(left: Ket, right: Ket) -> Bracket:
    """<x|y> = <y|x>: names in order, and equal names by their index."""
    key = (right.name, [str(i) for i in right.indices], [str(i) for i in right.axes])
    swap = key < (left.name, [str(i) for i in left.indices], [str(i) for i in left.axes])
    return Bracket(right, left) if swap else Bracket(left, right)


def reindex(index: Affine, env: object) -> Affine:
    """An index with variables replaced."""
    from nexort.derive.algebra import place

    return place(index, env)  # type: ignore[arg-type]


def _same_symbol(a: Line, b: Line) -> bool:
    assert a.matrix is not None
    assert b.matrix is not None
    return (a.matrix.name, a.matrix.transposed) == (b.matrix.name, b.matrix.transposed)


def _shortened(
    loops: list[Range],
    indices: tuple[Affine, ...],
    other: Ket,
    depends: tuple[tuple[float, float], ...],
    ranges: Ranges,
) -> list[Range]:
    """Loops over hats cut to those that a ket depends on."""
    from math import inf

    found = []
    for loop in loops:
        first, last = loop.first, loop.last
        for position, index in enumerate(indices):
            if index != Affine.variable(loop.var) or position >= len(other.indices):
                continue
            low, high = depends[position]
            if high != inf:
                end = other.indices[position] + Affine(int(high))
                last = end if surely_at_most(end, last, ranges) else last
            if low != -inf:
                start = other.indices[position] + Affine(int(low))
                first = start if surely_at_most(first, start, ranges) else first
        found.append(Range(loop.var, first, last))
    return found


def _expands(formula: Sum) -> bool:
    return len(formula.terms) <= 16


def _is_zero(node: Node) -> bool:
    from nexort.program import build

    return build.is_number(node, 0)


def _deep_kets(formula: Formula) -> list[Ket]:
    return kets_of(formula)


def _recopied(formula: Formula, numbers: dict[int, int]) -> Formula:
    from nexort.derive.algebra import rebuilt

    if isinstance(formula, Ket):
        return replace(formula, copy=numbers.get(formula.copy, formula.copy))
    if isinstance(formula, Expectation):
        return formula
    return rebuilt(formula, lambda f: _recopied(f, numbers))


def _on_copy(formula: Formula, copy: int) -> Formula:
    from nexort.derive.indexing import on_copy

    return on_copy(formula, copy)


__all__ = ["Expectations", "canonical_bracket", "substituted"]
