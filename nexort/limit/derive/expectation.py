"""Expectations of random formulas, made simpler by named rules until none applies.

``Expectations.of`` is linear, splits products into independent groups, and evaluates each group:
odd ones vanish, Gaussian kets go by Stein's lemma, Wick's theorem or a dual activation, pairs of
kets become bra-kets, and what is left is replaced by its definition or stays explicit.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from nexort.limit.derive.algebra import axis_sum, loop_sum, rebuilt, reindex, unbound
from nexort.limit.derive.arithmetic import add, mul
from nexort.limit.derive.brackets import Ranges
from nexort.limit.derive.derivation import IndexRange
from nexort.limit.derive.formula import (
    ZERO,
    Average,
    AxisSum,
    CopyMean,
    Expectation,
    Fold,
    Formula,
    GaussianMean,
    GaussianPair,
    Ket,
    LoopSum,
    Number,
    Power,
    Product,
    Sum,
)
from nexort.limit.derive.gaussians import Gaussians
from nexort.limit.derive.indexing import on_copy
from nexort.limit.derive.poles import separable
from nexort.limit.derive.walking import is_random, kets_of, walk_formula
from nexort.program.index import Affine
from nexort.support.diagnostics import fail

MOST_FACTORS = 8
MOST_PRODUCTS = 20_000
"""Terms of all expectations together."""


class ExpectationRules(Gaussians):
    """All rules over one program."""

    def of(self, formula: Formula, ranges: Ranges) -> Formula:
        """E[formula]. Linearity: numbers and sums move out of the expectation."""
        if not is_random(formula):
            return formula
        match formula:
            case Sum() if len(parts := separable(formula, [], self._is_gaussian)) > 1:
                return add(*(self.of(t, ranges) for t in parts))
            case LoopSum() | AxisSum() | Fold(linear=True) | Product() | Power() | CopyMean():
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
        self.products += 1
        if self.products > MOST_PRODUCTS:
            raise fail(
                "not-derivable", f"the expectations have more than {MOST_PRODUCTS} terms",
                help="nexort eval and nexort verify still evaluate it",
            )  # fmt: skip
        known = [f for f in factors if not is_random(f)]
        random = [f for f in factors if is_random(f)]
        for k, factor in enumerate(random):
            others = random[:k] + random[k + 1 :]
            match factor:
                case Sum() if len(parts := separable(factor, others, self._is_gaussian)) > 1:
                    if all(isinstance(o, Ket) for o in others) or _expands(factor):
                        products = [
                            self._product([*self._factors(t), *known, *others], ranges)
                            for t in parts
                        ]
                        return add(*products)
                case Product():
                    return self._product([*self._factors(factor), *known, *others], ranges)
                case LoopSum(var, first, last, body):
                    new = self.names.fresh(var)
                    inner = unbound(reindex(body, {var: Affine.variable(new)}), self.names)
                    wider = (*ranges, IndexRange(new, first, last))
                    rest = [*known, *others, *self._factors(inner)]
                    return loop_sum(new, first, last, self._product(rest, wider))
                case AxisSum(label, axis, body):
                    new = self.names.fresh()
                    inner = unbound(reindex(body, {label: Affine.variable(new)}), self.names)
                    rest = [*known, *others, *self._factors(inner)]
                    return axis_sum(new, axis, self._product(rest, ranges))
                case Fold(_, var, last, body, linear=True):
                    new = self.names.fresh(var)
                    inner = unbound(reindex(body, {var: Affine.variable(new)}), self.names)
                    wider = (*ranges, IndexRange(new, Affine(), last))
                    whole = self._product([*others, *self._factors(inner)], wider)
                    return mul(*known, replace(factor, var=new, body=whole))
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
        return renumber_copies(body, {c: used + n + 1 for n, c in enumerate(copies)})

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

    def definition(self, ket: Ket, ranges: Ranges) -> Formula | None:
        """The right side of the rule of a ket, at its index and labels."""
        line = self._line_at(ket, ranges)
        if line is None or ket.part == "hat":
            return None
        value = unbound(self.value(line), self.names)
        value = reindex(value, line.env(ket.indices, ket.axes))
        if ket.copy and any(isinstance(x, CopyMean) for x in walk_formula(value)):
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
        replaced = substitute_kets(whole, env)
        attempt = self.attempts.begin()
        self.trace.record("definition", Expectation(whole), Expectation(replaced))
        try:
            result = self.of(replaced, ranges)
        finally:
            self.unfolding = outer
        if any(isinstance(x, Expectation) for x in walk_formula(result)):
            self.attempts.undo(attempt)  # the shorter one is as good
            return None
        return result


def substitute_kets(formula: Formula, env: dict[Ket, Formula]) -> Formula:
    """A random formula with kets replaced."""
    if isinstance(formula, Ket):
        return env.get(formula, formula)
    if isinstance(formula, Expectation | GaussianPair | GaussianMean):
        return formula
    return rebuilt(formula, lambda f: substitute_kets(f, env))


def _expands(formula: Sum) -> bool:
    return len(formula.terms) <= 16


def _deep_kets(formula: Formula) -> list[Ket]:
    return kets_of(formula)


def renumber_copies(formula: Formula, numbers: dict[int, int]) -> Formula:
    """A random formula with its copies renumbered."""
    if isinstance(formula, Ket):
        return replace(formula, copy=numbers.get(formula.copy, formula.copy))
    if isinstance(formula, Expectation):
        return formula
    return rebuilt(formula, lambda f: renumber_copies(f, numbers))


def _on_copy(formula: Formula, copy: int) -> Formula:
    return on_copy(formula, copy)
