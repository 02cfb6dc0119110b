"""Programs in which some scalars are known numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from nexort.program.nodes import Node, Op, walk
from nexort.program.unrolled import Array, Unrolled
from nexort.support.diagnostics import Span


def with_known(
    program: Unrolled,
    known: Mapping[Node, Array],
    outputs: Collection[str],
    unknown: frozenset[Node] = frozenset(),
) -> tuple[Unrolled, frozenset[Node]]:
    """The program of the outputs with these names, in which the scalars of ``known`` are data, and
    the nodes in it that ``unknown`` have become."""
    kept = tuple(o for o in program.outputs if o.name in outputs)
    data = dict(program.data)
    done: dict[Node, Node] = {}
    for node in walk(m for o in kept for m in o.members):
        if node in known:
            name = f"known {len(data)}"  # no name of a program has a space
            data[name] = known[node]
            done[node] = Node(Op.DATA, (), name, node.type)
        else:
            done[node] = node.with_args(tuple(done[a] for a in node.args))
    spans: dict[Node, Span] = {}
    for old, span in program.spans.items():
        if old in done:
            spans.setdefault(done[old], span)
    outputs_left = tuple(replace(o, members=tuple(done[m] for m in o.members)) for o in kept)
    left = replace(program, outputs=outputs_left, data=data, spans=spans)
    return left, frozenset(done[x] for x in unknown if x in done)
