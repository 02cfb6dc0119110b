"""Covariances that are multiples of each other, made one.

E f(s z_a) g(s z_b) over K is E f(z_a) g(z_b) over s^2 K: of several multiples of one covariance the
largest is kept, so that closed forms of several functions share what they find on it.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

from nexort.gaussian.expectation import CLOSED, method_of
from nexort.gaussian.univariate import Univariate
from nexort.gaussian.variable import SLOT
from nexort.limit.exact.engine import ExactEngine
from nexort.limit.exact.factored import dependency_order
from nexort.limit.exact.univariates import univariate
from nexort.limit.exact.values import Value, Values, What
from nexort.program import build
from nexort.program.nodes import Node, rewrite

ROUNDING = 1e-13
"""Relative difference up to which ratios of folded numbers are the same."""


def share_scaled(engine: ExactEngine, roots: Sequence[Value]) -> list[Value]:
    """Equal values in which closed forms over multiples of one covariance are over one of them."""
    values = engine.values
    order = dependency_order(roots)
    largest: dict[Hashable, tuple[Value, float]] = {}
    scales: dict[Value, tuple[Hashable, float]] = {}
    for v in order:
        found = _parts(v) if v.what is What.COV else None
        if found is not None:
            scales[v] = key, scale = found
            if key not in largest or scale > largest[key][1]:
                largest[key] = v, scale
    done: dict[Value, Value] = {}

    def rebuilt(v: Value) -> Value:
        if v not in done:
            done[v] = on_largest(v) or _same(values, v, tuple(map(rebuilt, v.args)))
            if v in engine.origin:
                engine.origin.setdefault(done[v], engine.origin[v])
        return done[v]

    def on_largest(v: Value) -> Value | None:
        if v.what is not What.PAIR or v.args[0] not in scales or method_of(*v.attr) != CLOSED:
            return None
        key, scale = scales[v.args[0]]
        kept, most = largest[key]
        if kept is v.args[0]:
            return None
        ratio = math.sqrt(scale / most)
        return values.make(v.what, (rebuilt(kept),), tuple(_stretched(f, ratio) for f in v.attr))

    for v in order:  # arguments first, so that no recursion is deep
        rebuilt(v)
    return [done[r] for r in roots]


def _same(values: Values, v: Value, args: tuple[Value, ...]) -> Value:
    return v if args == v.args else values.rebuilt(v, args)


def _parts(v: Value) -> tuple[Hashable, float] | None:
    """What multiples of a covariance have in common, and the number of its cross-covariance."""
    if v.attr is not None or len(v.args) != 3:
        return None
    numbers, rests = zip(*(_multiple(a) for a in v.args), strict=True)
    if not all(rests) or not all(n > 0 for n in numbers):
        return None
    return (rests, tuple(_ratio_class(n / numbers[2]) for n in numbers[:2])), numbers[2]


def _multiple(v: Value) -> tuple[float, Hashable]:
    """(n, x) of v = n x, also of sums whose terms have common factors."""
    if v.what is What.CALL and v.attr == "add":
        terms = [_multiple(a) for a in v.args]
        first = terms[0][0]
        if first <= 0:
            return 1.0, (v,)
        return first, ("add", tuple((x, _ratio_class(n / first)) for n, x in terms))
    factors = v.args if v.what is What.CALL and v.attr == "mul" else (v,)
    number = math.prod(f.number for f in factors if f.number is not None)
    return number, tuple(f for f in factors if f.number is None)


def _ratio_class(ratio: float) -> tuple[bool, int]:
    """Equal for ratios that differ by roundings of folded numbers (but for a small chance)."""
    return ratio > 0, round(math.log(abs(ratio)) / ROUNDING) if ratio else 0


def _stretched(f: Univariate, scale: float) -> Univariate:
    """f(scale z)."""
    inner = build.call("mul", build.constant(scale), SLOT)

    def rule(node: Node) -> Node:
        return inner if node is SLOT else node

    return univariate(rewrite([f.node], rule)[f.node])
