"""A training to its derivation: that of its equations, with names and sentences on top."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from nexort.data.given import Given
from nexort.expand.module import Expansion, equations
from nexort.limit.derive.algebra import Names
from nexort.limit.derive.derivation import Derivation
from nexort.limit.derive.formula import Formula, Ket, Symbol
from nexort.limit.derive.lines import System
from nexort.limit.derive.normal import normalized
from nexort.limit.derive.tables import parts_of_moved
from nexort.limit.derive.training.apart import check_apart
from nexort.limit.derive.training.kets import OverKets
from nexort.limit.derive.training.naming import Reader
from nexort.limit.derive.training.tangent import tangent
from nexort.limit.derive.training.written_in import written_in
from nexort.limit.derive.unsupported import Unsupported
from nexort.limit.derive.writing import written
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
    try:
        told = equations(program, Given(dict(numbers), {}))
        names = Names()
        system, process = _system(told, names)
        check_apart(system, numbers)
        if told.regime == "tangent":
            return tangent(told, system, names, process)
        engine = OverKets(told.program, system, names)
        within = parts_of_moved(engine)
        weights = tuple(program.training.network.weights)
        found = Reader(told, weights, system, within).training(engine.found(within))
        found = written(found, told.program, frozenset())
        # bra-kets and slopes are those of the kets, without equations of their own
        missing = tuple(x for x in found.undefined if isinstance(x, Ket | Symbol))
        return replace(found, closed=False, undefined=missing)
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
    return written_in(system, told.written_in, names), process
