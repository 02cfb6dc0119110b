"""Gaps of combinations of initial vectors, from their coefficients of independent Gaussians.

A combination is sum_i c_i u_at(i) over the labels that its items bind; of the entry j of the
initial vector u it has the coefficient

    x_j = sum_i c_i [at(i) = j],

and covariances are scalar products of these.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from nexort.limit.exact.forms import Gaussian, Item
from nexort.limit.exact.labels import ITEM, Index, Label
from nexort.limit.exact.meanings import Meanings
from nexort.limit.exact.values import Value, What
from nexort.program.nodes import Node


def combination_gap(engine: Meanings, a: Gaussian, b: Gaussian) -> Value:
    """The GAP of two combinations; its columns are theirs up to positive factors."""
    columns: list[Value] = []
    bound: list[tuple[Label, ...]] = []
    for node in dict.fromkeys(i.atom.node for z in (a, b) for i in z.items):
        x, y = ([i for i in z.items if i.atom.node is node] for z in (a, b))
        entries = _entries(node, [*x, *y])
        columns += [_coefficient(engine, items, entries) for items in (x, y)]
        bound.append(tuple(e for e in entries if e is not None))
    columns = _unscaled(engine, columns)
    labels = tuple(dict.fromkeys(label for part in bound for label in part))
    own = (engine.covariance(a, a), engine.covariance(b, b), engine.covariance(a, b))
    closed, names = engine.values.close([*own, *columns], labels)
    parts = tuple(tuple(names[i] for i in part) for part in bound)
    return engine.values.make(What.GAP, closed, parts)


def _unscaled(engine: Meanings, columns: list[Value]) -> list[Value]:
    """Without what multiplies all coefficients, since products are rounded: numbers, and scalars of
    both combinations."""
    values = engine.values
    factors = [list(c.args) if c.what is What.CALL and c.attr == "mul" else [c] for c in columns]
    shared = [f for f in factors[0] if not f.labels and all(f in other for other in factors)]
    for f in shared:
        for own in factors:
            own.remove(f)
    for side in (factors[::2], factors[1::2]):
        numbers = [math.prod(f.number for f in own if f.number is not None) for own in side]
        if len({abs(n) for n in numbers}) == 1 and numbers[0]:
            for own, n in zip(side, numbers, strict=True):
                own[:] = [f for f in own if f.number is None]
                own.append(values.number(math.copysign(1.0, n)))
    return [values.mul(*own) for own in factors]


def _entries(node: Node, items: Sequence[Item]) -> list[Label | None]:
    """A label for each axis of an initial vector, None where all items have the same place."""
    found: list[Label | None] = []
    for k, axis in enumerate(node.type.axes):
        places = {i.atom.at[k] for i in items}
        fixed = len(places) == 1 and not any(_is_bound(x) for x in places)
        found.append(None if fixed else Label(ITEM, len(node.type.axes) + k, axis.name))
    return found


def _is_bound(index: Index) -> bool:
    return isinstance(index, Label) and index.scope == ITEM


def _coefficient(engine: Meanings, items: Sequence[Item], entries: Sequence[Label | None]) -> Value:
    """x_j of the items of one initial vector, at the entry j = ``entries``."""
    values = engine.values
    total = values.zero
    for item in items:
        weight, at = item.coefficient, item.atom.at
        known: dict[Label, Index] = {}
        for i, entry in zip(at, entries, strict=True):
            if entry is None:
                continue
            if isinstance(i, Label) and _is_bound(i) and i not in known:
                known[i] = entry
            else:
                weight = values.mul(weight, values.eye(known.get(i, i), entry))  # type: ignore[arg-type]
        total = values.add(total, values.relabel(weight, known))
    return total
