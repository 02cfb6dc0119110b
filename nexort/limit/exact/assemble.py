"""Tapes from the steps of a plan.

There are instructions for the closed forms of the error function's and the relu's families, for
sums and products; what is made from the data directly is loaded, and numbers are vectors over rows.
Every other step leaves a plan without a tape.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nexort.gaussian import direct
from nexort.gaussian.pairs import gelu_like
from nexort.gaussian.terms import Atom, normal_form
from nexort.gaussian.univariate import Univariate
from nexort.limit.exact.bent import kind_of
from nexort.limit.exact.instructions import (
    ADD,
    ADD_COLUMN,
    ADD_ROW,
    AFTER,
    ARCSINE,
    BUMP,
    COMPLEMENT,
    GELU,
    LOAD,
    LOAD_COLUMN,
    MULTIPLY,
    MULTIPLY_COLUMN,
    MULTIPLY_ROW,
    RATIO,
    STORE,
    Instruction,
    allocate_registers,
    combine_sums,
    pair_arcsines,
)
from nexort.limit.exact.labels import Label
from nexort.limit.exact.tape import Tape, Vector
from nexort.limit.exact.values import Value, What

DIRECT = (What.SUM, What.GAP, What.MIX, What.ARRAY, What.EYE, What.STACK, What.ROOT)
"""What is found by other means, with all that it needs, and loaded."""


class _NoTape(Exception):
    """A step has no instruction."""


def tape_of(
    steps: Sequence[Value], roots: Sequence[Value], row: Label, column: Label
) -> Tape | None:
    """The tape of a plan's steps, None where one of them has no instruction."""
    try:
        return _Assembler(row, column).tape(steps, roots)
    except _NoTape:
        return None


