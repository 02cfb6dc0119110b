"""The outputs of an unrolled program: members of families gathered into arrays."""

from __future__ import annotations

from collections.abc import Iterator

from nexort.program.missing import Missing
from nexort.program.types import Kind
from nexort.program.unroll import Unroller
from nexort.program.unrolled import UnrolledOutput


def unrolled_outputs(unroller: Unroller) -> Iterator[UnrolledOutput]:
    """The program's outputs over the unrolled members; those that cannot be told are left out."""
    for output in unroller.program.outputs:
        unroller.rule = output
        if output.family is None:
            assert output.value is not None
            try:
                node = unroller.instance(output.value, unroller.base)
            except Missing:
                continue
            unroller.spans.setdefault(node, output.span)
            yield UnrolledOutput(output.name, (node,), ((),), (), output.axes, output.span)
            continue
        found = {k: node for (n, k), node in unroller.members.items() if n == output.family}
        keys = sorted(found)
        if not keys and not unroller.waits(output.family):
            message = f"'{output.family}' has no members to put out"
            unroller.error("no-output", message, output.span)
        nodes = [found[k] for k in keys]
        known = tuple(node for node in nodes if node is not None)
        if len(known) == len(keys) and known and all(n.type.kind is Kind.SCALAR for n in known):
            yield UnrolledOutput(
                output.name, known, tuple(keys), _grid(keys), output.axes, output.span
            )


def _grid(keys: list[tuple[int, ...]]) -> tuple[int, ...]:
    """The shape of a full grid of indices; the number of members where they form none."""
    sizes = tuple(len(set(column)) for column in zip(*keys, strict=True))
    cells = 1
    for size in sizes:
        cells *= size
    return sizes if cells == len(keys) else (len(keys),)
