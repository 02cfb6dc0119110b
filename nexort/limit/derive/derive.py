"""Program to derivation: the outputs' limits, what every ket is, and the recursion of bra-kets."""

from __future__ import annotations

from nexort.limit.derive.derivation import Derivation
from nexort.limit.derive.engine import Engine
from nexort.limit.derive.tables import gaussian_families, ket_definitions
from nexort.limit.derive.writing import with_readable_names
from nexort.program.program import Program
from nexort.support.diagnostics import fail


def derive(program: Program) -> Derivation:
    """The symbolic limit of every output of a program (Def 2.6.5, Thm 2.6.10).

    Raises NexortError where a rule has no symbolic form, or where the recursion does not close.
    """
    try:
        return equations_of(Engine(program))
    except RecursionError:
        raise fail(
            "not-derivable", "formulas of the program nest too deeply",
            help="nexort eval and nexort verify still evaluate it",
        ) from None  # fmt: skip


def equations_of(engine: Engine) -> Derivation:
    """Outputs first, then what they need, until nothing new is asked for."""
    outputs = [engine.output(o) for o in engine.program.outputs]
    engine.settle()
    laws = [law() for name, law in engine.processes.items() if name in engine.scalars_seen]
    engine.settle()
    kets = tuple(ket_definitions(engine, {}))
    engine.settle()
    gaussians = (*gaussian_families(engine), *laws)
    engine.settle_if_possible()
    derivation = Derivation(
        engine.program.source.title,
        tuple(outputs),
        tuple(engine.all_equations()),
        kets,
        gaussians,
        tuple(engine.trace.steps),
        False,
        updates=engine.functions(),
    )
    return with_readable_names(derivation, engine.program, engine.responses.unknown)
