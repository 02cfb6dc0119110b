"""The neural tangent limit of a training (Thm 2.4.9, 2.9.23): kets stay as they are at the start,
so that their covariances close, and f_{t+1} = f_t - rate K_Q."""

from __future__ import annotations

from dataclasses import replace

from nexort.limit.derive.algebra import rebuilt, reindexed, unbound
from nexort.limit.derive.arithmetic import mul
from nexort.limit.derive.derivation import Derivation, GaussianFamily, Label
from nexort.limit.derive.derive import equations_of
from nexort.limit.derive.engine import Engine
from nexort.limit.derive.formula import ZERO, Expectation, Formula, Symbol
from nexort.limit.derive.naming import labelled
from nexort.limit.derive.training.lines import TrainingLines
from nexort.limit.derive.unsupported import Unsupported
from nexort.program.index import Affine

START = Affine()


def tangent(read: TrainingLines) -> Derivation:
    """The limit, by the engine of programs. Raises Unsupported, NexortError."""
    told, process = read.told, read.process
    engine = Engine(told.program, read.system, read.names)
    for line in read.system.scalars[told.kernel]:
        left = Symbol(line.name, line.indices, line.axes)
        engine.trace.record("neural tangent operator", left, line.value)
    if process is not None and told.process is not None:
        name, node = told.process
        engine.processes[name] = lambda: start(engine, name, labelled(node.type.axes), process)
    found = replace(equations_of(engine), regime="tangent")
    outputs = tuple(
        replace(o, ranges=tuple(replace(r, first=START) for r in o.ranges))
        if isinstance(o.value, Symbol) and o.value.name in engine.processes and o.value.indices
        else o
        for o in found.outputs
    )
    closed = found.closed and not any(g.reason == "output" for g in found.gaussians)
    return replace(found, outputs=outputs, closed=closed)


def start(engine: Engine, name: str, axes: tuple[Label, ...], average: Formula) -> GaussianFamily:
    """f_0 -> N(0, <x|x>), x the ket whose entries the output sums."""
    whole = inside(average)
    mark = engine.begin()
    if engine.rules.of(whole, ()) != ZERO:
        raise Unsupported("an output whose entries may have a mean at the start: 'centre' it")
    engine.undo(mark)  # what a mean of 0 was asked with is read by nothing
    sides = []
    for side in "lr":
        labels = tuple(Label(f"${side}{k}", x.axis) for k, x in enumerate(axes))
        at = tuple(Affine.variable(x.label) for x in labels)
        env = {x.label: a for x, a in zip(axes, at, strict=True)}
        sides.append((labels, at, unbound(reindexed(whole, env), engine.names)))
    (la, aa, xa), (lb, ab, xb) = sides
    covariance = engine.rules.of(mul(xa, xb), ())
    left, right = (Symbol(name, (START,), a) for a in (aa, ab))
    return GaussianFamily(left, right, covariance, (), (*la, *lb), "output")


def inside(formula: Formula) -> Formula:
    """The ket of which a sum of averages is the average."""
    if isinstance(formula, Expectation):
        return formula.body
    return rebuilt(formula, inside)
