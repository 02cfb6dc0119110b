"""The neural tangent limit of a training run (Thm 2.4.7, 2.4.9, 2.9.23), with error bars.

R independent replicates of N points a neuron space each give a mean and its standard error. The
error signal feeds the outputs back, so a replicate has a bias that shrinks with N; it is measured
by R more replicates of N/2 points, and where it is significant it is part of the reported error.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nexort.limit.estimate import LimitValue, met, missed, standard_error
from nexort.limit.settings import DEFAULT_REPLICATES, Progress, Settings
from nexort.limit.training.replicates import Replicates, Stage, Warn, more, tell
from nexort.limit.training.tangent.plan import Plan
from nexort.limit.training.tangent.recursion import exactly
from nexort.limit.training.tangent.run import balanced
from nexort.limit.training.tangent.standard import random_outputs
from nexort.program.unrolled import Array
from nexort.training.checkpoint import Store
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


def evaluate(
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
    plan = Plan.of(task)
    exact = exactly(plan, settings) if settings.exact else None
    if exact is not None:
        values, stopped = exact.values, exact.stopped
    else:
        values, stopped = _sampled(plan, settings, progress, checkpoint)
    tell(task, stopped, warn)
    random = random_outputs(task)
    return {name: replace(value, random=name in random) for name, value in values.items()}


def replicates(
    plan: Plan,
    settings: Settings,
    progress: Progress | None = None,
    store: Store | None = None,
) -> Replicates:
    """Replicates of a run."""
    return Replicates(
        "tangent",
        lambda size, seed, dtype: balanced(plan, size, seed, dtype),
        plan.bytes,
        settings,
        progress,
        store,
        pairs=plan.pairs,
    )


def _sampled(
    plan: Plan, settings: Settings, progress: Progress | None, store: Store | None
) -> tuple[dict[str, LimitValue], tuple[int, str] | None]:
    """The outputs, and where something ceased to be finite."""
    stages = replicates(plan, settings, progress, store)
    size = stages.size(DEFAULT if plan.pairs else DEFAULT_LINEAR)
    count = max(2, settings.replicates)
    if settings.exact:
        plan = replace(plan, graph=plan.graph.with_laws(settings.memory))
        stages = replicates(plan, settings, progress, store)
    goal, most, largest = _budget(plan, settings, size, count, stages.room())
    while True:
        half, full = stages.stages(size, count)
        found = _estimates(plan.task, half, full)
        if any(x.rounded for x in found.values()):
            size = stages.widen(size)
            largest = min(largest, stages.room())
            continue
        values = {name: x.value(_text(full, count, plan)) for name, x in found.items()}
        if goal is None or all(met(v, goal) for v in values.values()):
            break
        biased = any(x.biased for x in found.values())
        if biased and 2 * size <= largest:
            size *= 2
        elif not biased and count < most:
            count = more(count, most, values, goal)
        else:
            if settings.rtol is not None:
                values = {k: missed(v, settings.rtol) for k, v in values.items()}
            break
    return values, full.stopped


def _budget(
    plan: Plan, settings: Settings, size: int, count: int, room: int
) -> tuple[float | None, int, int]:
    """The accuracy to reach, the most replicates and the largest sample for it."""
    if settings.rtol is not None:
        return settings.rtol, MORE * count, min(settings.max_samples, room)
    if settings.samples is not None or settings.replicates != DEFAULT_REPLICATES:
        return None, count, size
    most = int(min(MORE * count, max(count, WORK / max(1.0, plan.work(size)))))
    largest = 2 * size if count * plan.work(2 * size) <= WORK else size
    return GOAL, most, min(largest, room)


def _text(full: Stage, count: int, plan: Plan) -> str:
    text = f"sampled: {count} x {full.size} points"
    if plan.drawn:
        text += f", the mean over {2 * count} draws of f_0"
    if full.stopped is not None:
        text += f"; {full.stopped[1]} not finite at step {full.stopped[0]}"
    return text


# ---- errors --------------------------------------------------------------------------------------


def _estimates(task: Task, half: Stage, full: Stage) -> dict[str, _Estimate]:
    """Of every output."""
    found = {}
    with np.errstate(over="ignore", invalid="ignore"):
        for output in task.outputs:
            coarse, fine = half.draws[output.name], full.draws[output.name]
            own = fine.ndim - 1 - len(output.family_shape)
            rounding = half.rounding(output.name, own)
            found[output.name] = _Estimate.of(coarse, fine, rounding, own)
    return found


@dataclass(frozen=True)
class _Estimate:
    """A mean, its standard error, the part of its bias that is told from none, and what single
    precision changes in a replicate."""

    mean: Array
    spread: Array
    excess: Array
    rounding: Array
    biased: bool
    """Whether bias makes most of the largest error."""
    rounded: bool
    """Whether single precision changes more than the largest error is, of the same step."""

    @staticmethod
    def of(coarse: Array, fine: Array, rounding: Array, own: int) -> _Estimate:
        """From replicates of N/2 and of N points, shapes (R, *shape), whose last ``own`` axes are
        those of an entry."""
        mean = fine.mean(axis=0)
        spread, other = standard_error(fine, coarse), standard_error(coarse, fine)
        bias = coarse.mean(axis=0) - mean
        far = np.abs(bias) / np.where(spread > 0, np.hypot(spread, other), np.inf)
        good = far[np.isfinite(far) & (far > 0)]
        # one of many entries is beyond twice its error by chance; all together are not
        least = 2.0 if len(good) and np.sqrt((good**2).mean()) > TOGETHER else ALONE
        excess = np.where(far > least, np.abs(bias), 0.0)
        worst = np.nanargmax(np.hypot(spread, excess)) if np.isfinite(spread).any() else 0
        biased = bool(excess.size and excess.flat[worst] > spread.flat[worst])
        inner = tuple(range(mean.ndim - own, mean.ndim))
        most = np.hypot(spread, excess).max(axis=inner, keepdims=True, initial=0.0)
        rounded = bool((rounding > np.where(np.isnan(most), np.inf, most)).any())
        return _Estimate(mean, spread, excess, rounding, biased, rounded)

    def value(self, text: str) -> LimitValue:
        """With the error as one number."""
        error = np.hypot(np.hypot(self.spread, self.excess), self.rounding)
        return LimitValue(self.mean, error, text)


TOGETHER = 1.3
"""Root mean square, in standard errors, of the differences between N/2 and N points from which on
they are told from none."""
ALONE = 4.0
"""The same of a single entry."""
