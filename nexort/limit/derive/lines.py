"""The program as lines of formulas: what the derivation reads.

A line is one rule of a family, its index either the line's own variable or a fixed expression:
``|dh[l-1]> = ...`` for l in L..2 is ``|dh[l]> = ...`` for l = 1..L-1. An initial matrix acts only
as a whole line, ``|h[l]> = W[l] |x[l-1]>``; parts of rules that do so get names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from nexort.limit.derive.algebra import Env, index_at, reindex
from nexort.limit.derive.derivation import AxisLabel, IndexRange, UpdateFunction
from nexort.limit.derive.formula import ONE, Formula, Indices, Ket, Matrix
from nexort.program.index import Affine
from nexort.support.diagnostics import Span


@dataclass(frozen=True, slots=True)
class Acting:
    """An application A |x> of an operator of a family that follows a recurrence: the member as a
    Matrix, the ket it acts on, and W |x>, W the initial matrix of the family."""

    matrix: Matrix
    argument: Ket
    initial: Ket


@dataclass(frozen=True, slots=True)
class Line:
    """``name[indices]_labels = value``; with a ``matrix`` it is ``scale W |argument>``, where
    scale^2 / n is the variance of the matrix, and ``value`` the Formula of the argument. With
    ``acting`` the value is what that application comes to."""

    name: str
    indices: Indices
    ranges: tuple[IndexRange, ...]
    labels: tuple[AxisLabel, ...]
    value: Formula
    span: Span
    matrix: Matrix | None = None
    scale: Formula = ONE
    auxiliary: bool = False
    acting: Acting | None = None

    @property
    def axes(self) -> Indices:
        """The labels as indices."""
        return tuple(Affine.variable(x.label) for x in self.labels)

    @property
    def ket(self) -> Ket:
        """The left side."""
        return Ket(self.name, self.indices, self.axes)

    def env(self, indices: Indices, axes: Indices) -> Env:
        """What the variables and labels are at a member."""
        env = {x.label: a for x, a in zip(self.labels, axes, strict=True)}
        for own, given in zip(self.indices, indices, strict=True):
            if any(own == Affine.variable(r.var) for r in self.ranges):
                env[own.terms[0][0]] = given
        return env

    def at(self, indices: Indices, axes: Indices) -> Formula:
        """The value of a member."""
        return reindex(self.value, self.env(indices, axes))


Covariance = Callable[[Ket, Ket], Formula]


@dataclass
class System:
    """All lines, by family; ``initial`` has the covariance of each group of initial vectors."""

    kets: dict[str, list[Line]] = field(default_factory=dict)
    scalars: dict[str, list[Line]] = field(default_factory=dict)
    initial: dict[str, Covariance] = field(default_factory=dict)
    axes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of the axes of every ket family, the initial ones too."""
    initial_ranges: dict[str, tuple[IndexRange, ...]] = field(default_factory=dict)
    outputs: dict[str, Formula] = field(default_factory=dict)
    """Outputs that are not families, at the labels $0, $1, ..."""
    given: dict[str, Formula] = field(default_factory=dict)
    """The same as the program writes them, by bra-kets and averages of kets."""
    updates: Mapping[tuple[object, ...], UpdateFunction] = field(default_factory=dict)
    """The update functions that are in lines."""
    operators: dict[str, list[Line]] = field(default_factory=dict)
    """Rules of operators that were asked for, of which the values are sums of Operators, Outers
    and update functions of these."""
    groups: dict[str, str] = field(default_factory=dict)
    """The group of every vector that is declared jointly with others, ``(x, y)``."""

    def group(self, name: str) -> str:
        """What a family of initial vectors is dependent with: its group, or itself alone."""
        return self.groups.get(name, name)

    def applications(self) -> list[Line]:
        """The lines in which a matrix acts."""
        return [x for lines in self.kets.values() for x in lines if x.matrix is not None]


# ---- what is known of indices --------------------------------------------------------------------


def least(value: Affine, ranges: tuple[IndexRange, ...]) -> Affine:
    """The smallest value over the ranges (inner ones first: their ends may use outer ones)."""
    return _extreme(value, ranges, lower=True)


def largest(value: Affine, ranges: tuple[IndexRange, ...]) -> Affine:
    """The largest value over the ranges."""
    return _extreme(value, ranges, lower=False)


def _extreme(value: Affine, ranges: tuple[IndexRange, ...], lower: bool) -> Affine:
    for r in reversed(ranges):
        coefficient = dict(value.terms).get(r.var, 0)
        if coefficient:
            end = r.first if (coefficient > 0) == lower else r.last
            value = value - Affine(0, ((r.var, coefficient),)) + end.scaled(coefficient)
    return value


def surely_at_most(low: Affine, high: Affine, ranges: tuple[IndexRange, ...]) -> bool:
    """Whether low <= high for all values of the ranges, as far as their ends tell."""
    gap = least(high - low, ranges)
    return not gap.terms and gap.constant >= 0


def covers(line: Line, indices: Indices, ranges: tuple[IndexRange, ...]) -> bool:
    """Whether a line surely defines a member at these indices."""
    env = line.env(indices, line.axes)
    for own, given in zip(line.indices, indices, strict=True):
        mine = next((r for r in line.ranges if own == Affine.variable(r.var)), None)
        if mine is None:
            if own != given:
                return False
            continue
        first, last = index_at(mine.first, env), index_at(mine.last, env)
        if not (surely_at_most(first, given, ranges) and surely_at_most(given, last, ranges)):
            return False
    return True
