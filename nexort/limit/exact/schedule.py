"""The order of operations that holds few arrays at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from heapq import heappop, heappush

from nexort.limit.exact.values import Value


def schedule_values(
    values: Sequence[Value], kept: Collection[Value], weight: Callable[[Value], int]
) -> list[Value]:
    """``values``, arguments first, one by one the value that is ready and adds least to what is
    held (its own weight less those of arguments that nothing else needs), the shallowest of equals.
    ``kept`` are held to the end. Arguments that are not among the values cost nothing.
    """
    inside = set(values)
    args = {v: [a for a in dict.fromkeys(v.args) if a in inside] for v in values}
    users: dict[Value, list[Value]] = {v: [] for v in values}
    depth: dict[Value, int] = {}
    for v in values:
        depth[v] = 1 + max((depth[a] for a in args[v]), default=0)
        for a in args[v]:
            users[a].append(v)
    waiting = {v: len(args[v]) for v in values}
    needed = Counter({v: len(users[v]) + (v in kept) for v in values})
    heap: list[tuple[int, int, int, Value]] = []

    def offer(v: Value) -> None:
        freed = sum(weight(a) for a in args[v] if needed[a] == 1)
        heappush(heap, (weight(v) - freed, depth[v], v.serial, v))

    for v in values:
        if not waiting[v]:
            offer(v)
    order: dict[Value, None] = {}
    while heap:
        v = heappop(heap)[-1]
        if v in order:  # offered again since, at a lower cost
            continue
        order[v] = None
        for u in users[v]:
            waiting[u] -= 1
            if not waiting[u]:
                offer(u)
        for a in args[v]:
            needed[a] -= 1
            if needed[a] == 1:
                for u in users[a]:
                    if not waiting[u] and u not in order:
                        offer(u)
    return list(order)
