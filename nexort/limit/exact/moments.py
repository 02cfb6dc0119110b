"""Expectations of products of functions of Gaussian kets.

Identities: independent groups factor; Wick's sum over pairings; for jointly Gaussian g and z,
E g F(z) = Cov(g, z) E F'(z), and where F jumps the regression g = (Cov(g, z) / Var z) z + rest with
the rest independent of z. E f(z) and E f(z) g(w) are those of ``nexort.gaussian``.
"""

from __future__ import annotations

from collections.abc import Sequence

from nexort.gaussian.expectation import method_of
from nexort.limit.exact.budget import NotExact
from nexort.limit.exact.forms import (
    MAX_DEGREE,
    MAX_TERMS,
    Factor,
    Form,
    Term,
    free_term,
    monomial_graph,
    term_product,
)
from nexort.limit.exact.gaps import covariance_object
from nexort.limit.exact.meanings import Meanings
from nexort.limit.exact.univariates import derivative_graph, has_jumps, univariate
from nexort.limit.exact.values import Value, What

CLOSED = "closed form"

MAX_JOINT = 400
"""Terms of one expectation whose factors are correlated, which are integrals one by one."""


def forms_expectation(engine: Meanings, forms: Sequence[Form]) -> Value:
    """E of a product of forms. Raises NotExact."""
    values = engine.values
    terms = [Term(values.one)]
    for x in forms:
        own = x.all_terms(values)
        if len(own) * len(terms) > MAX_TERMS:
            raise NotExact(f"a product of more than {MAX_TERMS} terms")
        values.budget.spend(len(own) * len(terms))
        terms = [term_product(values, a, b) for a in terms for b in own]
    if len(terms) > MAX_JOINT and sum(_is_joint(engine, t) for t in terms) > MAX_JOINT:
        raise NotExact(f"more than {MAX_JOINT} expectations of correlated kets")
    return values.add(*[of_term(engine, t) for t in terms])


def of_term(engine: Meanings, term: Term) -> Value:
    """E of one product: that of its independent groups of factors, multiplied."""
    values = engine.values
    term = free_term(values, term)
    total = term.coefficient
    for group in groups(engine, term.factors):
        total = values.mul(total, of_group(engine, group))
        if total is values.zero:
            return total
    return values.sum(total, term.bound)


def _is_joint(engine: Meanings, term: Term) -> bool:
    """Whether some of a term's factors are correlated."""
    return any(len(x) > 1 for x in groups(engine, free_term(engine.values, term).factors))


def groups(engine: Meanings, factors: Sequence[Factor]) -> list[list[Factor]]:
    """Factors in groups such that those of different groups are independent."""
    found: list[list[Factor]] = []
    for f in factors:
        near = [g for g in found if any(_are_correlated(engine, f, x) for x in g)]
        found = [g for g in found if g not in near]
        found.append([f, *(x for g in near for x in g)])
    return found


def _are_correlated(engine: Meanings, a: Factor, b: Factor) -> bool:
    if not a.z.families & b.z.families:
        return False
    return engine.covariance(a.z, b.z) is not engine.values.zero


def of_group(engine: Meanings, group: Sequence[Factor]) -> Value:
    """E of a product of correlated factors, of different Gaussians, found once. Raises NotExact."""
    key = frozenset((f.z, f.power, f.functions) for f in group)
    if key not in engine.moments:
        engine.values.budget.spend(len(group))
        engine.moments[key] = _of_group(engine, group)
    return engine.moments[key]


def _of_group(engine: Meanings, group: Sequence[Factor]) -> Value:
    linear = [f for f in group if not f.functions]
    others = [f for f in group if f.functions]
    if sum(f.power for f in linear) > MAX_DEGREE:
        if len(group) > 2:
            raise NotExact(f"a polynomial of degree above {MAX_DEGREE}")
        # z^k and w^m are functions like others, whose pairings are not counted one by one
        linear, others = [], [Factor(f.z, 0, (f.node(),)) for f in group]
    match others:
        case []:
            return _wick(engine, linear)
        case [f]:
            return _one(engine, f, linear)
        case [f, g]:
            return _two(engine, f, g, linear)
    raise NotExact("a product of three or more functions of correlated Gaussian kets")


def _lowered(linear: Sequence[Factor], position: int) -> list[Factor]:
    """One of the powers less."""
    f = linear[position]
    less = [Factor(f.z, f.power - 1)] if f.power > 1 else []
    return [*linear[:position], *less, *linear[position + 1 :]]


def _wick(engine: Meanings, linear: Sequence[Factor]) -> Value:
    """E z F = the sum over w of Cov(z, w) E dF/dw: Wick's sum over pairings, powers at once."""
    values = engine.values
    if not linear:
        return values.one
    if sum(f.power for f in linear) % 2:
        return values.zero
    z, rest = linear[0].z, _lowered(linear, 0)
    terms = []
    for k, f in enumerate(rest):
        c = values.mul(values.number(f.power), engine.covariance(z, f.z))
        if c is not values.zero:
            terms.append(values.mul(c, of_group(engine, _lowered(rest, k))))
    return values.add(*terms)


