"""Rules of one form over ranges that touch become one: l = 1 and l = 2..L is l = 1..L."""

from __future__ import annotations

from dataclasses import replace

from nexort.limit.derive.algebra import (
    BoundNames,
    Env,
    index_at,
    rebuilt,
    reindex,
)
from nexort.limit.derive.derivation import IndexRange
from nexort.limit.derive.formula import AxisSum, Fold, Formula, LoopSum, Matrix
from nexort.limit.derive.lines import Line
from nexort.program.index import Affine

ONE = Affine(1)


def join_rules(lines: list[Line], names: BoundNames) -> list[Line]:
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
    """One line for two that differ in the values of one index, where the range of ``high`` starts
    or ends right beside what ``low`` has."""
    if len(low.indices) != len(high.indices):
        return None
    for at, index in enumerate(high.indices):
        span = _range(high, index)
        if span is None:
            continue
        env = _alike(low, high, at)
        if env is None:
            continue
        mine = _range(low, low.indices[at])
        first, last = (mine.first, mine.last) if mine is not None else (low.indices[at],) * 2
        if last + ONE == span.first:
            whole = IndexRange(span.var, first, span.last)
        elif first == span.last + ONE and mine is None:
            whole = IndexRange(span.var, span.first, last)
        else:
            continue
        if _same(low, high, {**env, span.var: low.indices[at]}):
            return replace(high, ranges=tuple(whole if r is span else r for r in high.ranges))
    return None


def _range(line: Line, index: Affine) -> IndexRange | None:
    """The range of which an index is the variable."""
    return next((r for r in line.ranges if index == Affine.variable(r.var)), None)


def _alike(low: Line, high: Line, at: int) -> Env | None:
    """What the variables of ``high`` are in ``low``, but for the index number ``at``, where the two
    have the same values for all other indices."""
    env: dict[str, Affine] = {}
    for k, (i, j) in enumerate(zip(low.indices, high.indices, strict=True)):
        if k == at:
            continue
        mine, theirs = _range(low, i), _range(high, j)
        if (mine is None) != (theirs is None) or (mine is None and i != j):
            return None
        if mine is not None and theirs is not None:
            if (mine.first, mine.last) != (
                index_at(theirs.first, env),
                index_at(theirs.last, env),
            ):
                return None
            env[theirs.var] = i
    told = {r.var for r in high.ranges if r.var not in env}
    return env if len(told) == 1 else None


def _same(low: Line, high: Line, env: Env) -> bool:
    """Whether a line at the variables' values is another."""
    if low.scale != high.scale:
        return False
    for mine, theirs in ((low.matrix, high.matrix), (_acting(low), _acting(high))):
        if (mine is None) != (theirs is None):
            return False
        if mine is not None and theirs is not None:
            placed = tuple(index_at(i, env) for i in theirs.indices)
            if mine != replace(theirs, indices=placed):
                return False
    return canonical_formula(reindex(high.value, env)) == canonical_formula(low.value)


def _acting(line: Line) -> Matrix | None:
    return None if line.acting is None else line.acting.matrix


def canonical_formula(formula: Formula) -> Formula:
    """A formula with its bound names in order of appearance, to compare."""
    count = 0

    def visit(item: Formula) -> Formula:
        nonlocal count
        match item:
            case LoopSum(var, first, last, body):
                count += 1
                name = f"!{count}"
                return LoopSum(
                    name, first, last, visit(reindex(body, {var: Affine.variable(name)}))
                )
            case Fold(_, var, _, body):
                count += 1
                name = f"!{count}"
                inner = visit(reindex(body, {var: Affine.variable(name)}))
                return replace(item, var=name, body=inner)
            case AxisSum(label, axis, body):
                count += 1
                name = f"!{count}"
                return AxisSum(name, axis, visit(reindex(body, {label: Affine.variable(name)})))
            case _:
                return rebuilt(item, visit)

    return visit(formula)
