"""The smallest repair of a parametrization: which exponents to change, and by how much, for it to
be stable, faithful and nontrivial (nexort.parametrization.theorem).

Smallest is first in how many exponents change, then in the sum of their changes. The layers are
tied only by S = A + B of the readout and by R, the least that r may be: given both, every layer is
repaired for itself, by moving exponents to where its own conditions meet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from nexort.parametrization.layers import HALF, Layer, Table
from nexort.parametrization.theorem import table_verdict
from nexort.program.network import Exponents

GOOD = ("feature learning", "operator regime")


@dataclass(frozen=True, slots=True)
class Change:
    """One exponent of one layer and its new value; a_out is that of no layer, ''."""

    layer: str
    exponent: str
    old: Fraction
    new: Fraction

    @property
    def by(self) -> Fraction:
        """How much it changes."""
        return self.new - self.old


@dataclass(frozen=True, slots=True)
class Repair:
    """Changes, and the table after them."""

    changes: tuple[Change, ...]
    table: Table


Cost = tuple[int, Fraction]
Option = tuple[Cost, Exponents]


def repair(table: Table) -> Repair | None:
    """The smallest repair; None where the table needs none, or has none with its a_out."""
    if table_verdict(table) in GOOD:
        return None
    best: tuple[Cost, tuple[Exponents, ...]] | None = None
    for found in _candidates(table):
        cost = (
            sum(x[0][0] for x in found),
            sum((x[0][1] for x in found), Fraction(0)),
        )
        if best is None or cost < best[0]:
            best = cost, tuple(x[1] for x in found)
    if best is None:
        return None
    repaired = Table(table.layers, best[1], table.out)
    return Repair(changes(table, repaired), repaired)


def changes(old: Table, new: Table) -> tuple[Change, ...]:
    """What differs between two tables of the same layers."""
    found = [
        Change(layer.name, name, getattr(before, name), getattr(after, name))
        for layer, before, after in zip(old.layers, old.exponents, new.exponents, strict=True)
        for name in "abcd"
        if getattr(before, name) != getattr(after, name)
    ]
    if old.out != new.out:
        found.append(Change("", "a_out", old.out, new.out))
    return tuple(found)


def _candidates(table: Table) -> Iterator[list[Option]]:
    """Tables that are good, among them the nearest: one option a layer."""
    heads = [k for k, x in enumerate(table.layers) if x.part == "readout"]
    for total in _totals(table, heads):
        least = max(Fraction(0), 1 - total)
        layers = list(enumerate(zip(table.layers, table.exponents, strict=True)))
        free = {k: _body(x, e, total, least, tight=False) for k, (x, e) in layers if k not in heads}
        tight = {k: _body(x, e, total, least, tight=True) for k, (x, e) in layers if k not in heads}
        if None in free.values():
            continue
        for first in heads or [-1]:
            # the readout whose size is S, and what moves the output: a readout, or a layer at R
            ends = {k: _heads(table, k, total, exact=k == first) for k in heads}
            for mover in range(len(table.layers)):
                chosen: list[Option | None] = []
                for k, _ in layers:
                    if k in heads:
                        chosen.append(ends[k][k == mover])
                    else:
                        chosen.append(tight[k] if k == mover else free[k])
                if (mover in heads or total <= 1) and None not in chosen:
                    yield [x for x in chosen if x is not None]


def _totals(table: Table, heads: list[int]) -> list[Fraction]:
    """Values of S where conditions meet."""
    if not heads:
        return [table.out]
    found = {HALF, Fraction(1)}
    for k in heads:
        e = table.exponents[k]
        found |= {table.out + e.a + e.b, e.d + e.b, 1 - e.c + e.b}
    for k, (layer, e) in enumerate(zip(table.layers, table.exponents, strict=True)):
        if k in heads:
            continue
        low = 1 if layer.part == "scalar" else 0
        for a in {e.a, _wanted(layer) - e.b}:
            found.add(e.d - a + low)
            rate = a + e.c + layer.shift(e.b) - _own(layer)
            found.add(1 - rate)
            found.add((1 - rate + e.d - a) / 2)
    return sorted(x for x in found if x >= HALF)


def _wanted(layer: Layer) -> Fraction:
    """a + b of a body's layer."""
    return HALF if layer.part == "matrix" else Fraction(0)


