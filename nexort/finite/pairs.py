"""Which functions of pairs of indices are kept from one outer product to the next.

An update function with memory, applied at step t, is made of all earlier gradients; its state at
step t - 1 was computed before. Kept in memory, n x n numbers a state, a run takes a time linear in
the steps, as a network that stores its matrices does; otherwise a quadratic one. A kept block and
the same block computed again have the same bits.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod

from nexort.finite.arrays import is_mixed
from nexort.finite.nests import Nest, build
from nexort.finite.schedule import Averages, Schedule
from nexort.program.nodes import Node
from nexort.program.unrolled import Unrolled


def keep_pairs(plan: Schedule, program: Unrolled, capacity: int) -> tuple[Schedule, int]:
    """The plan with at most ``capacity`` entries kept at any time, and how many it keeps."""
    averages = [step.work for step in plan.steps if isinstance(step.work, Averages)]
    nests = [nest for work in averages for nest in work.nests if len(nest.copies) == 2]
    found = _lifetimes(nests)
    if not found.linked:
        return plan, 0

    def size(node: Node) -> int:
        return int(prod(program.shape(node.type.axes))) * nests[0].width ** 2

    chosen, most = _chosen(found, size, capacity, len(nests))
    side = min(nests[k].side for k in found.linked)
    new: dict[int, Nest] = {}
    for k in found.linked:
        kept = frozenset(x for x in chosen if found.born[x] < k <= found.last[x])
        keep = frozenset(x for x in chosen if found.born[x] == k)
        parts = nests[k].components
        new[id(nests[k])] = build(parts, program, nests[k].width, kept=kept, keep=keep, side=side)
    ended: dict[int, list[Node]] = defaultdict(list)
    for node in chosen:
        ended[id(nests[found.last[node]])].append(node)
    steps = []
    for step in plan.steps:
        work = step.work
        if isinstance(work, Averages):
            dropped = tuple(x for nest in work.nests for x in ended[id(nest)])
            rebuilt = tuple(new.get(id(nest), nest) for nest in work.nests)
            work = replace(work, nests=rebuilt, dropped=dropped)
        steps.append(replace(step, work=work))
    return replace(plan, steps=tuple(steps)), most


@dataclass(frozen=True, slots=True)
class _Lifetimes:
    """With memory for everything: the nest that computes a node, the last one that reads it, and
    the nests that read or write any."""

    born: dict[Node, int]
    last: dict[Node, int]
    linked: set[int]


def _lifetimes(nests: Sequence[Nest]) -> _Lifetimes:
    born: dict[Node, int] = {}
    last: dict[Node, int] = {}
    linked: set[int] = set()
    for k, nest in enumerate(nests):
        stack = [f for c in nest.components for f in c.pairs]
        while stack:
            node = stack.pop()
            if node not in born:
                born[node] = k
                stack.extend(a for a in node.args if is_mixed(a))
            elif born[node] < k:
                last[node] = k
                linked |= {born[node], k}
    return _Lifetimes(born, last, linked)


def _chosen(
    found: _Lifetimes, size: Callable[[Node], int], capacity: int, count: int
) -> tuple[list[Node], int]:
    """The nodes to keep, the shortest-lived first (states before results), and the most entries
    kept at once."""
    used = [0] * count
    chosen = []
    for node in sorted(found.last, key=lambda x: (found.last[x] - found.born[x], x.serial)):
        life, entries = range(found.born[node], found.last[node] + 1), size(node)
        if all(used[k] + entries <= capacity for k in life):
            chosen.append(node)
            for k in life:
                used[k] += entries
    return chosen, max(used)