def _one(engine: Meanings, f: Factor, linear: Sequence[Factor]) -> Value:
    """E f(z) g_1 ... g_m by regression on z: g_i = slope_i z + rest_i."""
    values = engine.values
    variance = engine.covariance(f.z, f.z)
    if not linear:
        return single(engine, f, variance)
    first, rest = linear[0].z, _lowered(linear, 0)
    cross = engine.covariance(first, f.z)
    terms = []
    if cross is not values.zero:
        slope = values.call("ratio", cross, variance)
        more = Factor(f.z, f.power + 1, f.functions)
        terms.append(values.mul(slope, of_group(engine, [more, *rest])))
    for k, g in enumerate(rest):
        c = engine.covariance(first, g.z)
        along = engine.covariance(g.z, f.z)
        if cross is not values.zero and along is not values.zero:
            explained = values.mul(cross, values.call("ratio", along, variance))
            c = values.add(c, values.mul(values.number(-1), explained))
        if c is not values.zero:
            c = values.mul(values.number(g.power), c)
            terms.append(values.mul(c, of_group(engine, [f, *_lowered(rest, k)])))
    return values.add(*terms)


def single(engine: Meanings, f: Factor, variance: Value) -> Value:
    """E f(z); a product of two functions with a closed form as that of a pair of equal kets."""
    values = engine.values
    graph = f.node()
    u = univariate(graph)
    if u.parity == "odd":
        return values.zero
    if variance is values.zero and has_jumps(graph):
        raise NotExact("a jump of a ket that vanishes in the limit")
    parts = [x for k in (f.power,) if k for x in [monomial_graph(k)]] + [*f.functions]
    if len(parts) == 2:
        first, second = (univariate(x) for x in parts)
        if method_of(first, second) == CLOSED:
            pair = values.make(What.COV, (variance, variance, variance, values.zero), None)
            return engine.needed(values.pair(pair, first, second))
    return engine.needed(values.make(What.ONE, (variance,), u))


def _two(engine: Meanings, f: Factor, g: Factor, linear: Sequence[Factor]) -> Value:
    """E f(z) g(w) l_1 ... l_m; by Stein's lemma on the first l where f and g do not jump."""
    values = engine.values
    if not linear:
        if (g.z.key, g.node().serial) < (f.z.key, f.node().serial):
            f, g = g, f
        u, v = univariate(f.node()), univariate(g.node())
        if {u.parity, v.parity} == {"odd", "even"}:
            return values.zero
        pair = covariance_object(engine, f.z, g.z, bool(u.kinks or v.kinks))
        return engine.needed(values.pair(pair, u, v))
    first, rest = linear[0].z, _lowered(linear, 0)
    terms = []
    for k, h in enumerate(rest):
        c = values.mul(values.number(h.power), engine.covariance(first, h.z))
        if c is not values.zero:
            terms.append(values.mul(c, of_group(engine, [f, g, *_lowered(rest, k)])))
    for own, other in ((f, g), (g, f)):
        c = engine.covariance(first, own.z)
        if c is values.zero:
            continue
        if has_jumps(own.node()):
            raise NotExact("a product of two correlated functions with jumps and a Gaussian ket")
        slope = Factor(own.z, 0, (derivative_graph(own.node()),))
        terms.append(values.mul(c, of_group(engine, [slope, other, *rest])))
    return values.add(*terms)


def slope_moment(engine: Meanings, term: Term, position: int) -> Value:
    """E of the derivative of one factor of an opened term times the others, without the term's
    coefficient and before the sum over its labels."""
    values = engine.values
    factor = term.factors[position]
    total = values.one
    for group in groups(engine, term.factors):
        if factor not in group:
            total = values.mul(total, of_group(engine, group))
            continue
        others = [x for x in group if x is not factor]
        total = values.mul(total, _slope(engine, factor, others))
    return total


def _slope(engine: Meanings, f: Factor, others: list[Factor]) -> Value:
    values = engine.values
    if not f.functions:
        lower = [Factor(f.z, f.power - 1)] if f.power > 1 else []
        return values.mul(values.number(f.power), of_group(engine, [*lower, *others]))
    graph = f.node()
    if not has_jumps(graph):
        return of_group(engine, [Factor(f.z, 0, (derivative_graph(graph),)), *others])
    if others:
        raise NotExact("a dot of a function with a jump times correlated functions")
    if univariate(graph).parity == "even":
        return values.zero
    variance = engine.covariance(f.z, f.z)
    return engine.needed(values.make(What.STEIN, (variance,), univariate(graph)))
