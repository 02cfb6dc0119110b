"""Which hats and initial vectors a ket is a function of, with bounds on their indices.

For every family, each root (an initial vector, or the hats of an application) has for each index an
interval of offsets: |x[t]> depends on the hats of W |x[t-1]> of offset 0, -1, -2, ..., and no later
one. Scalars are numbers and cut the dependence; so do iid copies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import inf

from nexort.limit.derive.derivation import Range
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
Offsets = tuple[Interval, ...] | None
"""For each index, lowest and highest offset; None where the families' indices do not compare."""

Root = tuple[str, str]
"""('vector', name) or ('hat', family)."""


@dataclass(frozen=True, slots=True)
class Source:
    """An application ``W^T |y>`` that gives a dot of an application of W: the line, its index
    (solved from the matrix where it can be), loops over what is left of it, and a condition."""

    line: Line
    indices: Indices
    loops: tuple[Range, ...]
    condition: tuple[tuple[Affine, Affine], ...] = ()


def uses(
    formula: Formula, ranges: tuple[Range, ...] = ()
) -> Iterator[tuple[Ket, tuple[Range, ...]]]:
    """The kets that a formula is a function of, with the loops around them."""
    match formula:
        case Ket():
            if formula.copy == 0:
                yield formula, ranges
        case Expectation() | GaussianPair() | GaussianMean():
            return
        case LoopSum(var, first, last, body):
            yield from uses(body, (*ranges, Range(var, first, last)))
        case Fold(_, var, last, body):
            yield from uses(body, (*ranges, Range(var, Affine(), last)))
        case AxisSum() | CopyMean():
            yield from uses(formula.body, ranges)
        case _:
            for part in parts(formula):
                if is_random(part):
                    yield from uses(part, ranges)


class Dependence:
    """Roots of every family, given the dots that may arise."""

    def __init__(self, system: System, dots: dict[Line, list[Source]]) -> None:
        self.system = system
        self.dots = dots
        self.found: dict[str, dict[Root, Offsets]] = {
            name: {("vector", system.group(name)): ((0, 0),) * len(ranges)}
            for name, ranges in system.initial_ranges.items()
        }
        for name in system.kets:
            self.found[name] = {}
        rounds = 0
        changed = True
        while changed:
            changed = False
            rounds += 1
            for name, lines in system.kets.items():
                for line in lines:
                    for root, offsets in self._line(line):
                        changed |= self._join(name, root, offsets, rounds > 4)

    def _line(self, line: Line) -> Iterator[tuple[Root, Offsets]]:
        if line.matrix is None:
            for ket, loops in uses(line.value):
                yield from self._through(line, ket, loops)
            return
        yield ("hat", line.name), ((0, 0),) * len(line.indices)
        for source in self.dots.get(line, ()):
            argument = source.line.value
            assert isinstance(argument, Ket)
            env = source.line.env(source.indices, source.line.axes)
            from nexort.limit.derive.algebra import place

            ket = replace(argument, indices=tuple(place(i, env) for i in argument.indices))
            yield from self._through(line, ket, source.loops)

    def _through(
        self, line: Line, ket: Ket, loops: tuple[Range, ...]
    ) -> Iterator[tuple[Root, Offsets]]:
        step = offsets(line.indices, ket.indices, line.ranges + loops)
        for root, further in list(self.found[ket.name].items()):
            yield root, _chained(step, further)

    def _join(self, name: str, root: Root, offsets: Offsets, widen: bool) -> bool:
        known = self.found[name].get(root, offsets)
        first = root not in self.found[name]
        joined = _hull(known, offsets)
        if widen and joined is not None and known is not None and joined != known:
            joined = tuple(
                (j[0] if j[0] == k[0] else -inf, j[1] if j[1] == k[1] else inf)
                for j, k in zip(joined, known, strict=True)
            )
        self.found[name][root] = joined
        return first or joined != known

    # ---- questions -----------------------------------------------------------------------------

    def on_hat(self, name: str, application: str) -> Offsets | bool:
        """The offsets at which a family depends on hats of an application; False: not at all."""
        return self.found[name].get(("hat", application), False)

    def linked(self, left: Ket, right: Ket, ranges: tuple[Range, ...]) -> bool:
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
            return {("hat", ket.name): ((0, 0),) * len(ket.indices)}
        return self.found[ket.name]

    def _meet(
        self, a: Root, oa: Offsets, left: Ket, b: Root, ob: Offsets, right: Ket,
        ranges: tuple[Range, ...],
    ) -> bool:  # fmt: skip
        if a[0] != b[0]:
            return False
        if a[0] == "vector":
            return a == b and self._overlap(left, oa, (), right, ob, (), ranges)
        for la in self._lines(a[1]):
            for lb in self._lines(b[1]):
                assert la.matrix is not None
                assert lb.matrix is not None
                if (la.matrix.name, la.matrix.transposed) != (lb.matrix.name, lb.matrix.transposed):
                    continue
                if self._overlap(left, oa, _shifts(la), right, ob, _shifts(lb), ranges):
                    return True
        return False

    def _lines(self, name: str) -> list[Line]:
        return [x for x in self.system.kets[name] if x.matrix is not None]

    def _overlap(
        self, left: Ket, oa: Offsets, sa: tuple[tuple[int, int] | None, ...] | None,
        right: Ket, ob: Offsets, sb: tuple[tuple[int, int] | None, ...] | None,
        ranges: tuple[Range, ...],
    ) -> bool:  # fmt: skip
        """Whether two roots may be at one index (of the vector family, or of the matrix family,
        whose index p is the application's index number s[p][0] plus s[p][1])."""
        if oa is None or ob is None or sa is None or sb is None:
            return True
        if not sa and not sb:  # vectors: their own indices
            if len(oa) != len(left.indices) or len(ob) != len(right.indices):
                return True
            sa = sb = tuple((k, 0) for k in range(len(oa)))
        for pa, pb in zip(sa, sb, strict=True):
            if pa is None or pb is None:
                continue
            if _apart(
                left.indices[pa[0]], oa[pa[0]], pa[1],
                right.indices[pb[0]], ob[pb[0]], pb[1], ranges,
            ):  # fmt: skip
                return False
        return True


