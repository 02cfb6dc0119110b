"""Kernels of f = u z + v |z| and g = a + b sign(z) as correlations times standard deviations.

    E f(z_a) f(z_b) = (u^2 + v^2) s_a s_b rho',  E f(z)^2 = (u^2 + v^2) Var z,
    E g(z_a) g(z_b) = (a^2 + b^2) rho''

rho' and rho'' the correlations after f and g. Without biases all standard deviations of a network
are numbers times those of the inputs, so that they are factors of whole sums, to be multiplied with
once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from nexort.limit.exact import bent
from nexort.limit.exact.engine import ExactEngine
from nexort.limit.exact.factored import dependency_order
from nexort.limit.exact.values import Value, Values, What


def normal(engine: ExactEngine, roots: Sequence[Value]) -> list[Value]:
    """Equal values, written so. ``roots`` have their covariances without cross terms."""
    values = engine.values
    done: dict[Value, Value] = {}
    gaps: dict[Value, Value] = {}
    for v in dependency_order(roots):
        args = tuple(done[a] for a in v.args)
        found: Value | None = None
        if v.what is What.GAP:
            found = _unscaled(values, v, args)
            gaps.setdefault(found.args[2], found)
        elif v.what is What.COV and v.attr == "gap" and args[2].what is What.AFTER:
            inner = args[2].args[0]
            if inner.labels == v.labels:
                found = values.make(What.COV, (*args[:2], inner), ("after", args[2].attr))
        elif v.what is What.PAIR:
            found = _pair(values, v, args[0])
        elif v.what is What.CALL and v.attr == "add":
            found = values.add(*(_without_products(values, a, args, gaps) for a in args))
        elif v.what is What.CALL and v.attr == "mul":
            found = values.mul(*args)
        if found is None:
            found = v if args == v.args else values.rebuilt(v, args)
        done[v] = found
        if v in engine.origin:
            for x in _factors(found):
                if x.what in (What.PAIR, What.CORRELATION):
                    engine.origin.setdefault(x, engine.origin[v])
    return [done[r] for r in roots]


def _factors(v: Value) -> tuple[Value, ...]:
    return v.args if v.what is What.CALL and v.attr == "mul" else (v,)


def _parts(v: Value) -> tuple[float, Value | None]:
    """(c, x) of v = c x; x None where it is a product of several."""
    number, others = 1.0, []
    for f in _factors(v):
        if f.number is None:
            others.append(f)
        else:
            number *= f.number
    return number, others[0] if len(others) == 1 else None


def root_value(values: Values, variance: Value) -> Value:
    """The standard deviation, a positive number taken out."""
    number, rest = _parts(variance)
    if rest is None or number <= 0:
        return values.call("sqrt", variance)
    return values.mul(values.number(math.sqrt(number)), values.call("sqrt", rest))


def _pair(values: Values, v: Value, pair: Value) -> Value | None:
    f, g = v.attr
    kind = bent.kind_of(f)
    if f != g or kind is None:
        return None
    size = values.number(kind[1] ** 2 + kind[2] ** 2)
    left, right = pair.args[:2]
    if pair.attr is not None:
        correlation = values.make(What.CORRELATION, (pair,), f)
        if kind[0] == "signs":
            return values.mul(size, correlation)
        return values.mul(size, root_value(values, left), root_value(values, right), correlation)
    alike = kind[0] == "straight" and pair.args == (left, left, left, values.zero)
    return values.mul(size, left) if alike else None


def _unscaled(values: Values, v: Value, args: tuple[Value, ...]) -> Value:
    """A gap of multiples of the same covariances is theirs; its columns are known up to factors."""
    scales, inner = zip(*(_parts(a) for a in args[:3]), strict=True)
    whole = [x for x in inner if x is not None]
    if len(whole) < len(inner) or scales[0] <= 0 or any(s != scales[0] for s in scales):
        return values.rebuilt(v, args)
    return values.make(What.GAP, (*whole, *args[3:]), v.attr)


def _without_products(
    values: Values, term: Value, terms: Sequence[Value], gaps: dict[Value, Value]
) -> Value:
    """In a sum in which another term has the factors s_a s_b: a covariance as s_a s_b (1 - gap)."""
    for cross in _factors(term):
        if cross not in gaps:
            continue
        gap = gaps[cross]
        left, right = (root_value(values, x) for x in gap.args[:2])
        needed = {x for x in (*_factors(left), *_factors(right)) if x.number is None}
        if any(needed.issubset(_factors(x)) for x in terms if x is not term):
            rest = [f for f in _factors(term) if f is not cross]
            rho = values.make(What.CALL, (gap,), "complement")
            return values.mul(*rest, left, right, rho)
    return term
