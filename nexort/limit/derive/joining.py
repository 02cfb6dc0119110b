"""Rules of one form over ranges that touch become one: l = 1 and l = 2..L is l = 1..L."""

from __future__ import annotations

from dataclasses import replace

from nexort.limit.derive.algebra import (
    Env,
    Names,
    place,
    rebuilt,
    reindexed,
)
from nexort.limit.derive.derivation import Range
from nexort.limit.derive.formula import (
    Formula,
)
from nexort.limit.derive.lines import Line
from nexort.program.index import Affine


def joined(lines: list[Line], names: Names) -> list[Line]:
    """Rules of one form over ranges that touch become one: l = 1 and l = 2..L is l = 1..L."""
    result: list[Line] = []
    for line in lines:
        both = (_join(result[-1], line) or _join(line, result[-1])) if result else None
        if both is not None:
            result[-1] = both
        else:
            result.append(line)
    return result


def _join(low: Line, high: Line) -> Line | None:
    """One line for two, where the higher's single range starts right after the lower."""
    if len(high.ranges) != 1 or len(low.indices) != 1 or len(high.indices) != 1:
        return None
    [span] = high.ranges
    if not low.ranges and low.indices[0] + Affine(1) == span.first:
        env = {span.var: low.indices[0]}
        first = low.indices[0]
    elif not low.ranges and low.indices[0] == span.last + Affine(1):
        env = {span.var: low.indices[0]}
        if _same(low, high, env):
            return replace(high, ranges=(Range(span.var, span.first, low.indices[0]),))
        return None
    elif len(low.ranges) == 1 and low.ranges[0].last + Affine(1) == span.first:
        env = {span.var: Affine.variable(low.ranges[0].var)}
        first = low.ranges[0].first
    else:
        return None
    if not _same(low, high, env):
        return None
    return replace(high, ranges=(Range(span.var, first, span.last),))


def _same(low: Line, high: Line, env: Env) -> bool:
    """Whether a line at the variables' values is another."""
    if (low.matrix is None) != (high.matrix is None) or low.scale != high.scale:
        return False
    if low.matrix is not None and high.matrix is not None:
        placed = tuple(place(i, env) for i in high.matrix.indices)
        if low.matrix != replace(high.matrix, indices=placed):
            return False
    return canonical(reindexed(high.value, env)) == canonical(low.value)


def canonical(formula: Formula) -> Formula:
    """A formula with its bound names in order of appearance, to compare."""
    from nexort.limit.derive.formula import AxisSum, Fold, LoopSum

    count = 0

    def visit(item: Formula) -> Formula:
        nonlocal count
        match item:
            case LoopSum(var, first, last, body):
                count += 1
                name = f"!{count}"
                return LoopSum(
                    name, first, last, visit(reindexed(body, {var: Affine.variable(name)}))
                )
            case Fold(function, var, last, body):
                count += 1
                name = f"!{count}"
                return Fold(
                    function, name, last, visit(reindexed(body, {var: Affine.variable(name)}))
                )
            case AxisSum(label, axis, body):
                count += 1
                name = f"!{count}"
                return AxisSum(name, axis, visit(reindexed(body, {label: Affine.variable(name)})))
            case _:
                return rebuilt(item, visit)

    return visit(formula)