def _own(layer: Layer) -> int:
    """What r has less than a + c."""
    return 1 if layer.part in ("matrix", "readout") else 0


def _body(
    layer: Layer, e: Exponents, total: Fraction, least: Fraction, *, tight: bool
) -> Option | None:
    """The nearest exponents with a + b as wanted, d faithful and r >= R, or r = R."""
    low = 1 if layer.part == "scalar" else 0
    target = least + _own(layer)
    found = {e.a, e.d - total + low, target - e.c - layer.shift(e.b)}
    found.add((target - e.c - layer.shift(e.b) + e.d - total + low) / 2)
    if layer.part != "scalar":
        found.add(_wanted(layer) - e.b)
    options: list[Option] = []
    for a in found:
        b = e.b if layer.part == "scalar" else _wanted(layer) - a
        d = a + total - low
        options += _rated(layer, e, (a, b, d), target, tight=tight)
    return min(options, key=lambda x: x[0], default=None)


def _rated(
    layer: Layer,
    e: Exponents,
    others: tuple[Fraction, Fraction, Fraction],
    target: Fraction,
    *,
    tight: bool,
) -> Iterator[Option]:
    """c kept, or set to the target."""
    a, b, faithful = others
    d = faithful if layer.homogeneous is None else e.d
    extra = a + layer.shift(b) + (faithful - d if layer.homogeneous == 1 else 0)
    for c in {e.c, target - extra}:
        value = c + extra
        if value == target or (value > target and not tight):
            yield _option(e, Exponents(a, b, c, d))


def _heads(
    table: Table, k: int, total: Fraction, *, exact: bool
) -> tuple[Option | None, Option | None]:
    """The nearest exponents of a readout with A + B >= S (= S), that do not move the output, or
    may, and those that do."""
    layer, e = table.layers[k], table.exponents[k]
    options: tuple[list[Option], list[Option]] = ([], [])
    for new in _readouts(table, k, total):
        rate = new.c + layer.shift(new.b)
        if layer.homogeneous == 1:
            rate += table.out + new.a - new.d
        whole = table.out + new.a
        size = whole + new.b
        if (size != total if exact else size < total) or whole + rate < 1 or new.b > rate:
            continue
        options[0].append(_option(e, new))
        if whole + rate == 1:
            options[1].append(_option(e, new))
    free, moving = (min(x, key=lambda y: y[0], default=None) for x in options)
    return free, moving


def _readouts(table: Table, k: int, total: Fraction) -> Iterator[Exponents]:
    """Exponents of a readout where its conditions meet."""
    layer, e, out = table.layers[k], table.exponents[k], table.out
    ones = {e.a, e.d - out, total - out - e.b}
    ones.add(1 - out - e.c - layer.shift(e.b))
    ones.add((1 - e.c - layer.shift(e.b) + e.d) / 2 - out)
    for a in ones:
        faithful = out + a
        d = faithful if layer.homogeneous is None else e.d
        redundant = faithful - d if layer.homogeneous == 1 else Fraction(0)
        for b in {e.b, total - out - a}:
            shift = layer.shift(b) + redundant
            for c in {e.c, 1 - faithful - shift, b - shift}:
                yield Exponents(a, b, c, d)
                yield from _lowered(e, Exponents(a, b, c, d), layer, redundant)


def _lowered(
    e: Exponents, new: Exponents, layer: Layer, redundant: Fraction
) -> Iterable[Exponents]:
    """b = c, where b may be below it."""
    if layer.normalization not in ("weight", "trust"):
        yield Exponents(new.a, new.c + layer.shift(Fraction(0)) + redundant, new.c, new.d)


def _option(old: Exponents, new: Exponents) -> Option:
    moves = [abs(getattr(new, x) - getattr(old, x)) for x in "abcd"]
    return (sum(m != 0 for m in moves), sum(moves, Fraction(0))), new