@dataclass
class _Assembler:
    row: Label
    column: Label
    code: list[Instruction] = field(default_factory=list)
    registers: int = 0
    held: dict[Value, int] = field(default_factory=dict)
    """The register of a value's array."""
    found: dict[tuple[Any, ...], tuple[int, ...]] = field(default_factory=dict)
    """Registers of what several values are made of."""
    tables: tuple[dict[Any, Vector], dict[Any, Vector]] = field(default_factory=lambda: ({}, {}))
    limits: dict[tuple[Value, float], None] = field(default_factory=dict)
    inputs: dict[Value, int] = field(default_factory=dict)
    expectations: list[Value] = field(default_factory=list)

    def tape(self, steps: Sequence[Value], roots: Sequence[Value]) -> Tape:
        before: set[Value] = set()
        for v in reversed(steps):
            if v.what in DIRECT or v in before:
                before.update((v, *v.args))
        for v in steps:
            if v in before:
                continue
            if v.what is not What.COV:
                self.held[v] = self.step(v)
            elif self.has_gap(v):
                self.held[v] = self.gap(v)
        results = tuple(r for r in roots if r in set(steps) - before)
        if not self.expectations:
            raise _NoTape
        for k, r in enumerate(results):
            self.code.append(Instruction(STORE, (), (self.held[r],), (k,)))
        code, count = allocate_registers(combine_sums(pair_arcsines(self.code)))
        rows, columns = (tuple(t.values()) for t in self.tables)
        return Tape(code, count, tuple(self.inputs), rows, columns, results,
                    tuple(self.expectations), tuple(self.limits), frozenset(before))  # fmt: skip

    # ---- registers and vectors -------------------------------------------------------------------

    def emit(self, what: int, *registers: int, others: Sequence[int] = (), outs: int = 1) -> Any:
        """The register, or registers, of a new instruction's result."""
        key = (what, registers, tuple(others))
        if key not in self.found:
            new = tuple(range(self.registers, self.registers + outs))
            self.registers += outs
            self.code.append(Instruction(what, new, registers, tuple(others)))
            self.found[key] = new
        return self.found[key] if outs > 1 else self.found[key][0]

    def register(self, v: Value) -> int:
        """Of an array over rows and columns."""
        if v not in self.held:
            if v.labels != (self.row, self.column):
                raise _NoTape
            place = self.inputs.setdefault(v, len(self.inputs))
            self.held[v] = self.emit(LOAD, others=(place,))
        return self.held[v]

    def vector(self, v: Value | float, side: int, *kind: Any, find: Any = None) -> int:
        """The place among the vectors over rows (side 0) or columns (1) of a value's array, or of
        ``find`` of it, which ``kind`` tells from others."""
        label = (self.row, self.column)[side]
        if isinstance(v, Value) and v.labels not in ((), (label,)):
            raise _NoTape

        def read(known: Mapping[Value, Any]) -> Any:
            x = known[v] if isinstance(v, Value) else v
            return x if find is None else find(np.asarray(x, float))

        table = self.tables[side]
        table.setdefault((v, *kind), read)
        return list(table).index((v, *kind))

    def number(self, x: float) -> int:
        """The place of a number, up to roundings of it, among the vectors over rows."""
        for k, (known, *_) in enumerate(self.tables[0]):
            if isinstance(known, float) and math.isclose(known, x, rel_tol=4e-16):
                return k
        return self.vector(float(x), 0)

    def times(self, register: int, x: float) -> int:
        """A multiple."""
        if x == 1:
            return register
        return int(self.emit(MULTIPLY_ROW, register, others=(self.number(x),)))

    # ---- values ----------------------------------------------------------------------------------

    def step(self, v: Value) -> int:
        """The register of a value."""
        if v.labels != (self.row, self.column):
            raise _NoTape
        match v.what:
            case What.CALL:
                return self.call(v)
            case What.PAIR:
                self.expectations.append(v)
                return self.pair(v)
            case What.CORRELATION:
                self.expectations.append(v)
                return self.scaled(v.args[0], v.attr)
            case What.AFTER:
                return self.after(v.args[0], v.attr)
            case _:
                raise _NoTape

    def call(self, v: Value) -> int:
        if v.attr == "complement":
            return int(self.emit(COMPLEMENT, self.register(v.args[0])))
        if v.attr == "square":
            x = self.register(v.args[0])
            return int(self.emit(MULTIPLY, x, x))
        if v.attr == "ratio":
            return int(self.emit(RATIO, *map(self.register, v.args)))
        if v.attr == "both":
            return self.both(*v.args)
        if v.attr not in ("add", "mul"):
            raise _NoTape
        both, by_row, by_column = (
            (MULTIPLY, MULTIPLY_ROW, MULTIPLY_COLUMN)
            if v.attr == "mul"
            else (ADD, ADD_ROW, ADD_COLUMN)
        )
        wide = [a for a in v.args if len(a.labels) == 2]
        over = [[a for a in v.args if a.labels == (x,)] for x in (self.row, self.column)]
        over[0] += [a for a in v.args if not a.labels]
        if wide:
            total = self.register(wide.pop())
        else:
            total = self.emit(LOAD_COLUMN, others=(self.vector(over[1].pop(), 1),))
        for what, side in ((by_row, 0), (by_column, 1)):
            for a in over[side]:
                total = self.emit(what, total, others=(self.vector(a, side),))
        for a in wide:
            total = self.emit(both, total, self.register(a))
        return total

    def both(self, own: Value, g: Value, other: Value, h: Value, rest: Value, whole: Value) -> int:
        """(own g + other h + rest) / whole, of gaps that are not near to opposite."""
        terms = [self.product(own, g), self.product(other, h), self.spread(rest)]
        total, *more = (t for t in terms if t is not None)
        for part in more:
            total = self.emit(ADD, total, part)
        return int(self.emit(RATIO, total, self.spread(whole)))

    def product(self, x: Value, y: Value) -> int | None:
        """The register of a product; None of 0."""
        if y.number is not None:
            return self.times(self.spread(x), y.number) if y.number else None
        return int(self.emit(MULTIPLY, self.spread(x), self.spread(y)))

    def spread(self, v: Value) -> int:
        """The register of a value, also of one that is the same along rows or columns."""
        if v.labels == (self.row, self.column):
            return self.register(v)
        ones = self.emit(LOAD_COLUMN, others=(self.vector(1.0, 1),))
        side = int(v.labels == (self.column,))
        what = MULTIPLY_COLUMN if side else MULTIPLY_ROW
        return int(self.emit(what, ones, others=(self.vector(v, side),)))

    def pair(self, v: Value) -> int:
        (f, g), covariance = v.attr, v.args[0]
        if self.has_gap(covariance):
            if f != g:
                raise _NoTape
            return self.kinked(covariance, f)
        if covariance.attr is not None or len(covariance.args) != 3:
            raise _NoTape
        multiple = gelu_like(f, g)
        if multiple is not None:
            return self.gelu(covariance, *multiple)
        first, second = normal_form(f.node), normal_form(g.node)
        rate = direct.rate_of(first, second)
        if rate is None:
            raise _NoTape
        self.limit(covariance, rate)
        total, *parts = (
            self.atoms(covariance, a, b, c * d) for a, c in first.items() for b, d in second.items()
        )
        for part in parts:
            total = self.emit(ADD, total, part)
        return total

    def limit(self, covariance: Value, rate: float) -> None:
        for variance in covariance.args[:2]:
            self.limits[variance, rate] = None

    def atoms(self, covariance: Value, a: Atom, b: Atom, factor: float) -> int:
        """``factor`` E a(z_a) b(z_b) of two error functions, or of two bumps."""
        left, right, cross = covariance.args
        if a.tilt:
            x, y = a.tilt, b.tilt
            what, factor = BUMP, factor / math.sqrt(x * y)
        else:
            x, y = 2 * a.edge * a.edge, 2 * b.edge * b.edge
            what, factor = ARCSINE, factor * math.copysign(2 / math.pi, a.edge * b.edge)
        places = [
            self.vector(v, side, "reduced", t, find=lambda s, t=t: np.sqrt(t / (1 + t * s)))
            for side, (v, t) in enumerate(((left, x), (right, y)))
        ]
        return int(self.emit(what, self.register(cross), others=(*places, self.number(factor))))

    def gelu(self, covariance: Value, slope: bool, factor: float, scale: float) -> int:
        """E f f of f(z) = factor h(scale z), h gelu or its slope."""
        left, right, cross = covariance.args
        square = scale * scale
        self.limit(covariance, square)
        tables = []
        for side, v in enumerate((left, right)):
            tables.append(self.vector(v, side, "scaled", square, find=lambda s: square * s))
            root = self.vector(v, side, "root", square, find=lambda s: 1 / np.sqrt(1 + square * s))
            tables.append(root)
        inner = self.times(self.register(cross), square)
        found = self.emit(GELU, inner, others=tables, outs=2)
        return self.times(found[slope], factor * factor)

    # ---- the relu's family: gaps -----------------------------------------------------------------

    def has_gap(self, covariance: Value) -> bool:
        attr = covariance.attr
        return attr is not None or (
            len(covariance.args) == 4 and len(covariance.args[3].labels) == 2
        )

    def gap(self, covariance: Value) -> int:
        """The register of 1 - rho."""
        if covariance in self.held:
            return self.held[covariance]
        attr, args = covariance.attr, covariance.args
        if isinstance(attr, tuple):
            return self.after(args[2], attr[1])
        if attr is not None:
            return self.register(args[2])
        if not self.has_gap(covariance):
            raise _NoTape
        return self.register(args[3])

    def kinked(self, covariance: Value, f: Univariate) -> int:
        """E f f of f = u z + v |z| or u + v sign(z)."""
        total = self.scaled(covariance, f)
        name, u, v = self.kind(f)
        square = u * u + v * v
        if name == "signs":
            return self.times(total, square)
        left, right = covariance.args[:2]
        scale = self.vector(left, 0, "std", square, find=lambda s: square * np.sqrt(s))
        total = self.emit(MULTIPLY_ROW, total, others=(scale,))
        scale = self.vector(right, 1, "std", find=np.sqrt)
        return int(self.emit(MULTIPLY_COLUMN, total, others=(scale,)))

    def scaled(self, covariance: Value, f: Univariate) -> int:
        """The same over u^2 + v^2, and over the standard deviations where f has them."""
        name, u, v = self.kind(f)
        if name == "straight":
            return int(self.emit(COMPLEMENT, self.after(covariance, f)))
        return int(self.bent(covariance, v * v / (u * u + v * v))[1])

    def kind(self, f: Univariate) -> tuple[str, float, float]:
        """What ``kind_of`` says."""
        found = kind_of(f)
        if found is None:
            raise _NoTape
        return found

    def after(self, covariance: Value, f: Univariate) -> int:
        """The register of the gap after f = u z + v |z|."""
        name, u, v = self.kind(f)
        if name != "straight":
            raise _NoTape
        if not v:
            return self.gap(covariance)
        return int(self.bent(covariance, v * v / (u * u + v * v))[0])

    def bent(self, covariance: Value, part: float) -> Any:
        """The registers of the gap after a function with that part v^2 / (u^2 + v^2), and of
        1 - (2 / pi) part theta."""
        share = self.number(2 / math.pi * part)
        return self.emit(AFTER, self.gap(covariance), others=(share,), outs=2)
