"""What depends on weights, and how cotangents depend on the output they are of.

An axis of a member runs along with one of the output where d f_a / d y_b = 0 for a other than b: a
network that treats its inputs alike, one by one. Then one cotangent, |dy_b>, stands for all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nexort.limit.derive.formula import ONE, Ket
from nexort.limit.derive.lines import Line
from nexort.limit.derive.training.network import Forward
from nexort.limit.derive.training.reverse import Part, parts, reads, variable

Along = tuple[frozenset[int], ...]
"""For every axis of the output, the axes of a member that run along with it."""


def moving(forward: Forward) -> set[str]:
    """Weights and the families that depend on one."""
    found = set(forward.weights)
    while True:
        new = {
            x.name
            for x in forward.lines()
            if x.name not in found
            and (reads(x.value, found) or (x.matrix is not None and x.matrix.name in found))
        }
        if not new:
            return found
        found |= new


def along(
    forward: Forward, axes: Mapping[str, tuple[str, ...]], lines: list[Line], moves: set[str]
) -> dict[str, Along]:
    """The largest sets such that every part of the lines that reads a member keeps to them."""
    outs = axes[forward.output.name]
    found: dict[str, Along] = {
        name: tuple(frozenset(range(len(own))) for _ in outs) for name, own in axes.items()
    }
    found[forward.output.name] = tuple(frozenset((k,)) for k in range(len(outs)))
    edges = [p for line in lines for p in _plain(line, moves)]
    while True:
        changed = False
        for p in edges:
            kept = tuple(
                frozenset(j for j in mine if _keeps(p, j, theirs))
                for mine, theirs in zip(found[p.name], found[p.line.name], strict=True)
            )
            changed |= kept != found[p.name]
            found[p.name] = kept
        if not changed:
            return found


def _keeps(part: Part, j: int, there: frozenset[int]) -> bool:
    label = part.axes[j]
    return any(variable(part.line.labels[p]) == label for p in there)


def _plain(line: Line, moves: set[str]) -> Iterator[Part]:
    """The parts of a line, whatever their values."""
    if line.matrix is None:
        yield from parts(line, ONE, moves)
        return
    argument = line.value
    assert isinstance(argument, Ket)
    if argument.name in moves:
        yield Part(
            line, argument.name, argument.indices, argument.axes, ONE, line.ranges, line.labels
        )
