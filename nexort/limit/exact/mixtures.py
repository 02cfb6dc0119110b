"""Gaps of sums over the kets that one matrix is applied to: W contracted with data.

With unit kets x_i = |x_i> / |x_i|, gaps g_ij between them, v = sum_i w_i x_i and u = sum_j u_j y_j,

    |v / s - u / t|^2 = (sum w / s - sum u / t)^2 - Q_vv / s^2 - Q_uu / t^2 + 2 Q_vu / (s t),

Q_vu = sum_ij w_i u_j g_ij; |v / s + u / t|^2 is that of v and -u. Where all kets are nearly equal
each term is as small as the result; kets that are nearly opposite are turned first.
"""

from __future__ import annotations

from collections.abc import Callable

from nexort.limit.exact.forms import GaussianEntry, Item, relabelled_item
from nexort.limit.exact.labels import ITEM, Label
from nexort.limit.exact.meanings import Meanings
from nexort.limit.exact.values import Value, What

OfAtoms = Callable[[Meanings, GaussianEntry, GaussianEntry], Value | None]


def mixture_gap(
    engine: Meanings, variances: tuple[Value, Value, Value], a: Item, b: Item, of_atoms: OfAtoms
) -> Value | None:
    """The gap of two sums over one matrix's kets, None where those of the kets are not known;
    ``of_atoms`` has those of the kets under two hats."""
    values = engine.values
    other = relabelled_item(values, a, _moved(a)), relabelled_item(values, b, _moved(b))
    gaps = []
    for x, y in ((a, other[0]), (a, other[1]), (b, other[1])):
        found = of_atoms(engine, x.atom, y.atom)
        if found is None:
            return None
        gaps.append(found)
    weights = [_weight(engine, a), _weight(engine, other[1])]
    bound = (a.bound, other[1].bound, other[0].bound, b.bound)
    labels = tuple(dict.fromkeys(label for part in bound for label in part))
    closed, names = values.close([*variances, *weights, *gaps], labels)
    places = tuple(tuple(names[x] for x in part) for part in bound)
    return values.make(What.MIX, closed, places)


def _moved(item: Item) -> dict[Label, Label]:
    first = len(item.atom.at)
    return {x: Label(ITEM, first + x.place, x.axis) for x in item.bound}


def _weight(engine: Meanings, item: Item) -> Value:
    """The coefficient of the unit ket."""
    values = engine.values
    return values.mul(item.coefficient, values.call("sqrt", engine.atoms(item.atom, item.atom)))
