"""Expectations of functions of Gaussian kets: Wick, Stein, dual activations."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import reduce

from nexort.limit.derive import univariate as u
from nexort.limit.derive.arithmetic import add, factor_order, mul, number, power
from nexort.limit.derive.brackets import Brackets, Ranges
from nexort.limit.derive.formula import (
    ONE,
    ZERO,
    Expectation,
    Formula,
    GaussianMean,
    GaussianPair,
    Ket,
    Number,
)
from nexort.limit.derive.walking import is_random, kets_of
from nexort.program import build
from nexort.program.nodes import Node, Op
from nexort.support.diagnostics import InternalError


class Gaussians(Brackets):
    """The rules about Gaussian kets."""

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
            node = u.function_graph(f, inside[0])
            if node is None:
                return None
            graphs[inside[0]] = u.product_graph(graphs.get(inside[0], u.power_of_z(0)), node)
        if len(graphs) > 2:
            return None
        outside = [k for k in raw if k not in graphs]
        for k in raw:
            if k in graphs:
                graphs[k] = u.product_graph(u.power_of_z(1), graphs[k])
        if not outside:
            return self._dual(list(graphs.items()), ranges)
        return self._stein(outside, graphs, ranges)

    def _of_one(self, functions: list[Formula], ranges: Ranges) -> Formula | None:
        """E f(z) g(z) as E f(z_a) g(z_b) at z_a = z_b, where that has a closed form."""
        kets = {k for f in functions for k in kets_of(f)}
        if len(kets) != 1:
            return None
        [ket] = kets
        f, g = (u.function_graph(x, ket) for x in functions)
        if f is None or g is None or not u.has_closed_form(f, g):
            return None
        ket = replace(ket, copy=0)
        variance = self.bracket(ket, ket, ranges)
        return GaussianPair(f, g, variance, variance, variance, ket, ket)

    def _dual(self, graphs: list[tuple[Ket, Node]], ranges: Ranges) -> Formula:
        """E f(z_a) g(z_b), a function of the covariance: the dual activation."""
        constants = [f for _, f in graphs if u.is_constant_function(f)]
        graphs = [(k, f) for k, f in graphs if not u.is_constant_function(f)]
        known = [number(f.attr) if f.op is Op.CONST else None for f in constants]
        if None in known and graphs:
            (k, f), *others = graphs
            graphs = [(k, reduce(u.product_graph, constants, f)), *others]
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
        (a, f), (b, g) = sorted(graphs, key=lambda pair: factor_order(pair[0]))
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
            moment = self._dual([(k, u.product_graph(u.power_of_z(1), f))], ranges)
            variance = power(self.bracket(k, k, ranges), Number(Fraction(-1)))
            return mul(self.bracket(z, k, ranges), variance, moment)
        terms = []
        for k, f in graphs.items():
            slope = u.slope_graph(f)
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
        moment = self._dual([(ket, u.product_graph(u.power_of_z(1), f))], ranges)
        return mul(power(self.bracket(ket, ket, ranges), Number(Fraction(-1))), moment)


def _is_zero(node: Node) -> bool:
    return build.is_number(node, 0)
