"""Rules cut up where the operators that they apply are defined by different rules.

Ends of ranges are compared as for large params (1 < L - 1 < L).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cmp_to_key, partial
from itertools import pairwise

from nexort.limit.derive.derivation import IndexRange
from nexort.limit.derive.formula import Indices
from nexort.limit.derive.lines import largest, least
from nexort.limit.derive.recurrences import Recurrence, SingleRule
from nexort.limit.derive.unsupported import Unsupported
from nexort.program import build
from nexort.program.declarations import Rule
from nexort.program.index import Affine, Interval, Loop
from nexort.program.nodes import Node, Op, rewrite, walk
from nexort.program.shifting import NotSymbolicError, placed_all, shift_graph, within

ONE = Affine(1)
Find = Callable[[str], Sequence[SingleRule | Recurrence]]


def compare(a: Affine, b: Affine) -> int:
    """The sign of a - b for large params. Raises Unsupported where that does not tell."""
    gap = a - b
    signs = {c > 0 for _, c in gap.terms}
    if not signs:
        return (gap.constant > 0) - (gap.constant < 0)
    if len(signs) > 1:
        raise Unsupported(f"whether {a} is less than {b} depends on numbers")
    return 1 if signs.pop() else -1


def is_within(
    indices: Indices, box: Sequence[tuple[Affine, Affine]], ranges: tuple[IndexRange, ...]
) -> bool:
    """Whether indices lie in a box, its ends included, for all values of the ranges."""
    return all(
        compare(first, least(i, ranges)) <= 0 and compare(largest(i, ranges), last) <= 0
        for i, (first, last) in zip(indices, box, strict=True)
    )


def cut_rule(
    loops: tuple[Loop, ...], rule: Rule, find: Find
) -> Iterator[tuple[tuple[Loop, ...], Rule]]:
    """The pieces of a rule, in each of which every operator is defined in one way; ``find`` has the
    definitions of a family."""
    if not _operators(rule.value):
        yield loops, rule
        return
    rule = replace(rule, value=_within(rule.value, find))
    for k, loop in enumerate(loops):
        points = [p for x in _operators(rule.value) for p in _points(x, loop, find(x.attr[0]))]
        pieces = list(_pieces(loop, points))
        if len(pieces) > 1:
            for piece in pieces:
                yield from cut_rule(*_placed(loops, k, piece, rule), find)
            return
    yield loops, rule


def _within(root: Node, find: Find) -> Node:
    """A graph whose sums are cut up likewise."""

    def place(x: Node) -> Node:
        if x.op not in (Op.SUM, Op.OP_SUM):
            return x
        loop, [body] = x.attr, x.args
        points = [p for y in _operators(body) for p in _points(y, loop, find(y.attr[0]))]
        terms = []
        for piece in _pieces(loop, points):
            if piece.first == piece.last:
                terms.append(shift_graph(body, {loop.var: piece.first}))
            else:
                terms.append(Node(x.op, x.args, replace(loop, interval=piece), x.type))
        total = terms[0]
        for term in terms[1:]:
            both = build.add_operators if x.op is Op.OP_SUM else partial(build.call, "add")
            total = both(total, term)
        return x if len(terms) == 1 else total

    try:
        return rewrite([root], place)[root]
    except NotSymbolicError:
        raise Unsupported("a sum inside of a sum over the same variable") from None


def _operators(root: Node) -> list[Node]:
    """The members of families of operators that a graph applies."""
    acting = [x.args[0] for x in walk([root]) if x.op is Op.APPLY]
    return [x for x in walk(acting) if x.op is Op.REF and x.type == acting[0].type]


def _points(node: Node, loop: Loop, found: Sequence[SingleRule | Recurrence]) -> Iterator[Affine]:
    """Values of a loop's variable at which another rule begins."""
    if len(found) < 2:
        return
    for one in found:
        for index, ends in zip(one.others(node.attr[1]), one.box, strict=True):
            sign = dict(index.terms).get(loop.var)
            if sign not in (1, -1):
                continue
            rest = index - Affine(0, ((loop.var, sign),))
            for end in (ends[0], ends[1] + ONE):
                at = (end - rest).scaled(sign)
                yield at if sign > 0 else at + ONE


def _pieces(loop: Loop, points: Iterable[Affine]) -> Iterator[Interval]:
    interval = loop.interval
    low, high = interval.first, interval.last
    if interval.step < 0:
        low, high = high, low
    inside: list[Affine] = []
    for p in points:
        if p not in inside and compare(low, p) < 0 and compare(p, high) <= 0:
            inside.append(p)
    ordered = [low, *sorted(inside, key=cmp_to_key(compare)), high + ONE]
    for first, after in pairwise(ordered):
        last = after - ONE
        ends = (first, last) if interval.step > 0 else (last, first)
        yield replace(interval, first=ends[0], last=ends[1])


def _placed(
    loops: tuple[Loop, ...], k: int, piece: Interval, rule: Rule
) -> tuple[tuple[Loop, ...], Rule]:
    """A rule over a piece of one of its loops; over one value, without the loop."""
    loop = loops[k]
    if piece.first != piece.last:
        return (*loops[:k], replace(loop, interval=piece), *loops[k + 1 :]), rule
    mapped = {loop.var: piece.first}
    inner = tuple(replace(x, interval=within(x.interval, mapped)) for x in loops[k + 1 :])
    try:
        value = shift_graph(rule.value, mapped)
    except NotSymbolicError:
        raise Unsupported("a sum inside of a loop over the same variable") from None
    return (*loops[:k], *inner), replace(
        rule, indices=placed_all(rule.indices, mapped), value=value
    )
