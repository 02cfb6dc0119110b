"""The limit of every output by samples, with an error bar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from nexort.limit.estimate import EPS, LimitValue, Summary
from nexort.limit.exact.meanings import NO_VARIANCE, NOT_SHOWN
from nexort.limit.sample.cautions import vanishing_jumps
from nexort.limit.sample.machine import Machine
from nexort.limit.sample.matrices import InitialOperator
from nexort.limit.sample.plan import SamplePlan
from nexort.limit.sample.replicates import (
    ReplicateBudget,
    Replicates,
    Stage,
    Trajectory,
    refine_replicates,
)
from nexort.limit.settings import Progress, Settings
from nexort.program.nodes import Node, Role, walk
from nexort.program.unrolled import Array, Unrolled, UnrolledOutput
from nexort.support.diagnostics import Diagnostic, NexortError, Span
from nexort.support.roots import Indefinite

DEFAULT_SAMPLES = 4096
DEFAULT_SAMPLES_OUTER = 1024
MOST_BY_DEFAULT = 2**15

UNSEEN = 3.0
"""What none of N points saw has a probability below 3 / N (with 95 %, as (1 - 3 / N)^N = 0.05), and
changes a product of signs by 2: half of that, as two errors are what covers."""


def sample(
    plan: SamplePlan, settings: Settings, progress: Progress | None
) -> dict[str, LimitValue]:
    """The limit of every output, by samples where there is anything random.

    Raises NexortError where a number is not finite or a covariance is not positive semidefinite,
    pointing at the line that made it.
    """
    if not plan.sampled:
        found = replicate(plan, 2, np.random.SeedSequence(0)).outputs
        return {name: LimitValue(x, np.zeros_like(x), "exact") for name, x in found.items()}
    runs = Replicates(
        "plain",
        lambda size, seed, _: replicate(plan, size, seed),
        lambda size, _: plan.bytes(size),
        settings,
        progress,
        pairs=False,
    )
    size = runs.size(_default_samples(plan))
    most = max(2, settings.replicates)
    budget = ReplicateBudget(settings.rtol, most, min(settings.max_samples, runs.room()), pays=True)
    full, _, values = refine_replicates(
        runs, size, budget, lambda half, full: _summaries(plan, half, full), Stage.method
    )
    return _with_cautions(plan, full, values, settings.seed)


def replicate(plan: SamplePlan, size: int, seed: np.random.SeedSequence) -> Trajectory:
    """One replicate over ``size`` points a neuron space. It notes what was ``dropped`` of arguments
    of matrices, and the largest ``rank`` of a basis of them."""
    machine = plan.machine(size, seed)
    with np.errstate(all="ignore"):
        try:
            machine.run(plan.schedule)
        except Indefinite as problem:
            raise _not_positive(plan.program, problem) from None
    outputs = _outputs(plan.program, machine)
    if not all(np.isfinite(x).all() for x in outputs.values()):
        raise _not_finite(plan, size, seed)
    matrices = [m for m in machine.operators.values() if isinstance(m, InitialOperator)]
    return Trajectory(
        outputs,
        notes={
            "dropped": max((m.dropped for m in matrices), default=0.0),
            "rank": float(max((m.rank for m in matrices), default=0)),
        },
        measured={str(k): machine.squares[x] for k, x in enumerate(plan.jumps)},
    )


def _outputs(program: Unrolled, machine: Machine) -> dict[str, Array]:
    """Every output, shape family_shape + axes."""
    found = {}
    for output in program.outputs:
        shape = program.shape(output.axes)
        parts = [np.broadcast_to(machine.values[m], shape) for m in output.members]
        found[output.name] = np.stack(parts).reshape((*output.family_shape, *shape)).astype(float)
    return found


def _default_samples(plan: SamplePlan) -> int:
    """Enough points for the bases of arguments to stay a small part of the sample."""
    least = DEFAULT_SAMPLES_OUTER if plan.graph.regions else DEFAULT_SAMPLES
    wanted = 1 << (8 * plan.directions - 1).bit_length() if plan.directions else 0
    return min(max(least, wanted), MOST_BY_DEFAULT)


# ---- errors --------------------------------------------------------------------------------------


def _summaries(plan: SamplePlan, half: Stage, full: Stage) -> dict[str, Summary]:
    """Of every output."""
    dropped = max(half.notes["dropped"], full.notes["dropped"])
    floor = dropped + 64 * EPS * np.sqrt(len(plan.schedule.order))
    return {
        output.name: full.summary(half, output, floor=floor, least=_unseen(plan, output, full))
        for output in plan.program.outputs
    }


def _unseen(plan: SamplePlan, output: UnrolledOutput, full: Stage) -> float:
    """The error of what no point saw: an output that reads a jump."""
    if set(plan.jumps).isdisjoint(walk(output.members)):
        return 0.0
    draws = full.draws[output.name]
    scale = np.abs(draws.mean(axis=0)).max() if draws.size else 0.0
    return float(UNSEEN * (scale or 1.0) / (full.count * full.size))


def _with_cautions(
    plan: SamplePlan, full: Stage, values: Mapping[str, LimitValue], seed: int
) -> dict[str, LimitValue]:
    """The values with what is to be known of each; those of numbers alone are exact."""
    doubtful = vanishing_jumps(plan, full, seed)
    found = {}
    for output in plan.program.outputs:
        value, inside = values[output.name], walk(output.members)
        if not any(x.op.role is Role.AVERAGE for x in inside):
            found[output.name] = LimitValue(value.value, np.zeros_like(value.value), "exact")
            continue
        text = value.method
        if not plan.unknown.isdisjoint(inside):
            text += f", {NOT_SHOWN}"
        elif not plan.heavy.isdisjoint(inside):
            text += f", {NO_VARIANCE}"
        for x in doubtful & set(inside):
            text += f"; outside of the theorem: {_place(plan.program, x)[1]} applies {x.attr} to a "
            text += "ket that vanishes in the limit"
        found[output.name] = replace(value, method=text)
    return found


# ---- failures ------------------------------------------------------------------------------------


def _not_finite(plan: SamplePlan, size: int, seed: np.random.SeedSequence) -> NexortError:
    """Run once more, watching for the first node that is not finite."""
    bad: list[Node] = []

    def seen(x: Node, value: Array) -> None:
        if not bad and not np.isfinite(value).all():
            bad.append(x)

    with np.errstate(all="ignore"):
        plan.machine(size, seed).run(plan.schedule, seen)
    span, name = _place(plan.program, bad[0] if bad else None)
    return NexortError(
        [
            Diagnostic(
                "not-finite",
                f"a value of {name} is infinite or not a number in the limit",
                span,
                (),
                "look for a division by zero, a root or logarithm of a negative number, or growth "
                "beyond floating point (1.8e308)",
            )
        ]
    )


def _not_positive(program: Unrolled, problem: Indefinite) -> NexortError:
    span, name = _place(program, problem.where)
    message = f"the covariance in {name} is not symmetric positive semidefinite"
    message += f" (smallest eigenvalue {problem.eigenvalue:.3g})"
    return NexortError([Diagnostic("not-positive", message, span)])


def _place(program: Unrolled, node: Node | None) -> tuple[Span | None, str]:
    """The first written binding that reaches a node, and its text."""
    if node is not None:
        users = [(x.serial, s) for x, s in program.spans.items() if x is node or node in walk([x])]
        if users:
            span = min(users, key=lambda u: u[0])[1]
            return span, f"'{span.text}'"
    return None, "the program"
