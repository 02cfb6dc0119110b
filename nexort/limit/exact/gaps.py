"""Gaps (1 - correlation, 1 + correlation) without cancellation, carried through the layers.

For nearly equal or opposite inputs the correlation is near 1 or -1, and functions with kinks depend
on the square root of its distance to that. The distance is found from the coefficients of
independent initial vectors, and propagated: through a kinked function by its own formula, through
matrices unchanged, and for sums of independent Gaussians from the parts' gaps and standard
deviations.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from nexort.gaussian.covariance import Covariance
from nexort.gaussian.expectation import gap_after
from nexort.gaussian.univariate import Univariate
from nexort.limit.exact import coefficients, mixtures
from nexort.limit.exact.budget import NotExact
from nexort.limit.exact.factored import dependency_order
from nexort.limit.exact.forms import Form, Gaussian, GaussianEntry, Item, Term, gaussian_form
from nexort.limit.exact.labels import At, NeedsPin, canonical_indices
from nexort.limit.exact.meanings import Meanings
from nexort.limit.exact.univariates import univariate
from nexort.limit.exact.values import Value, Values, What
from nexort.program.nodes import Node, Op


def covariance_object(engine: Meanings, a: Gaussian, b: Gaussian, kinked: bool) -> Value:
    """COV of a pair, with its gap where that is known and matters."""
    parts = [engine.covariance(a, a), engine.covariance(b, b), engine.covariance(a, b)]
    if kinked:
        found = ket_gap(engine, a, b)
        if found is not None:
            parts.append(found)
    return engine.values.make(What.COV, tuple(parts), None)


def without_cross(engine: Meanings, roots: Sequence[Value]) -> list[Value]:
    """Equal values in which covariances with a gap over all their pairs consist of it and the
    variances alone: cross = s_a s_b (1 - gap)."""
    values = engine.values
    done: dict[Value, Value] = {}
    for v in dependency_order(roots):
        args = tuple(done[a] for a in v.args)
        if v.what is What.COV and len(args) == 4 and args[3].labels == v.labels:
            done[v] = values.make(What.COV, (args[0], args[1], args[3]), "gap")
            continue
        done[v] = v if args == v.args else values.rebuilt(v, args)
        if v in engine.origin:
            engine.origin.setdefault(done[v], engine.origin[v])
    return [done[r] for r in roots]


def ket_gap(engine: Meanings, a: Gaussian, b: Gaussian) -> Value | None:
    """The gap of two Gaussian kets, or None."""
    known = engine.gaps
    if (a, b) not in known:
        known[a, b] = _gap(engine, a, b)
    return known[a, b]


def _gap(engine: Meanings, a: Gaussian, b: Gaussian) -> Value | None:
    if a == b:
        return engine.values.zero
    groups = dict.fromkeys(_group(i) for z in (a, b) for i in z.items)
    parts = []
    for group in groups:
        x, y = (_part(engine, z, group) for z in (a, b))
        inside = _of_group(engine, x, y, group)
        if inside is None:
            return None
        parts.append((engine.covariance(x, x), engine.covariance(y, y), inside))
    # those of earlier layers first: sums of later layers begin with the same
    parts.sort(key=lambda part: part[0].serial)
    total = parts[0]
    for part in parts[1:]:
        total = _both(engine.values, total, part)
    return total[2]


def _group(item: Item) -> object:
    """Items of different groups are independent; initial vectors are one group."""
    return None if item.atom.node.op is Op.INIT_VECTOR else item.atom.family


def _part(engine: Meanings, z: Gaussian, group: object) -> Gaussian:
    return gaussian_form(engine.values, [i for i in z.items if _group(i) == group])


def _of_group(engine: Meanings, a: Gaussian, b: Gaussian, group: object) -> Value | None:
    if not (a.items and b.items):
        return engine.values.one
    if group is None:
        return coefficients.combination_gap(engine, a, b)
    if len(a.items) > 1 or len(b.items) > 1:
        return None
    x, y = a.items[0], b.items[0]
    if x.bound or y.bound:
        own = engine.covariance(a, a), engine.covariance(b, b), engine.covariance(a, b)
        return mixtures.mixture_gap(engine, own, x, y, _of_atoms)
    inside = _of_atoms(engine, x.atom, y.atom)
    return None if inside is None else _signed(engine, inside, x.coefficient, y.coefficient)


def _of_atoms(engine: Meanings, a: GaussianEntry, b: GaussianEntry) -> Value | None:
    """The gap of the kets that a matrix is applied to."""
    return of_kets(engine, a.node.args[0], a.at, b.node.args[0], b.at)


def of_kets(engine: Meanings, x: Node, x_at: At, y: Node, y_at: At) -> Value | None:
    """The gap of two kets, None where it is not known."""
    at, names = canonical_indices((*x_at, *y_at))
    try:
        first, second = engine.form(x, at[: len(x_at)]), engine.form(y, at[len(x_at) :])
    except NeedsPin:
        return None
    found = _of_ket(engine, first, second)
    return None if found is None else engine.values.relabel(found, names)


def _signed(engine: Meanings, inside: Value, c: Value, d: Value) -> Value:
    """The gap of multiples by c and d."""
    if _positive(c) and _positive(d):
        return inside
    return engine.values.make(What.CALL, (inside, c, d), "signed")


def _of_ket(engine: Meanings, x: Form, y: Form) -> Value | None:
    """The gap (of the uncentred kind, 1 - <x|y> / (|x| |y|)) of two entries of one ket."""
    if x.gaussian is not None and y.gaussian is not None:
        return ket_gap(engine, x.gaussian, y.gaussian)
    s, t = _only(x), _only(y)
    if s is None or t is None:
        return None
    [f], [g] = s.factors, t.factors
    if (f.power, f.functions) != (g.power, g.functions):
        return None
    function = univariate(f.node())
    if not has_gap(function):
        return None
    inside = ket_gap(engine, f.z, g.z)
    if inside is None:
        return None
    # the orientation of the expectations, so that they share the object
    first, second = (f.z, g.z) if f.z.key <= g.z.key else (g.z, f.z)
    pair = covariance_object(engine, first, second, kinked=True)
    after = engine.values.after(pair, function)
    return _signed(engine, after, s.coefficient, t.coefficient)


def _only(x: Form) -> Term | None:
    """The term of a multiple of one function."""
    if x.linear.items or len(x.terms) != 1:
        return None
    term = x.terms[0]
    return None if len(term.factors) != 1 or term.bound else term


def _positive(value: Value) -> bool:
    """Whether a coefficient is known to be positive."""
    if value.number is not None:
        return value.number > 0
    if value.what is not What.CALL:
        return False
    if value.attr in ("sqrt", "exp"):
        return True
    return value.attr in ("mul", "div") and all(_positive(a) for a in value.args)


Part = tuple[Value, Value, Value]
"""Two variances and their gap."""


def _both(values: Values, first: Part, second: Part) -> Part:
    """Of the sum of two independent parts, with standard deviations s, t and p, q of the parts and
    S, T of the sum:

        S T gap = s t g + p q h + (s q - p t)^2 / (S T + s t + p q),

    since S T - s t - p q is the last term; nothing cancels, also where both inputs are multiples of
    each other. The same holds with 1 + rho for all three gaps."""
    (a, b, g), (c, d, h) = first, second
    s, t, p, q = (values.call("sqrt", x) for x in (a, b, c, d))
    left, right = values.add(a, c), values.add(b, d)
    own, other = values.mul(s, t), values.mul(p, q)
    whole = values.mul(values.call("sqrt", left), values.call("sqrt", right))
    across = values.call("square", values.call("sub", values.mul(s, q), values.mul(p, t)))
    rest = values.call("ratio", across, values.add(whole, own, other))
    return left, right, values.make(What.CALL, (own, g, other, h, rest, whole), "both")


@cache
def has_gap(f: Univariate) -> bool:
    """Whether a formula for the gap after the function is known."""
    one = np.ones(1)
    probe = Covariance(one, one, 0.5 * one, 0.5 * one)
    try:
        return gap_after(f, probe) is not None
    except NotExact:
        return False
