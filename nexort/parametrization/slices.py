"""Two-dimensional slices of the space of parametrizations, every point classified exactly.

A coordinate is an exponent of a weight, of a family or of all weights of a part (``W.c``,
``W[2].c``, ``matrix.c``, ``readout.b``); ``r``, by the learning rates of all weights but the
readout; ``S`` = A + B, by the readout's b; or a regime: how far one is on the way from the base to
it. Where r or S is a coordinate d is kept faithful.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import lcm

import numpy as np

from nexort.parametrization.layers import Array, Layer, Table
from nexort.parametrization.theorem import VERDICTS, Conditions
from nexort.program.network import Exponents
from nexort.support.diagnostics import did_you_mean, fail

Codes = Callable[[Array, Array, int], Array]
"""The verdicts of tables (N, layers, 4) with a_out (N,), integers in units of 1/unit."""

Range = tuple[Fraction, Fraction]
REGIMES = ("mup", "ntp", "sp")


@dataclass(frozen=True, slots=True)
class Mark:
    """A parametrization by name, where it is in the slice; ``inside`` tells whether it is one of
    its points, or only has these coordinates."""

    name: str
    x: Fraction
    y: Fraction
    inside: bool


@dataclass(frozen=True)
class Slice:
    """``codes[j, k]`` is the verdict at (xs[k], ys[j]), an entry of theorem.VERDICTS."""

    x: str
    y: str
    xs: tuple[Fraction, ...]
    ys: tuple[Fraction, ...]
    codes: Array
    marks: tuple[Mark, ...]

    def verdict(self, x: Fraction, y: Fraction) -> str:
        """The verdict at a point of the grid."""
        return VERDICTS[int(self.codes[self.ys.index(y), self.xs.index(x)])]


@dataclass(frozen=True)
class SliceSpace:
    """Where slices are taken: through ``base``, with the tables of regimes by name. ``merged``:
    a_out is the same as the readouts' a, which nothing else reads."""

    base: Table
    regimes: Mapping[str, Table]
    codes: Codes
    merged: bool = True


def take_slice(
    space: SliceSpace, x: str, y: str, ranges: tuple[Range, Range], steps: int, marks: Sequence[str]
) -> Slice:
    """A slice on the grid of multiples of 1/steps in the ranges. Raises NexortError for unknown
    coordinates."""
    place = _Place(space, x, y)
    xs, ys = (_grid(r, steps) for r in ranges)
    # exponents are affine in the coordinates: exact in units of 1 / (steps * denominators)
    zero, one = Fraction(0), Fraction(1)
    corners = [_flat(place.table(u, v)) for u, v in ((zero, zero), (one, zero), (zero, one))]
    unit = steps * lcm(2, *(n.denominator for corner in corners for n in corner))
    start, right, up = (np.array([int(n * unit) for n in corner]) for corner in corners)
    u = np.tile([int(v * steps) for v in xs], len(ys))[:, None]
    v = np.repeat([int(v * steps) for v in ys], len(xs))[:, None]
    flat = start + (u * (right - start) + v * (up - start)) // steps
    tables = flat[:, 1:].reshape(len(flat), -1, 4)
    codes = space.codes(tables, flat[:, 0], unit).reshape(len(ys), len(xs))
    found = (place.mark(name) for name in marks)
    return Slice(x, y, xs, ys, codes, tuple(m for m in found if m is not None))


def _grid(r: Range, steps: int) -> tuple[Fraction, ...]:
    first, last = int(np.ceil(float(r[0] * steps))), int(np.floor(float(r[1] * steps)))
    return tuple(Fraction(k, steps) for k in range(first, last + 1))


def _flat(table: Table) -> list[Fraction]:
    """a_out, then all exponents."""
    return [table.out, *(n for e in table.exponents for n in _numbers(e))]


def _numbers(e: Exponents) -> tuple[Fraction, ...]:
    return e.a, e.b, e.c, e.d


