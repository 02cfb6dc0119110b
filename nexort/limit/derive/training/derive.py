"""A training to its derivation: that of its equations, with names and sentences on top."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from nexort.data.given import Given
from nexort.expand.module import Expansion, equations
from nexort.limit.derive.algebra import Names, rebuilt
from nexort.limit.derive.derivation import Derivation
from nexort.limit.derive.formula import Formula, Symbol
from nexort.limit.derive.lines import System
from nexort.limit.derive.normal import as_written, normalized
from nexort.limit.derive.training.apart import are_apart
from nexort.limit.derive.training.kets import over_kets
from nexort.limit.derive.training.tangent import tangent
from nexort.limit.derive.training.written_in import written_in
from nexort.limit.derive.unsupported import Unsupported
from nexort.program.program import OutputRule, Program
from nexort.support.diagnostics import fail

PROCESS = "%process"


def derive_training(program: Program, numbers: Mapping[str, int | float]) -> Derivation:
    """The limit of a training (Thm 2.4.9, 2.7.3, 2.9.23, 2.9.30, 2.10.3); ``numbers`` are those of
    params, as far as they are known.

    Raises NexortError for a parametrization without a limit, and where something has no symbolic
    form.
    """
    assert program.training is not None
    given = Given(dict(numbers), {})
    try:
        names = Names()
        told = equations(program, given)
        system, process = _system(told, names)
        if not are_apart(system, numbers):
            told = equations(program, given, symbolic=False)
            system, process = _system(told, names)
        if told.regime == "tangent":
            # kets have lost their steps, outputs have not
            system.given = as_written(program, names)
            return tangent(told, system, names, process)
        return over_kets(told, tuple(program.training.network.weights), system, names, process)
    except Unsupported as problem:
        raise fail(
            "not-derivable",
            f"the training cannot be derived symbolically: {problem}",
            program.training.span,
            help="nexort eval and nexort verify still evaluate it",
        ) from None


def _system(told: Expansion, names: Names) -> tuple[System, Formula | None]:
    """The lines of the equations, and the average that is a Gaussian process."""
    program = told.program
    if told.process is not None:
        _, value = told.process
        where = program.outputs[0].span
        more = OutputRule(PROCESS, value, None, value.type.axes, where, ())
        program = replace(program, outputs=(*program.outputs, more))
    operators = {name for name in told.weights if name in program.families}
    system = normalized(program, names, kets_exist=False, operators=operators)
    system.given.pop(PROCESS, None)
    process = system.outputs.pop(PROCESS, None)
    system = written_in(system, told.written_in, names)
    if told.process is not None and told.process[0] not in system.scalars:
        for name, lines in system.scalars.items():
            system.scalars[name] = [
                replace(x, value=_drawn(x.value, told.process[0])) for x in lines
            ]
    return system, process


def _drawn(formula: Formula, name: str) -> Formula:
    """A formula in which a process of a decayed training is a random number, not an equation's."""
    if isinstance(formula, Symbol) and formula.name == name:
        return replace(formula, kind="process")
    return rebuilt(formula, lambda f: _drawn(f, name))
