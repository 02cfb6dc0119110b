"""What is known of the first step of a training, at which all is as at initialization."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from nexort.limit.derive.algebra import BoundNames, Env, index_at, rebuilt, reindex
from nexort.limit.derive.derivation import KetDefinition
from nexort.limit.derive.formula import ZERO, Formula, LoopSum
from nexort.limit.derive.lines import Line, System
from nexort.limit.derive.structure import Structure
from nexort.limit.derive.walking import terms_of, walk_formula
from nexort.program.index import Affine

START, ONE = Affine(), Affine(1)


def with_notes(
    kets: Sequence[KetDefinition], system: System, within: Mapping[str, str], names: BoundNames
) -> tuple[KetDefinition, ...]:
    """Kets with a note why a dot that other steps have vanishes at the first."""
    first = Structure(_first(system), names)
    reasons: dict[str, set[str | None]] = {}
    for line in first.candidates:
        reasons.setdefault(line.name, set()).add(first.why.get(line))
    initial = {name: start for start, name in within.items()}
    return tuple(_noted(k, reasons.get(initial.get(k.ket.name, ""), {None})) for k in kets)


def _noted(k: KetDefinition, reasons: set[str | None]) -> KetDefinition:
    if k.dot is None or k.dot == ZERO or len(reasons) > 1:
        return k
    [why] = reasons
    if why is None:
        return k
    before = k.ket.indices[-1] - ONE
    if all(any(_ends_by(before, x) for x in walk_formula(term)) for term in terms_of(k.dot)):
        return replace(k, note=f"Only earlier steps give a dot, the first none: at one step, {why}")
    return replace(k, note=f"The dot vanishes at the first step: {why}")


def _ends_by(step: Affine, formula: Formula) -> bool:
    """Whether a formula is a sum over steps until that one, or an earlier one."""
    if not isinstance(formula, LoopSum):
        return False
    gap = step - formula.last
    return not gap.terms and gap.constant >= 0


def _first(system: System) -> System:
    """The lines at step 0, the last index of what moves."""
    kets = {}
    for name, lines in system.kets.items():
        kets[name] = [x for line in lines if (x := _at_start(line)) is not None]
    return replace(system, kets=kets, scalars=dict(system.scalars))


def _at_start(line: Line) -> Line | None:
    """A line at step 0; None for one of later steps."""
    span = next((r for r in line.ranges if line.indices[-1] == Affine.variable(r.var)), None)
    if span is None:
        return line
    if span.first != START:
        return None if span.first == ONE else line
    env: Env = {span.var: START}
    matrix = line.matrix
    if matrix is not None:
        matrix = replace(matrix, indices=tuple(index_at(i, env) for i in matrix.indices))
    return replace(
        line,
        indices=(*line.indices[:-1], START),
        ranges=tuple(r for r in line.ranges if r is not span),
        value=_without_empty(reindex(line.value, env)),
        matrix=matrix,
    )


def _without_empty(formula: Formula) -> Formula:
    """A formula without its sums over no steps."""
    if isinstance(formula, LoopSum) and formula.last - formula.first == Affine(-1):
        return ZERO
    return rebuilt(formula, _without_empty)
