"""The lines of a training's equations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from nexort.expand.module import Expansion
from nexort.limit.derive.algebra import BoundNames, rebuilt
from nexort.limit.derive.formula import Formula, Symbol
from nexort.limit.derive.lines import System
from nexort.limit.derive.matching import grid
from nexort.limit.derive.normal import as_written, normalize
from nexort.limit.derive.training.one_output import with_outputs
from nexort.limit.derive.training.written_in import written_in
from nexort.program.declarations import OutputRule
from nexort.program.program import Program
from nexort.program.types import Kind

PROCESS = "%process"
"""The output by which the average of a process is read."""


@dataclass(frozen=True)
class TrainingLines:
    """A training's equations as lines. ``process`` is the average that is a Gaussian process, over
    the labels of the output; ``weights`` are all that are trained, and sums of their updates."""

    told: Expansion
    names: BoundNames
    system: System
    process: Formula | None
    weights: tuple[str, ...]

    def operator(self) -> Iterator[tuple[Symbol, Formula]]:
        """The lines of the neural tangent operator, where there is one."""
        for line in self.system.scalars.get(self.told.kernel, ()):
            yield Symbol(line.name, line.indices, line.axes), line.value


def training_lines(program: Program, told: Expansion) -> TrainingLines:
    """The lines of a training with these equations. Raises NexortError, Unsupported."""
    assert program.training is not None
    core, names = told.program, BoundNames()
    if told.process is not None:
        _, value = told.process
        where = program.outputs[0].span
        more = OutputRule(PROCESS, value, None, value.type.axes, where, ())
        core = replace(core, outputs=(*core.outputs, more))
    weights = program.training.network.weights
    apart = tuple(y for x in weights for y in (x, told.sums.get(x, "")) if y in core.families)
    operators = {name for name in apart if core.families[name].type.kind is Kind.OPERATOR}
    system = normalize(core, names, kets_exist=False, operators=operators)
    system.given.pop(PROCESS, None)
    process = system.outputs.pop(PROCESS, None)
    if told.single is not None:
        system = with_outputs(system, told.single, program.training.network.name)
    system = written_in(system, told.written_in, names)
    if told.regime == "tangent":
        system.given = as_written(program, names)  # kets have lost their steps, outputs have not
    elif told.process is not None:
        for name, lines in system.scalars.items():
            system.scalars[name] = [
                replace(x, value=_drawn(x.value, told.process[0])) for x in lines
            ]
    return TrainingLines(told, names, system, process, apart)


def _drawn(formula: Formula, name: str) -> Formula:
    """A formula in which a process is a random number, not one with an equation."""
    if isinstance(formula, Symbol) and formula.name == name:
        return replace(formula, kind="process")
    return rebuilt(formula, lambda f: _drawn(f, name))


def are_apart(system: System, numbers: Mapping[str, int | float]) -> bool:
    """Whether ranges that are apart for large params are so at the program's numbers."""
    known = {k: v for k, v in numbers.items() if isinstance(v, int)}
    for lines in (*system.kets.values(), *system.scalars.values()):
        seen: set[tuple[int, ...]] = set()
        for line in lines:
            try:
                members = [
                    tuple(i.value({**known, **env}) for i in line.indices)
                    for env in grid(line.ranges, known)
                ]
            except KeyError:
                continue
            for at in members:
                if at in seen:
                    return False
                seen.add(at)
    return True
