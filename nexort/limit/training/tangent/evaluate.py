"""The neural tangent limit of a training run (Thm 2.4.7, 2.4.9, 2.9.23), with error bars."""

from __future__ import annotations

from dataclasses import replace

from nexort.limit.estimate import LimitValue, Summary
from nexort.limit.sample.replicates import (
    ReplicateBudget,
    Replicates,
    Stage,
    Stop,
    refine_replicates,
)
from nexort.limit.settings import DEFAULT_REPLICATES, Progress, Settings
from nexort.limit.training.stopping import Warn, tell
from nexort.limit.training.tangent.plan import TangentPlan
from nexort.limit.training.tangent.recursion import exactly
from nexort.limit.training.tangent.run import symmetrized_trajectory
from nexort.limit.training.tangent.standard import random_outputs
from nexort.support.checkpoint import Store
from nexort.training.task import Task

DEFAULT = 1024
DEFAULT_LINEAR = 4096
"""Points of a sample where none is asked for, and where no pairs of points are needed."""

MORE = 32
"""How many times the replicates asked for may be run for an accuracy asked for."""

GOAL = 0.003
"""The accuracy where neither it nor a sample is asked for, as far as ``WORK`` allows."""
WORK = 4e9
"""Updates of pairs of points, over all steps and replicates."""


def evaluate_tangent(
    task: Task,
    settings: Settings | None = None,
    progress: Progress | None = None,
    checkpoint: Store | None = None,
    warn: Warn | None = None,
) -> dict[str, LimitValue]:
    """The limit of every output, shape family_shape + axes.

    Where f_0 is random every replicate has its own, and the value is the mean. Where all updates
    are linear in the gradients and the bra-kets have exact values, nothing else is sampled.
    Replicates that are in ``checkpoint`` are not run again. Where something ceases to be finite,
    later entries are nan, the value's method says so, and ``warn`` is called. Raises NexortError
    where the memory does not hold the smallest sample.
    """
    settings = settings or Settings()
    plan = TangentPlan.of(task)
    exact = exactly(plan, settings) if settings.exact else None
    if exact is not None:
        values, stopped = exact.values, exact.stopped
    else:
        values, stopped = _sampled(plan, settings, progress, checkpoint)
    tell(task, stopped, warn)
    random = random_outputs(task)
    return {name: replace(value, random=name in random) for name, value in values.items()}


def tangent_replicates(
    plan: TangentPlan,
    settings: Settings,
    progress: Progress | None = None,
    store: Store | None = None,
) -> Replicates:
    """Replicates of a run."""
    return Replicates(
        "tangent",
        lambda size, seed, dtype: symmetrized_trajectory(plan, size, seed, dtype),
        plan.bytes,
        settings,
        progress,
        store,
        pairs=plan.pairs,
    )


def _sampled(
    plan: TangentPlan, settings: Settings, progress: Progress | None, store: Store | None
) -> tuple[dict[str, LimitValue], Stop | None]:
    """The outputs, and where something ceased to be finite."""
    runs = tangent_replicates(plan, settings, progress, store)
    size = runs.size(DEFAULT if plan.pairs else DEFAULT_LINEAR)
    budget = _budget(plan, settings, size, runs.room())
    if settings.exact:
        plan = replace(plan, laws=plan.exact_laws(settings.memory))
        runs = tangent_replicates(plan, settings, progress, store)
    full, _, values = refine_replicates(
        runs,
        size,
        budget,
        lambda half, full: _summaries(plan, half, full),
        lambda full: _text(full, plan),
    )
    return values, full.stopped


def _budget(plan: TangentPlan, settings: Settings, size: int, room: int) -> ReplicateBudget:
    count = max(2, settings.replicates)
    if settings.rtol is not None:
        largest = min(settings.max_samples, room)
        return ReplicateBudget(settings.rtol, MORE * count, largest, pays=False)
    if settings.samples is not None or settings.replicates != DEFAULT_REPLICATES:
        return ReplicateBudget(None, count, size, pays=False)
    most = int(min(MORE * count, max(count, WORK / max(1.0, plan.work(size)))))
    largest = 2 * size if count * plan.work(2 * size) <= WORK else size
    return ReplicateBudget(GOAL, most, min(largest, room), pays=False)


def _text(full: Stage, plan: TangentPlan) -> str:
    return full.method(*[f"the mean over {2 * full.count} draws of f_0"] * plan.drawn)


def _summaries(plan: TangentPlan, half: Stage, full: Stage) -> dict[str, Summary]:
    """Of every output. Draws of f_0 differ however large the samples are."""
    settles = not plan.drawn
    return {x.name: full.summary(half, x, settles=settles) for x in plan.task.outputs}
