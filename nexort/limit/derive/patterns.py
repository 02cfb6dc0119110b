"""Unknowns of the recursion up to the names of their indices: what an equation is derived for.

A bra-ket whose indices differ by numbers, <x[l]|y[l-1]>, is a pattern with an offset; others have
both indices free. An average or a response has free indices.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from nexort.limit.derive.algebra import BoundNames, index_at
from nexort.limit.derive.derivation import IndexRange
from nexort.limit.derive.formula import Average, Bracket, Formula, Indices, Ket, Response
from nexort.limit.derive.lines import Line, System
from nexort.program.index import Affine

Offset = tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class UnknownPattern:
    """``kind`` 'bracket', 'average' or 'response'; ``offset`` is right minus left, None if free."""

    kind: str
    left: str
    right: str = ""
    offset: Offset = None


def pattern_of(unknown: Formula) -> UnknownPattern | None:
    """The pattern of an unknown."""
    match unknown:
        case Bracket(left, right):
            return UnknownPattern(
                "bracket", left.name, right.name, _offset(left.indices, right.indices)
            )
        case Average(ket):
            return UnknownPattern("average", ket.name)
        case Response(ket, by):
            return UnknownPattern("response", ket.name, by.name, _offset(ket.indices, by.indices))
        case _:
            return None


def _offset(left: Indices, right: Indices) -> Offset:
    if len(left) != len(right):
        return None
    gaps = [r - x for x, r in zip(left, right, strict=True)]
    return None if any(g.terms for g in gaps) else tuple(g.constant for g in gaps)


@dataclass(frozen=True, slots=True)
class CaseSide:
    """One side of a case: a rule (None for an initial vector) and the index it is taken at."""

    line: Line | None
    ket: Ket
    ranges: tuple[IndexRange, ...]


def members(system: System, name: str, side: str, names: BoundNames) -> list[CaseSide]:
    """Every rule of a family as a side of a bra-ket, with labels and variables of its own."""
    labels = tuple(Affine.variable(f"${side}{k}") for k in range(len(system.axes[name])))
    if name in system.initial:
        ranges = tuple(
            IndexRange(names.fresh("l"), r.first, r.last) for r in system.initial_ranges[name]
        )
        indices = tuple(Affine.variable(r.var) for r in ranges)
        return [CaseSide(None, Ket(name, indices, labels), ranges)]
    found = []
    for line in system.kets[name]:
        env = {r.var: Affine.variable(names.fresh(r.var)) for r in line.ranges}
        ranges = tuple(
            IndexRange(env[r.var].terms[0][0], index_at(r.first, env), index_at(r.last, env))
            for r in line.ranges
        )
        indices = tuple(index_at(i, env) for i in line.indices)
        found.append(CaseSide(line, Ket(name, indices, labels), ranges))
    return found


def align_sides(
    left: CaseSide, right: CaseSide, offset: tuple[int, ...]
) -> tuple[CaseSide, CaseSide] | None:
    """Two sides where the right's index is the left's plus the offset; None if that is never so.

    Raises Undecided where the ends of ranges do not tell.
    """
    if len(left.ket.indices) != len(offset):
        return left, right
    env: dict[str, Affine] = {}
    ranges_left = {r.var: r for r in left.ranges}
    ranges_right = {r.var: r for r in right.ranges}
    for i, j, gap in zip(left.ket.indices, right.ket.indices, offset, strict=True):
        target = i + Affine(gap)
        a = next((r for r in ranges_left.values() if i == Affine.variable(r.var)), None)
        b = next((r for r in ranges_right.values() if j == Affine.variable(r.var)), None)
        if b is not None:
            env[b.var] = target
            first, last = b.first - Affine(gap), b.last - Affine(gap)
            if a is None:
                if not (_within(i, first, last)):
                    return None
            else:
                cut = _cut(a, first, last)
                if cut is None:
                    return None
                ranges_left[a.var] = cut
        elif a is not None:
            value = j - Affine(gap)
            if not _within(value, a.first, a.last):
                return None
            ranges_left.pop(a.var)
            back = {a.var: value}
            left = replace(left, ket=_at(left.ket, back))
        elif (j - target).terms:
            raise Undecided
        elif (j - target).constant:
            return None
    ket = _at(right.ket, env)
    if any(r.var not in env for r in right.ranges):
        raise Undecided
    kept = tuple(ranges_left.values())
    return replace(left, ranges=kept), replace(right, ket=ket, ranges=())


class Undecided(Exception):
    """Whether two rules meet depends on numbers."""


def _at(ket: Ket, env: dict[str, Affine]) -> Ket:
    return replace(ket, indices=tuple(index_at(i, env) for i in ket.indices))


def _compare(a: Affine, b: Affine) -> bool:
    """Whether a <= b; Undecided where it depends on numbers."""
    gap = b - a
    if gap.terms:
        raise Undecided
    return gap.constant >= 0


def _within(value: Affine, first: Affine, last: Affine) -> bool:
    """Whether a value lies in a range that is not empty: beyond one end is enough for not."""
    verdicts: list[bool | None] = []
    for a, b in ((first, value), (value, last)):
        try:
            verdicts.append(_compare(a, b))
        except Undecided:
            verdicts.append(None)
    if False in verdicts:
        return False
    if None in verdicts:
        raise Undecided
    return True


def _cut(mine: IndexRange, first: Affine, last: Affine) -> IndexRange | None:
    low = first if _compare(mine.first, first) else mine.first
    high = mine.last if _compare(mine.last, last) else last
    gap = high - low
    if not gap.terms and gap.constant < 0:
        return None
    return IndexRange(mine.var, low, high)