def _apart(
    i: Affine, oi: Interval, ci: int, j: Affine, oj: Interval, cj: int, ranges: tuple[Range, ...]
) -> bool:
    """Whether i + [oi] + ci and j + [oj] + cj surely have no index in common."""

    def below(x: Affine, high: float, cx: int, y: Affine, low: float, cy: int) -> bool:
        if high == inf or low == -inf:
            return False
        return surely_at_most(x + Affine(int(high) + cx + 1), y + Affine(int(low) + cy), ranges)

    return below(i, oi[1], ci, j, oj[0], cj) or below(j, oj[1], cj, i, oi[0], ci)


def _shifts(line: Line) -> tuple[tuple[int, int] | None, ...] | None:
    """For each index of the matrix: which index of the line it is, and plus what."""
    assert line.matrix is not None
    found: list[tuple[int, int] | None] = []
    for index in line.matrix.indices:
        place = None
        for k, own in enumerate(line.indices):
            gap = index - own
            if own.terms and not gap.terms:
                place = (k, gap.constant)
        found.append(place)
    return tuple(found) or None


def offsets(base: Indices, of: Indices, ranges: tuple[Range, ...]) -> Offsets:
    """How far an index lies from another, over all values of the ranges."""
    if len(base) != len(of):
        return None
    found = []
    for b, o in zip(base, of, strict=True):
        low, high = least(o - b, ranges), largest(o - b, ranges)
        found.append((
            -inf if low.terms else low.constant,
            inf if high.terms else high.constant,
        ))  # fmt: skip
    return tuple(found)


def _chained(a: Offsets, b: Offsets) -> Offsets:
    if a is None or b is None or len(a) != len(b):
        return None
    return tuple((x[0] + y[0], x[1] + y[1]) for x, y in zip(a, b, strict=True))


def _hull(a: Offsets, b: Offsets) -> Offsets:
    if a is None or b is None or len(a) != len(b):
        return None
    return tuple((min(x[0], y[0]), max(x[1], y[1])) for x, y in zip(a, b, strict=True))


def outside(base: Indices, of: Indices, depends: Offsets | bool, ranges: tuple[Range, ...]) -> bool:
    """Whether an index surely lies outside of the offsets from another."""
    if not isinstance(depends, tuple):
        return False
    for i, j, (low, high) in zip(base, of, depends, strict=False):
        if high != inf and surely_at_most(i + Affine(int(high) + 1), j, ranges):
            return True
        if low != -inf and surely_at_most(j, i + Affine(int(low) - 1), ranges):
            return True
    return False
