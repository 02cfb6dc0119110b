"""Derivatives of the registry's functions in graphs: ``1 - tanh(z)^2`` is ``tanh'(z)``."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import cache

from nexort import functions
from nexort.program import build
from nexort.program.nodes import Node, Op, walk
from nexort.program.partials import partial
from nexort.program.types import scalar

LONG = 3
"""Operations of a derivative that is told by its form alone."""

_Z = Node(Op.SLOT, (), ("derived",), scalar())


@cache
def _derivatives() -> tuple[tuple[str, Node, int], ...]:
    """Functions of one argument, their derivatives over the slot, and the sizes of these, the
    largest first."""
    found = []
    for name, function in functions.registry().items():
        if function.arity == 1:
            slope = partial(name, 0, (_Z,))
            if slope is not _Z and any(x is _Z for x in walk([slope])):
                size = sum(1 for x in walk([slope]) if x.op is Op.CALL)
                found.append((name, slope, size))
    return tuple(sorted(found, key=lambda x: -x[2]))


def derived(node: Node, calls: Mapping[Hashable, frozenset[str]]) -> tuple[str, Node] | None:
    """The function f of the registry and z for which a graph is f'(z): where its form says so, or
    ``calls`` has f among the functions that are applied to z."""
    if node.op is not Op.CALL:
        return None
    for name, slope, size in _derivatives():
        found: dict[Node, Node] = {}
        if not _matches(slope, node, found):
            continue
        z = found[_Z]
        same = build.call(name, z).type == node.type
        if same and (size >= LONG or name in calls.get(applied(z), ())):
            return name, z
    return None


def applied(z: Node) -> Hashable:
    """What functions are applied to: of a family, any of its members."""
    return z.attr[0] if z.op is Op.REF else z


def _matches(pattern: Node, node: Node, found: dict[Node, Node]) -> bool:
    """Whether a graph is the pattern with one graph in place of the slot."""
    if pattern is _Z:
        return found.setdefault(_Z, node) is node
    if pattern.op is not node.op or pattern.attr != node.attr:
        return False
    if len(pattern.args) != len(node.args) or (pattern.op is Op.CONST and pattern is not node):
        return False
    return all(_matches(p, x, found) for p, x in zip(pattern.args, node.args, strict=True))
