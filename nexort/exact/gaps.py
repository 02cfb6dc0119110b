"""1 - correlation without cancellation, carried through the layers.

For nearly equal inputs the correlation is near 1, and functions with kinks depend on the square
root of its distance to 1. That distance is found from differences of the data, and propagated:
through a kinked function by its own formula, through matrices unchanged, and for sums of
independent Gaussians from the parts' gaps and standard deviations.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from nexort.exact.budget import NotExact
from nexort.exact.factored import ordered
from nexort.exact.forms import Factor, Form, Gaussian, Item, gaussian
from nexort.exact.labels import Label
from nexort.exact.univariates import univariate
from nexort.exact.values import Value, Values, What
from nexort.gaussian.covariance import Covariance
from nexort.gaussian.expectation import gap_after
from nexort.gaussian.univariate import Univariate
from nexort.program.nodes import Op

if TYPE_CHECKING:
    from nexort.exact.engine import Engine


def covariance_object(engine: Engine, a: Gaussian, b: Gaussian, kinked: bool) -> Value:
    """COV of a pair, with its gap where that is known and matters."""
    parts = [engine.covariance(a, a), engine.covariance(b, b), engine.covariance(a, b)]
    if kinked:
        found = gap(engine, a, b)
        if found is not None:
            parts.append(found)
    return engine.values.make(What.COV, tuple(parts), None)


def without_cross(engine: Engine, roots: Sequence[Value]) -> list[Value]:
    """Equal values in which covariances with a gap over all their pairs consist of it and the
    variances alone: cross = s_a s_b (1 - gap)."""
    values = engine.values
    done: dict[Value, Value] = {}
    for v in ordered(roots):
        args = tuple(done[a] for a in v.args)
        if v.what is What.COV and len(args) == 4 and args[3].labels == v.labels:
            done[v] = values.make(What.COV, (args[0], args[1], args[3]), "gap")
            continue
        done[v] = v if args == v.args else values.rebuilt(v, args)
        if v in engine.origin:
            engine.origin.setdefault(done[v], engine.origin[v])
    return [done[r] for r in roots]


def gap(engine: Engine, a: Gaussian, b: Gaussian) -> Value | None:
    """1 - correlation of two entries of one Gaussian ket, or None."""
    known = engine.gaps
    if (a, b) not in known:
        known[a, b] = _gap(engine, a, b)
    return known[a, b]


def _gap(engine: Engine, a: Gaussian, b: Gaussian) -> Value | None:
    if len(a.items) != len(b.items):
        return None
    if any(x.atom.node is not y.atom.node for x, y in zip(a.items, b.items, strict=True)):
        return None
    if all(i.atom.node.op is Op.INIT_VECTOR for i in a.items):
        return _of_data(engine, a, b)
    if len(a.families) > 1:
        return _of_sum(engine, a, b)
    if len(a.items) > 1:
        return None
    x, y = a.items[0], b.items[0]
    if x.bound or y.bound or not (_positive(x.coefficient) and _positive(y.coefficient)):
        return None
    ket = x.atom.node.args[0]
    return _of_ket(engine, engine.form(ket, x.atom.at), engine.form(ket, y.atom.at))


def _of_ket(engine: Engine, x: Form, y: Form) -> Value | None:
    """1 - correlation (of the uncentred kind, <x|y> / (|x| |y|)) of two entries of one ket."""
    if x.gaussian is not None and y.gaussian is not None:
        return gap(engine, x.gaussian, y.gaussian)
    f, g = _only(x), _only(y)
    if f is None or g is None or (f.power, f.functions) != (g.power, g.functions):
        return None
    function = univariate(f.node())
    if not has_gap(function):
        return None
    inside = gap(engine, f.z, g.z)
    if inside is None:
        return None
    # the orientation of the expectations, so that they share the object
    first, second = (f.z, g.z) if f.z.key <= g.z.key else (g.z, f.z)
    pair = covariance_object(engine, first, second, kinked=True)
    return engine.values.after(pair, function)


def _only(x: Form) -> Factor | None:
    """The factor of a positive multiple of one function."""
    if x.linear.items or len(x.terms) != 1:
        return None
    term = x.terms[0]
    if len(term.factors) != 1 or term.bound or not _positive(term.coefficient):
        return None
    return term.factors[0]


def _positive(value: Value) -> bool:
    """Whether a coefficient is known to be positive."""
    if value.number is not None:
        return value.number > 0
    if value.what is not What.CALL:
        return False
    if value.attr in ("sqrt", "exp"):
        return True
    return value.attr in ("mul", "div") and all(_positive(a) for a in value.args)


def _of_data(engine: Engine, a: Gaussian, b: Gaussian) -> Value | None:
    """From the coefficients' columns themselves, where the pair is nearly equal."""
    values = engine.values
    columns: list[Value] = []
    bound: list[tuple[Label, ...]] = []
    for x, y in zip(a.items, b.items, strict=True):
        if y.atom.at != x.atom.at:
            return None
        columns += [x.coefficient, y.coefficient]
        bound.append(x.bound)
    labels = tuple(dict.fromkeys(label for part in bound for label in part))
    own = (engine.covariance(a, a), engine.covariance(b, b), engine.covariance(a, b))
    closed, names = values.close([*own, *columns], labels)
    return values.make(What.GAP, closed, tuple(tuple(names[i] for i in part) for part in bound))


def _of_sum(engine: Engine, a: Gaussian, b: Gaussian) -> Value | None:
    """Of a sum of independent Gaussians, one part after another."""
    parts = []
    for family in a.families:
        x, y = (_part(engine, z, family) for z in (a, b))
        inside = gap(engine, x, y)
        if inside is None:
            return None
        parts.append((engine.covariance(x, x), engine.covariance(y, y), inside))
    # those of earlier layers first: sums of later layers begin with the same
    parts.sort(key=lambda part: part[0].serial)
    total = parts[0]
    for part in parts[1:]:
        total = _both(engine.values, total, part)
    return total[2]


Part = tuple[Value, Value, Value]
"""Two variances and their gap."""


def _both(values: Values, first: Part, second: Part) -> Part:
    """Of the sum of two independent parts, with standard deviations s, t and p, q of the parts and
    S, T of the sum:

        S T gap = s t g + p q h + (s q - p t)^2 / (S T + s t + p q),

    since S T - s t - p q is the last term; nothing cancels, also where both inputs are multiples of
    each other."""
    (a, b, g), (c, d, h) = first, second
    s, t, p, q = (values.call("sqrt", x) for x in (a, b, c, d))
    left, right = values.add(a, c), values.add(b, d)
    own, other = values.mul(s, t), values.mul(p, q)
    whole = values.mul(values.call("sqrt", left), values.call("sqrt", right))
    across = values.call("square", values.call("sub", values.mul(s, q), values.mul(p, t)))
    rest = values.call("ratio", across, values.add(whole, own, other))
    total = values.add(values.mul(own, g), values.mul(other, h), rest)
    return left, right, values.call("ratio", total, whole)


def _part(engine: Engine, z: Gaussian, family: object) -> Gaussian:
    kept: list[Item] = [i for i in z.items if i.atom.family == family]
    return gaussian(engine.values, kept)


@cache
def has_gap(f: Univariate) -> bool:
    """Whether a formula for the gap after the function is known."""
    one = np.ones(1)
    probe = Covariance(one, one, 0.5 * one, 0.5 * one)
    try:
        return gap_after(f, probe) is not None
    except NotExact:
        return False
