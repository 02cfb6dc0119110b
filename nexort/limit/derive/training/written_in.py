"""Lines without the names that a training's equations have for gradients and updates."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

from nexort.limit.derive.algebra import BoundNames, rebuilt, unbound
from nexort.limit.derive.formula import CopyMean, Formula, Ket, Symbol
from nexort.limit.derive.indexing import on_copy
from nexort.limit.derive.lines import Line, System, covers
from nexort.limit.derive.walking import walk_formula


def written_in(system: System, names: Set[str], fresh: BoundNames) -> System:
    """The lines of a system with some families written in where they are read; those with averages
    over copies keep their names."""
    families = {
        name: lines
        for name, lines in (*system.kets.items(), *system.scalars.items())
        if name in names and not any(_averages(x.value) for x in lines)
    }

    left: set[str] = set()

    def visit(item: Formula) -> Formula:
        if isinstance(item, Ket | Symbol) and item.name in families:
            found = _at(families[item.name], item)
            if found is not None:
                value = visit(unbound(found, fresh))
                copy = item.copy if isinstance(item, Ket) else 0
                return on_copy(value, copy) if copy else value
            left.add(item.name)
        return rebuilt(item, visit)

    def lines(found: dict[str, list[Line]]) -> dict[str, list[Line]]:
        return {name: [replace(x, value=visit(x.value)) for x in some]
                for name, some in found.items()}  # fmt: skip

    kets, scalars, operators = map(lines, (system.kets, system.scalars, system.operators))
    for name in families.keys() - left:
        kets.pop(name, None)
        scalars.pop(name, None)
    return replace(system, kets=kets, scalars=scalars, operators=operators)


def _averages(formula: Formula) -> bool:
    return any(isinstance(x, CopyMean) for x in walk_formula(formula))


def _at(lines: list[Line], item: Ket | Symbol) -> Formula | None:
    """The value of a member that one line surely defines."""
    if len(lines) == 1:
        return lines[0].at(item.indices, item.axes)
    found = [x for x in lines if covers(x, item.indices, ())]
    return found[0].at(item.indices, item.axes) if len(found) == 1 else None
