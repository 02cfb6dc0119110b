"""Index expressions with other index expressions in place of their variables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from nexort.program.index import Affine, Interval, Loop
from nexort.program.nodes import LOOPS, MEMBERS, Node, Op, rewrite, walk

Mapped = Mapping[str, Affine]


class NotSymbolicError(Exception):
    """The indices of a network do not lend themselves to loops that are kept."""


def substitute_index(index: Affine, mapped: Mapped) -> Affine:
    """An index with index expressions for some of its variables."""
    total = Affine(index.constant)
    for name, coefficient in index.terms:
        total += mapped.get(name, Affine.variable(name)).scaled(coefficient)
    return total


def placed_all(indices: Iterable[Affine], mapped: Mapped) -> tuple[Affine, ...]:
    """The same for several."""
    return tuple(substitute_index(i, mapped) for i in indices)


def within(interval: Interval, mapped: Mapped) -> Interval:
    """The same for the ends of a range."""
    return replace(
        interval,
        first=substitute_index(interval.first, mapped),
        last=substitute_index(interval.last, mapped),
    )


def shift_graph(root: Node, mapped: Mapped) -> Node:
    """A graph with index expressions for loop variables. Raises NotSymbolicError where a sum inside
    binds one of these, or a variable of an index expression."""
    if not mapped or all(i == Affine.variable(n) for n, i in mapped.items()):
        return root
    names = {name for index in mapped.values() for name in index.names} | set(mapped)
    if any(x.op in LOOPS and x.attr.var in names for x in walk([root])):
        raise NotSymbolicError

    def place(x: Node) -> Node:
        if x.op is Op.INDEX:
            return Node(x.op, (), substitute_index(x.attr, mapped), x.type)
        if x.op in MEMBERS:
            name, key = x.attr
            return Node(x.op, x.args, (name, placed_all(key, mapped)), x.type)
        if x.op is Op.MATMUL:
            name, key, flipped = x.attr
            return Node(x.op, x.args, (name, placed_all(key, mapped), flipped), x.type)
        if x.op is Op.TAKE:
            picks = tuple(
                substitute_index(p, mapped) if isinstance(p, Affine) else p for p in x.attr
            )
            return Node(x.op, x.args, picks, x.type)
        if x.op in LOOPS:
            loop = Loop(x.attr.var, within(x.attr.interval, mapped))
            return Node(x.op, x.args, loop, x.type)
        return x

    return rewrite([root], place)[root]


def solve_key(
    key: tuple[Affine, ...], variables: Iterable[str], target: tuple[Affine, ...]
) -> dict[str, Affine]:
    """The variables for which ``key`` is ``target``, as far as the key tells them. Raises
    NotSymbolicError where an index mixes several or is a multiple of one."""
    wanted = set(variables)
    found: dict[str, Affine] = {}
    for index, value in zip(key, target, strict=True):
        mine = [(name, c) for name, c in index.terms if name in wanted]
        if not mine:
            continue
        if len(mine) > 1 or abs(mine[0][1]) != 1:
            raise NotSymbolicError
        [(name, c)] = mine
        rest = Affine(index.constant, tuple(x for x in index.terms if x[0] != name))
        found.setdefault(name, (value - rest).scaled(c))
    return found


def default_direction(interval: Interval) -> int:
    """The step that a range without ``by`` has (nexort.elaborate.indices)."""
    difference = interval.last - interval.first
    if not difference.terms:
        return 1 if difference.constant >= 0 else -1
    return -1 if interval.first.terms and not interval.last.terms else 1