class _Place:
    """Tables by two coordinates."""

    def __init__(self, space: SliceSpace, x: str, y: str) -> None:
        self.base = space.base
        self.regimes = {
            name: in_gauge(t, space.base, merged=space.merged) for name, t in space.regimes.items()
        }
        self.names = (x, y)
        self.chosen = [self._chosen(name) for name in self.names]
        self.follows = bool({"r", "S"} & {x, y})
        self.heads = [k for k, q in enumerate(self.base.layers) if q.part == "readout"]
        self.body = [k for k, q in enumerate(self.base.layers) if q.part != "readout"]

    def _chosen(self, name: str) -> tuple[list[int], str] | None:
        """The layers and the exponent of a coordinate; None for r, S and regimes."""
        if name in ("r", "S") or name in self.regimes:
            return None
        owner, _, exponent = name.rpartition(".")
        layers = self.base.layers
        found = [
            k
            for k, x in enumerate(layers)
            if owner in (x.name, x.part, x.name.split("[")[0]) and exponent in "abcd"
        ]
        if not found or len(exponent) != 1:
            known = ["r", "S", *self.regimes, *(f"{x.name}.{e}" for x in layers for e in "abcd")]
            hint = did_you_mean(name, known) or "r, S, ntp, sp, matrix.c, readout.b, W[2].c"
            raise fail("unknown-name", f"unknown coordinate '{name}'", help=hint)
        return found, exponent

    def table(self, x: Fraction, y: Fraction) -> Table:
        """The parametrization at a point."""
        rows = [dict(zip("abcd", _numbers(e), strict=True)) for e in self.base.exponents]
        out = self.base.out
        for name, value in zip(self.names, (x, y), strict=True):
            if name in self.regimes:
                for row, e, start in zip(
                    rows, self.regimes[name].exponents, self.base.exponents, strict=True
                ):
                    for key, end, first in zip("abcd", _numbers(e), _numbers(start), strict=True):
                        row[key] += value * (end - first)
                out += value * (self.regimes[name].out - self.base.out)
        for name, chosen, value in zip(self.names, self.chosen, (x, y), strict=True):
            if chosen is not None:
                for k in chosen[0]:
                    rows[k][chosen[1]] = value
            elif name == "S":
                for k in self.heads:
                    rows[k]["b"] = value - out - rows[k]["a"]
            elif name == "r":
                for k in self.body:
                    layer = self.base.layers[k]
                    own = 1 if layer.part == "matrix" else 0
                    rows[k]["c"] = value + own - rows[k]["a"] - layer.shift(rows[k]["b"])
        made = Table(self.base.layers, tuple(Exponents(**row) for row in rows), out)
        return _faithful(made) if self.follows else made

    def mark(self, name: str) -> Mark | None:
        """A regime's coordinates, and whether it lies in the slice."""
        found = self.regimes.get(name)
        if found is None:
            return None
        x, y = (self._coordinate(c, found) for c in self.names)
        if x is None or y is None:
            return None
        return Mark(name, x, y, _same(self.table(x, y), found))

    def _coordinate(self, coordinate: str, found: Table) -> Fraction | None:
        if coordinate in self.regimes:
            return self._along(coordinate, found)
        known = Conditions(found.layers, found.array, found.out)
        if coordinate == "S":
            return Fraction(known.total[0])
        if coordinate == "r":
            return None if known.least is None else Fraction(known.least[0])
        chosen = self.chosen[self.names.index(coordinate)]
        assert chosen is not None
        values: list[Fraction] = [getattr(found.exponents[k], chosen[1]) for k in chosen[0]]
        return min(values)

    def _along(self, coordinate: str, found: Table) -> Fraction | None:
        """How far a regime is on the way from the base to another, by least squares where two such
        ways span the slice; None where there is no such way."""
        start = _flat(self.base)
        ways = {
            name: [p - q for p, q in zip(_flat(self.regimes[name]), start, strict=True)]
            for name in self.names
            if name in self.regimes
        }
        aim = [p - q for p, q in zip(_flat(found), start, strict=True)]
        way = ways.pop(coordinate)
        for other in ways.values():
            # what the other way does not reach
            size = _dot(other, other)
            if size:
                aim, way = (
                    [p - q * _dot(v, other) / size for p, q in zip(v, other, strict=True)]
                    for v in (aim, way)
                )
        size = _dot(way, way)
        return _dot(aim, way) / size if size else None


def _faithful(table: Table) -> Table:
    """The table with the d of (2.26); that of scalars depends on the network, and stays."""
    known = Conditions(table.layers, table.array, table.out)
    rows = [
        e if layer.part == "scalar" else replace(e, d=Fraction(known.faithful(k)[0]))
        for k, (layer, e) in enumerate(zip(table.layers, table.exponents, strict=True))
    ]
    return Table(table.layers, tuple(rows), table.out)


def in_gauge(table: Table, base: Table, *, merged: bool) -> Table:
    """The same parametrization with the a of another (Prop 2.2.3), where ``merged`` with its a_out
    too."""
    rows = []
    merged = merged and any(x.part == "readout" for x in table.layers)
    for layer, e, other in zip(table.layers, table.exponents, base.exponents, strict=True):
        a = e.a
        if layer.part == "readout" and merged:
            a += table.out - base.out
        theta = other.a - a
        c = e.c + layer.shift(e.b) - theta - layer.shift(e.b - theta)
        rows.append(Exponents(other.a, e.b - theta, c, e.d + theta))
    return Table(table.layers, tuple(rows), base.out if merged else table.out)


def _dot(left: Sequence[Fraction], right: Sequence[Fraction]) -> Fraction:
    return sum((p * q for p, q in zip(left, right, strict=True)), Fraction(0))


def _same(left: Table, right: Table) -> bool:
    """Whether two tables in the same gauge are one parametrization: d may be redundant."""

    def key(layer: Layer, e: Exponents) -> tuple[Fraction, ...]:
        match layer.homogeneous:
            case 0:
                return e.a, e.b, e.c
            case 1:
                return e.a, e.b, e.c - e.d
            case _:
                return _numbers(e)

    return left.out == right.out and all(
        key(layer, e) == key(layer, f)
        for layer, e, f in zip(left.layers, left.exponents, right.exponents, strict=True)
    )
