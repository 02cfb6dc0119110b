"""Which hats and initial vectors a ket is a function of, with bounds on their indices.

For every family, each root (an initial vector, or the hats of an application) has bounds on the
difference of each of its indices and each of the family's: |x[t]> depends on the hats of W |x[t-1]>
of t, t - 1, ..., and no later one. Scalars are numbers and cut the dependence; so do iid copies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass, replace
from functools import lru_cache
from math import inf

from nexort.limit.derive.algebra import index_at
from nexort.limit.derive.derivation import IndexRange
from nexort.limit.derive.formula import (
    AxisSum,
    CopyMean,
    Expectation,
    Fold,
    Formula,
    GaussianMean,
    GaussianPair,
    Indices,
    Ket,
    LoopSum,
)
from nexort.limit.derive.lines import Line, System, largest, least, surely_at_most
from nexort.limit.derive.walking import is_random, parts
from nexort.program.index import Affine

Interval = tuple[float, float]
ANY = (-inf, inf)

Offsets = tuple[tuple[Interval, ...], ...]
"""For each index of a root and each of a family, the lowest and highest difference of the two."""

Root = tuple[str, str]
"""('vector', name) or ('hat', family)."""


@dataclass(frozen=True, slots=True)
class DotSource:
    """An application ``W^T |y>`` that gives a dot of an application of W: the line, its index
    (solved from the matrix where it can be), loops over what is left of it, and a condition.
    ``depends`` bounds its index by that of the ket which W is applied to: ends of loops cannot say
    min(t, T - 1)."""

    line: Line
    indices: Indices
    loops: tuple[IndexRange, ...]
    condition: tuple[tuple[Affine, Affine], ...] = ()
    depends: Offsets = ()


def steady_sources(now: Iterable[DotSource], before: Iterable[DotSource]) -> list[DotSource]:
    """Sources without the bounds that moved since they were found before."""
    known = {s.line.name: s.depends for s in before}
    return [
        replace(s, depends=_each(_widened, last, _each(_hull, last, s.depends)))
        if len(last := known.get(s.line.name, s.depends)) == len(s.depends)
        else replace(s, depends=())
        for s in now
    ]


def uses(
    formula: Formula, ranges: tuple[IndexRange, ...] = ()
) -> Iterator[tuple[Ket, tuple[IndexRange, ...]]]:
    """The kets that a formula is a function of, with the loops around them."""
    match formula:
        case Ket():
            if formula.copy == 0:
                yield formula, ranges
        case Expectation() | GaussianPair() | GaussianMean():
            return
        case LoopSum(var, first, last, body):
            yield from uses(body, (*ranges, IndexRange(var, first, last)))
        case Fold(_, var, last, body):
            yield from uses(body, (*ranges, IndexRange(var, Affine(), last)))
        case AxisSum() | CopyMean():
            yield from uses(formula.body, ranges)
        case _:
            for part in parts(formula):
                if is_random(part):
                    yield from uses(part, ranges)


def _edges(line: Line, sources: Iterable[DotSource]) -> Iterator[tuple[Line, str, Offsets]]:
    """The families that a line reads, and at which offsets; of an application those of its dot."""
    if line.matrix is None:
        for ket, loops in uses(line.value):
            yield line, ket.name, offsets(line.indices, ket.indices, line.ranges + loops)
        return
    assert isinstance(line.value, Ket)
    near = offsets(line.indices, line.value.indices, line.ranges)
    for source in sources:
        argument = source.line.value
        assert isinstance(argument, Ket)
        env = source.line.env(source.indices, source.line.axes)
        indices = tuple(index_at(i, env) for i in argument.indices)
        ranges = line.ranges + source.loops
        found = offsets(line.indices, indices, ranges)
        if len(source.depends) == len(source.indices):
            hat = _chained(near, source.depends, len(line.indices))
            far = _chained(hat, offsets(source.indices, indices, ranges), len(line.indices))
            found = _each(lambda a, b: _meeting([a, b]), found, far)
        yield line, argument.name, found


class Dependence:
    """Roots of every family, given the dots that may arise."""

    def __init__(self, system: System, dots: dict[Line, list[DotSource]]) -> None:
        self.system = system
        self.found: dict[str, dict[Root, Offsets]] = {
            name: {("vector", system.group(name)): own(len(ranges))}
            for name, ranges in system.initial_ranges.items()
        }
        edges: list[tuple[Line, str, Offsets]] = []
        for name, lines in system.kets.items():
            self.found[name] = {}
            for line in lines:
                if line.matrix is not None:
                    self.found[name]["hat", name] = own(len(line.indices))
                edges += dict.fromkeys(_edges(line, dots.get(line, ())))
        rounds = 0
        changed = set(self.found)
        while changed:
            rounds += 1
            now, changed = changed, set()
            for line, read, step in edges:
                if read not in now and read not in changed:
                    continue
                for root, further in list(self.found[read].items()):
                    chained = _chained(step, further, len(line.indices))
                    if self._join(line.name, root, chained, rounds > 4):
                        changed.add(line.name)

    def _join(self, name: str, root: Root, offsets: Offsets, widen: bool) -> bool:
        known = self.found[name].get(root)
        if known is None:
            self.found[name][root] = offsets
            return True
        joined = _each(_hull, known, offsets) if len(known) == len(offsets) else ()
        if widen:
            joined = _each(_widened, known, joined)
        self.found[name][root] = joined
        return joined != known

    # ---- questions -----------------------------------------------------------------------------

    def on_hat(self, name: str, application: str) -> Offsets | None:
        """The offsets at which a family depends on hats of an application; None: not at all."""
        return self.found[name].get(("hat", application))

    def linked(self, left: Ket, right: Ket, ranges: tuple[IndexRange, ...]) -> bool:
        """Whether two kets may be dependent: a common initial vector, or hats of one matrix."""
        if left.copy != right.copy:
            return False
        return any(
            self._meet(a, oa, left, b, ob, right, ranges)
            for a, oa in self._roots(left).items()
            for b, ob in self._roots(right).items()
        )

    def _roots(self, ket: Ket) -> dict[Root, Offsets]:
        if ket.part == "hat":
            return {("hat", ket.name): own(len(ket.indices))}
        return self.found[ket.name]

    def _meet(
        self, a: Root, oa: Offsets, left: Ket, b: Root, ob: Offsets, right: Ket,
        ranges: tuple[IndexRange, ...],
    ) -> bool:  # fmt: skip
        if a[0] != b[0]:
            return False
        if a[0] == "vector":
            if a != b or len(oa) != len(ob):  # a group may have families beside single ones
                return a == b
            same = tuple((k, 0) for k in range(len(oa)))
            return _overlap(left, oa, same, right, ob, same, ranges)
        for la in self._lines(a[1]):
            for lb in self._lines(b[1]):
                assert la.matrix is not None
                assert lb.matrix is not None
                if (la.matrix.name, la.matrix.transposed) != (lb.matrix.name, lb.matrix.transposed):
                    continue
                if _overlap(left, oa, _shifts(la), right, ob, _shifts(lb), ranges):
                    return True
        return False

    def _lines(self, name: str) -> list[Line]:
        return [x for x in self.system.kets[name] if x.matrix is not None]


Shifts = tuple[tuple[int, int] | None, ...]
"""For each index of a matrix: which index of the root it is, and plus what; None if it is none."""


def _overlap(
    left: Ket, oa: Offsets, sa: Shifts, right: Ket, ob: Offsets, sb: Shifts,
    ranges: tuple[IndexRange, ...],
) -> bool:  # fmt: skip
    """Whether two roots may be at one index of their vector family or matrix family."""
    for a, b in zip(sa, sb, strict=True):
        if a is None or b is None:
            continue
        for i, oi in zip(left.indices, oa[a[0]], strict=True):
            for j, oj in zip(right.indices, ob[b[0]], strict=True):
                if _apart(i, oi, a[1], j, oj, b[1], ranges):
                    return False
    return True


def _apart(
    i: Affine,
    oi: Interval,
    ci: int,
    j: Affine,
    oj: Interval,
    cj: int,
    ranges: tuple[IndexRange, ...],
) -> bool:
    """Whether i + [oi] + ci and j + [oj] + cj surely have no index in common."""

    def below(x: Affine, high: float, cx: int, y: Affine, low: float, cy: int) -> bool:
        if high == inf or low == -inf:
            return False
        return surely_at_most(x + Affine(int(high) + cx + 1), y + Affine(int(low) + cy), ranges)

    return below(i, oi[1], ci, j, oj[0], cj) or below(j, oj[1], cj, i, oi[0], ci)


def _shifts(line: Line) -> Shifts:
    assert line.matrix is not None
    found: list[tuple[int, int] | None] = []
    for index in line.matrix.indices:
        place = None
        for k, mine in enumerate(line.indices):
            gap = index - mine
            if mine.terms and not gap.terms:
                place = (k, gap.constant)
        found.append(place)
    return tuple(found)


# ---- bounds --------------------------------------------------------------------------------------


def own(count: int) -> Offsets:
    """The offsets of a root from itself."""
    return tuple(tuple((0, 0) if j == i else ANY for i in range(count)) for j in range(count))


@lru_cache(4096)
def offsets(base: Indices, of: Indices, ranges: tuple[IndexRange, ...]) -> Offsets:
    """How far the indices ``of`` lie from those of ``base``, over all values of the ranges."""
    return tuple(tuple(_difference(o - b, ranges) for b in base) for o in of)


def _difference(gap: Affine, ranges: tuple[IndexRange, ...]) -> Interval:
    low, high = least(gap, ranges), largest(gap, ranges)
    return -inf if low.terms else low.constant, inf if high.terms else high.constant


def _chained(near: Offsets, far: Offsets, count: int) -> Offsets:
    """Offsets from the ``count`` indices that ``near`` is from, of what ``far`` is of: by way of
    each index between."""
    return tuple(
        tuple(
            _meeting([(n[i][0] + f[0], n[i][1] + f[1]) for n, f in zip(near, row, strict=True)])
            for i in range(count)
        )
        for row in far
    )


def _meeting(found: list[Interval]) -> Interval:
    return max((x[0] for x in found), default=-inf), min((x[1] for x in found), default=inf)


def _each(join: Callable[[Interval, Interval], Interval], a: Offsets, b: Offsets) -> Offsets:
    return tuple(tuple(map(join, x, y)) for x, y in zip(a, b, strict=True))


def _hull(a: Interval, b: Interval) -> Interval:
    return min(a[0], b[0]), max(a[1], b[1])


def _widened(known: Interval, joined: Interval) -> Interval:
    return (
        joined[0] if joined[0] == known[0] else -inf,
        joined[1] if joined[1] == known[1] else inf,
    )


def outside(base: Indices, of: Indices, depends: Offsets, ranges: tuple[IndexRange, ...]) -> bool:
    """Whether an index surely lies outside of the offsets from another."""
    for j, row in zip(of, depends, strict=True):
        for i, (low, high) in zip(base, row, strict=True):
            if high != inf and surely_at_most(i + Affine(int(high) + 1), j, ranges):
                return True
            if low != -inf and surely_at_most(j, i + Affine(int(low) - 1), ranges):
                return True
    return False


def shorten_loops(
    loops: tuple[IndexRange, ...],
    indices: Indices,
    base: Indices,
    depends: Offsets,
    ranges: tuple[IndexRange, ...],
    loose: Set[tuple[str, str]] = frozenset(),
) -> tuple[IndexRange, ...]:
    """Loops over a root's ``indices``, cut to those that something at ``base`` depends on; but for
    the ends that are ``loose``, as (variable, "first" or "last")."""
    found = {r.var: r for r in loops}
    for index, row in zip(indices, depends, strict=True):
        loop = next((r for r in found.values() if index == Affine.variable(r.var)), None)
        if loop is None:
            continue
        first, last = loop.first, loop.last
        # of two ends that cannot be compared the one that moves along
        for mine, (low, high) in sorted(zip(base, row, strict=True), key=lambda x: not x[0].terms):
            if high != inf and (loop.var, "last") not in loose:
                end = mine + Affine(int(high))
                last = end if surely_at_most(end, last, ranges) else last
            if low != -inf and (loop.var, "first") not in loose:
                start = mine + Affine(int(low))
                first = start if surely_at_most(first, start, ranges) else first
        found[loop.var] = IndexRange(loop.var, first, last)
    return tuple(found[r.var] for r in loops)
