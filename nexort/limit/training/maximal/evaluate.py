"""The maximal update limit of a training run (Thm 2.5.2, 2.7.1, 2.9.25), with error bars."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from nexort.limit.estimate import LimitValue, Summary
from nexort.limit.sample.replicates import ReplicateBudget, Replicates, Stage, refine_replicates
from nexort.limit.settings import Progress, Settings
from nexort.limit.training.maximal.plan import MaximalPlan
from nexort.limit.training.maximal.run import maximal_trajectory
from nexort.limit.training.stopping import Warn, tell
from nexort.support.checkpoint import Store
from nexort.training.task import Task

MORE = 16
"""How many times the replicates of the start may be run for an accuracy that is asked for."""

WORK = 2**17
"""Arguments of matrices in a step times points of a replicate without pairs. It does not depend on
the number of steps, so that what a run has at a step does not."""


def evaluate_maximal(
    task: Task,
    settings: Settings | None = None,
    progress: Progress | None = None,
    checkpoint: Store | None = None,
    warn: Warn | None = None,
    separates: Callable[[], float | None] | None = None,
) -> dict[str, LimitValue]:
    """The limit of every output, shape family_shape + axes.

    Replicates that are in ``checkpoint`` are not run again. Where something ceases to be finite,
    later entries are nan, the value's method says so, and ``warn`` is called. Where the spread of
    replicates does not fall with the sample, ``separates`` is asked whether networks of finite
    width separate, which is chaos, and by how much. Raises NexortError where the memory does not
    hold the smallest sample.
    """
    settings = settings or Settings()
    plan = MaximalPlan.of(task)
    runs = maximal_replicates(plan, settings, progress, checkpoint)
    size = runs.size(_default(plan))
    # pairs of points cost the square of their number: more replicates pay, but for a bias
    most = MORE * max(2, settings.replicates)
    largest = min(settings.max_samples, runs.room())
    budget = ReplicateBudget(settings.rtol, most, largest, pays=not plan.pairs)
    full, found, values = refine_replicates(
        runs, size, budget, lambda half, full: _summaries(task, half, full), Stage.method
    )
    tell(task, full.stopped, warn)
    if any(x.lasting for x in found.values()):
        text = _unsettled(None if separates is None else separates())
        values = {
            name: replace(v, method=v.method + text) if found[name].lasting else v
            for name, v in values.items()
        }
    for name, x in found.items():
        if x.alike:
            values[name] = replace(
                values[name], method=f"exact to rounding: alike in {full.points}"
            )
    return values


def _unsettled(growth: float | None) -> str:
    """What is said of a spread that does not fall."""
    why = "the spread of runs does not fall with the sample"
    if growth is not None:
        why = f"chaotic, networks that start apart by 1e-9 separate {growth:.2g}-fold"
    return f"; {why}: errors are the spread of runs"


def maximal_replicates(
    plan: MaximalPlan,
    settings: Settings,
    progress: Progress | None = None,
    store: Store | None = None,
) -> Replicates:
    """Replicates of a run."""
    return Replicates(
        "maximal",
        lambda size, seed, dtype: maximal_trajectory(plan, size, seed, dtype),
        plan.bytes,
        settings,
        progress,
        store,
        pairs=plan.pairs,
    )


def _default(plan: MaximalPlan) -> int:
    """The sample's size where none is asked for."""
    if plan.pairs:
        return 2048
    # no pairs of points: many more of them cost the same, and quasi-random ones pay
    known = WORK // max(1, plan.arguments())
    return min(max(4096, 1 << (known.bit_length() - 1)), 65536)


# ---- errors --------------------------------------------------------------------------------------


def _summaries(task: Task, half: Stage, full: Stage) -> dict[str, Summary]:
    """Of every output."""
    # what is dropped from hats changes covariances by its square
    floor = max(full.notes["dropped"], 1e-7) ** 2
    return {output.name: full.summary(half, output, floor=floor) for output in task.outputs}
