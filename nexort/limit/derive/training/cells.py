"""Where a member of a family is read: its indices cut into ranges in which the same lines read it.

Ends of ranges are compared as for large params (1 < L - 1 < L); ranges that are empty for small
ones stay empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cmp_to_key
from itertools import pairwise, product

from nexort.limit.derive.algebra import place
from nexort.limit.derive.derivation import Range
from nexort.limit.derive.formula import Indices
from nexort.limit.derive.training.reverse import Part
from nexort.limit.derive.unsupported import Unsupported
from nexort.program.index import Affine

Box = tuple[tuple[Affine, Affine], ...]
"""First and last of every index, both included."""

ONE_MORE = Affine(1)


def compare(a: Affine, b: Affine) -> int:
    """The sign of a - b for large params. Raises Unsupported where that does not tell."""
    gap = a - b
    signs = {c > 0 for _, c in gap.terms}
    if not signs:
        return (gap.constant > 0) - (gap.constant < 0)
    if len(signs) > 1:
        raise Unsupported(f"whether {a} is less than {b} depends on numbers")
    return 1 if signs.pop() else -1


def box_of(indices: Indices, ranges: tuple[Range, ...]) -> Box:
    """The members that a line defines."""
    own = {r.var: r for r in ranges}
    found = []
    for i in indices:
        r = next((own[n] for n in i.names if n in own), None)
        found.append((i, i) if r is None else (r.first, r.last))
    return tuple(found)


def cells(domain: Sequence[Box], uses: Sequence[Box]) -> list[tuple[Box, tuple[int, ...]]]:
    """The domain cut up, with the numbers of the uses that cover each cell."""
    found: list[tuple[Box, tuple[int, ...]]] = []
    for box in domain:
        cut = [_segments(end, [u[k] for u in uses]) for k, end in enumerate(box)]
        for cell in product(*cut):
            users = tuple(n for n, use in enumerate(uses) if _inside(cell, use))
            if found and len(cell) == 1 and found[-1][1] == users and _adjacent(found[-1][0], cell):
                [(first, _)], [(_, last)] = found.pop()[0], cell
                found.append((((first, last),), users))
            else:
                found.append((cell, users))
    return found


def _segments(
    own: tuple[Affine, Affine], uses: Sequence[tuple[Affine, Affine]]
) -> list[tuple[Affine, Affine]]:
    first, last = own[0], own[1] + ONE_MORE
    points = {first, last}
    for a, b in uses:
        for p in (a, b + ONE_MORE):
            if p not in points and compare(first, p) < 0 and compare(p, last) < 0:
                points.add(p)
    ordered = sorted(points, key=cmp_to_key(compare))
    return [(a, b - ONE_MORE) for a, b in pairwise(ordered)]


def _inside(cell: Box, use: Box) -> bool:
    return all(
        compare(u[0], c[0]) <= 0 and compare(c[1], u[1]) <= 0
        for c, u in zip(cell, use, strict=True)
    )


def _adjacent(low: Box, high: Box) -> bool:
    return low[0][1] + ONE_MORE == high[0][0]


def solved(part: Part) -> tuple[Box, list[tuple[str, int, Affine]], tuple[Range, ...]]:
    """The members that a part reaches; for each index the line's variable that it tells, its sign
    and the rest of the index; and the variables that no index tells."""
    ranges = {r.var: r for r in part.ranges}
    told: list[tuple[str, int, Affine]] = []
    box: list[tuple[Affine, Affine]] = []
    for index in part.indices:
        own = [n for n in index.names if n in ranges]
        if not own:
            told.append(("", 1, index))
            box.append((index, index))
            continue
        sign = dict(index.terms)[own[0]]
        if len(own) > 1 or sign not in (1, -1) or own[0] in {v for v, _, _ in told}:
            raise Unsupported(f"the gradient by '{part.name}' has the index {index} of a loop")
        rest = index - Affine(0, ((own[0], sign),))
        r = ranges[own[0]]
        if (r.first.names | r.last.names) & ranges.keys():
            raise Unsupported(f"the gradient by '{part.name}' has a loop whose ends are indices")
        ends = r.first.scaled(sign) + rest, r.last.scaled(sign) + rest
        box.append(ends if sign > 0 else ends[::-1])
        told.append((own[0], sign, rest))
    known = {v for v, _, _ in told}
    left = tuple(r for r in part.ranges if r.var not in known)
    return tuple(box), told, left


def placed(told: list[tuple[str, int, Affine]], indices: Indices) -> dict[str, Affine]:
    """The line's variables at a member: m = sign v + rest gives v = sign (m - rest)."""
    env: dict[str, Affine] = {}
    for (var, sign, rest), at in zip(told, indices, strict=True):
        if var:
            env[var] = (at - place(rest, env)).scaled(sign)
    return env
