"""The neural tangent limit of a training (Thm 2.4.9, 2.9.23): kets stay as they are at the start,
so that their covariances close, and f_{t+1} = f_t - rate K_Q."""

from __future__ import annotations

from dataclasses import replace

from nexort.limit.derive.derivation import Derivation, GaussianFamily
from nexort.limit.derive.derive import equations_of
from nexort.limit.derive.engine import Engine
from nexort.limit.derive.formula import ZERO, Formula, Symbol
from nexort.limit.derive.training.lines import TrainingLines
from nexort.limit.derive.training.process import averaged_ket, process_law
from nexort.limit.derive.unsupported import Unsupported
from nexort.program.index import Affine
from nexort.program.types import Axes

START = Affine()


def tangent(read: TrainingLines) -> Derivation:
    """The limit, by the engine of programs. Raises Unsupported, NexortError."""
    told, process = read.told, read.process
    engine = Engine(told.program, read.system, read.names)
    for left, value in read.operator():
        engine.trace.record("neural tangent operator", left, value)
    if process is not None and told.process is not None:
        name, node = told.process
        engine.processes[name] = lambda: start(engine, name, node.type.axes, process)
    found = replace(equations_of(engine), regime="tangent")
    outputs = tuple(
        replace(o, ranges=tuple(replace(r, first=START) for r in o.ranges))
        if isinstance(o.value, Symbol) and o.value.name in engine.processes and o.value.indices
        else o
        for o in found.outputs
    )
    closed = found.closed and not any(g.reason == "output" for g in found.gaussians)
    return replace(found, outputs=outputs, closed=closed)


def start(engine: Engine, name: str, axes: Axes, average: Formula) -> GaussianFamily:
    """f_0 -> N(0, <x|x>), x the ket whose entries the output sums."""
    whole = averaged_ket(average)
    mark = engine.begin()
    if engine.rules.of(whole, ()) != ZERO:
        raise Unsupported("an output whose entries may have a mean at the start: 'centre' it")
    engine.undo(mark)  # what a mean of 0 was asked with is read by nothing
    process = Symbol(name, (START,))
    return process_law(
        process, whole, axes, (), engine.names, lambda body: engine.rules.of(body, ())
    )
