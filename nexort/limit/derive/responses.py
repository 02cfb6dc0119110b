"""Responses E[d|x> / d hat(y)], the coefficients of dots."""

from __future__ import annotations

from nexort.limit.derive import univariate as u
from nexort.limit.derive.algebra import axis_sum, delta, loop_sum, reindex, unbound
from nexort.limit.derive.arithmetic import add, mul
from nexort.limit.derive.dependence import outside
from nexort.limit.derive.derivation import IndexRange
from nexort.limit.derive.expectation import ExpectationRules, substitute_kets
from nexort.limit.derive.formula import (
    ONE,
    ZERO,
    AxisSum,
    Formula,
    Ket,
    LoopSum,
    Product,
    Response,
    Sum,
)
from nexort.limit.derive.walking import factors_of, is_random, kets_of
from nexort.program.index import Affine

MOST_DEFINITIONS = 4
"""How often kets are replaced by their definitions in one slope."""


class Responses:
    """The derivative by a hat, in expectation."""

    def __init__(self, rules: ExpectationRules) -> None:
        self.rules = rules
        self.structure = rules.structure
        self.depth = 0
        self.unknown: set[tuple[str, str]] = set()
        """Families and hats of responses that some rule leaves explicit."""

    def slope(self, value: Formula, hat: Ket, ranges: tuple[IndexRange, ...]) -> Formula | None:
        """E[d value / d hat]; None where it is an expectation of products of slopes."""
        if not is_random(value):
            return ZERO
        match value:
            case Ket():
                return self._of_ket(value, hat, ranges)
            case Sum(terms):
                parts = [self.slope(t, hat, ranges) for t in terms]
                known = [p for p in parts if p is not None]
                return add(*known) if len(known) == len(parts) else None
            case LoopSum(var, first, last, body):
                inner = self.slope(body, hat, (*ranges, IndexRange(var, first, last)))
                return None if inner is None else loop_sum(var, first, last, inner)
            case AxisSum(label, axis, body):
                inner = self.slope(body, hat, ranges)
                return None if inner is None else axis_sum(label, axis, inner)
            case Product(factors) if sum(map(is_random, factors)) == 1:
                [random] = [f for f in factors if is_random(f)]
                inner = self.slope(random, hat, ranges)
                rest = [f for f in factors if f is not random]
                return None if inner is None else mul(*rest, inner)
            case Product(factors):
                return self._of_product(list(factors), hat, ranges)
            case _:
                return self._of_function(value, hat, ranges)

    def _of_product(
        self, factors: list[Formula], hat: Ket, ranges: tuple[IndexRange, ...]
    ) -> Formula | None:
        """Sums multiplied out, then the product rule."""
        names = self.rules.names
        for k, factor in enumerate(factors):
            if not is_random(factor):
                continue
            rest = factors[:k] + factors[k + 1 :]
            match factor:
                case Sum(terms):
                    return self.slope(add(*(mul(t, *rest) for t in terms)), hat, ranges)
                case LoopSum(var, first, last, body):
                    new = names.fresh(var)
                    inner = unbound(reindex(body, {var: Affine.variable(new)}), names)
                    whole = LoopSum(new, first, last, mul(inner, *rest))
                    return self.slope(whole, hat, ranges)
                case AxisSum(label, axis, body):
                    new = names.fresh()
                    inner = unbound(reindex(body, {label: Affine.variable(new)}), names)
                    return self.slope(AxisSum(new, axis, mul(inner, *rest)), hat, ranges)
                case _:
                    pass
        return self._of_function(mul(*factors), hat, ranges)

    def _unfolded(self, value: Formula, ranges: tuple[IndexRange, ...]) -> Formula | None:
        """The value with kets that are not Gaussian replaced by their definitions, once."""
        if self.depth > MOST_DEFINITIONS:
            return None
        env = {}
        for ket in kets_of(value):
            if ket.part != "hat" and ket.name not in self.structure.gaussian:
                found = self.rules.definition(ket, ranges)
                if found is not None:
                    env[ket] = found
        return substitute_kets(value, env) if env else None

    def _of_ket(self, ket: Ket, hat: Ket, ranges: tuple[IndexRange, ...]) -> Formula:
        """d hat(y) / d hat(y) = 1; a ket that does not depend on the hat has slope 0."""
        if ket.copy:
            return ZERO
        if ket.part == "hat":
            if ket.name != hat.name:
                return ZERO
            result: Formula = ONE
            for i, j in zip(ket.indices + ket.axes, hat.indices + hat.axes, strict=True):
                result = mul(result, delta(i, j))
            return result
        if ket.name in self.rules.system.initial:
            return ZERO
        depends = self.structure.dependence.on_hat(ket.name, hat.name)
        if depends is None or outside(ket.indices, hat.indices, depends, ranges):
            return ZERO
        response = Response(ket, hat)
        self.rules.demand(response)
        return response

    def _of_function(
        self, value: Formula, hat: Ket, ranges: tuple[IndexRange, ...]
    ) -> Formula | None:
        """E[d f(z) g(w) .. / d hat] = sum over kets of E[df/dz ...] dz/dhat, where the kets that
        depend on the hat are Gaussian: their slopes are numbers."""
        gaussian = self.structure.gaussian
        if any(k.part != "hat" and k.name not in gaussian for k in kets_of(value)):
            replaced = self._by_definition(value, hat, ranges)
            if replaced is not None:
                return replaced
        parts: list[Formula] = []
        factors: list[Formula] = list(factors_of(value))
        for position, factor in enumerate(factors):
            rest = factors[:position] + factors[position + 1 :]
            for ket in kets_of(factor):
                inner = self._of_ket(ket, hat, ranges)
                if inner == ZERO:
                    continue
                if ket.part != "hat" and ket.name not in gaussian:
                    return None
                outer = self._partial(factor, ket, rest, ranges)
                if outer is None:
                    return None
                parts.append(mul(outer, inner))
        return add(*parts) if parts else ZERO

    def _by_definition(
        self, value: Formula, hat: Ket, ranges: tuple[IndexRange, ...]
    ) -> Formula | None:
        replaced = self._unfolded(value, ranges)
        if replaced is None:
            return None
        self.depth += 1
        try:
            return self.slope(replaced, hat, ranges)
        finally:
            self.depth -= 1

    def _partial(
        self, factor: Formula, ket: Ket, rest: list[Formula], ranges: tuple[IndexRange, ...]
    ) -> Formula | None:
        """E[d factor / d ket * rest]."""
        if isinstance(factor, Ket):
            return self.rules.of(mul(*rest), ranges) if rest else ONE
        f = u.function_graph(factor, ket)
        if f is None:
            return None
        if u.is_continuous(f):
            return self.rules.function(ket, u.slope_graph(f), rest, ranges)
        if any(is_random(r) for r in rest):
            return None
        return mul(*rest, self.rules.slope_by_stein(ket, f, ranges))
