"""The maximal update limit of a training run (Thm 2.5.2, 2.7.1, 2.9.25), with error bars.

R independent replicates of N points a neuron space each give a mean and its standard error. Since
averages feed back into kets, a replicate has a bias that shrinks with N; it is measured by R more
replicates of N/2 points, and where it is significant it is part of the reported error.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from nexort.diagnostics import Diagnostic, NexortError
from nexort.lower.evaluate import LimitValue, Progress, Settings
from nexort.maximal.plan import Plan
from nexort.maximal.run import Trajectory, trajectory
from nexort.program.unrolled import Array
from nexort.training.checkpoint import Store
from nexort.training.task import Task

Warn = Callable[[Diagnostic], None]

LEAST = 64

MORE = 16
"""How many times the replicates of the start may be run for an accuracy that is asked for."""

WORK = 2**22
"""Directions times points of a replicate without pairs."""

LIKELY = 2.0
"""A mean square of differences over their errors that is taken for chance."""

CERTAIN = 4.0
"""A single difference over its error that is not."""


def evaluate(
    task: Task,
    settings: Settings | None = None,
    progress: Progress | None = None,
    checkpoint: Store | None = None,
    warn: Warn | None = None,
) -> dict[str, LimitValue]:
    """The limit of every output, shape family_shape + axes.

    Replicates that are in ``checkpoint`` are not run again. Where something ceases to be finite,
    later entries are nan, the value's method says so, and ``warn`` is called. Raises NexortError
    where the memory does not hold the smallest sample.
    """
    settings = settings or Settings()
    plan = Plan.of(task)
    stages = _Stages(plan, settings, progress, checkpoint)
    size, count = stages.size(), max(2, settings.replicates)
    largest, most = min(settings.max_samples, stages.room()), MORE * count
    while True:
        half, full = stages.run(size // 2, count), stages.run(size, count)
        found = _summary(task, half, full)
        values = {name: value for name, (value, _) in found.items()}
        if settings.rtol is None or all(_met(v, settings.rtol) for v in values.values()):
            break
        # pairs of points cost the square of their number: more replicates pay, but for a bias
        pays = all(plan.linear.values()) or any(biased for _, biased in found.values())
        if 2 * size <= largest and (pays or count == most):
            size *= 2
        elif not pays and count < most:
            count = _more(count, most, values, settings.rtol)
        else:
            values = {k: _missed(v, settings.rtol) for k, v in values.items()}
            break
    if full.stopped is not None and warn is not None:
        t, what = full.stopped
        message = f"at step {t} {what} is infinite or not a number; what follows is missing"
        warn(Diagnostic("not-finite", message, None, (), "a smaller learning rate", "warning"))
    return values


@dataclass(frozen=True)
class Stage:
    """The replicates of one sample size; ``draws[name]`` has shape (R, *shape)."""

    size: int
    draws: dict[str, Array]
    stopped: tuple[int, str] | None
    dropped: float
    rank: int


class _Stages:
    """Runs replicates, or finds them in the checkpoint."""

    def __init__(
        self, plan: Plan, settings: Settings, progress: Progress | None, store: Store | None
    ) -> None:
        self.plan, self.settings, self.progress, self.store = plan, settings, progress, store
        self.known: dict[tuple[int, int], Trajectory] = {}

    def run(self, size: int, count: int) -> Stage:
        """``count`` replicates of ``size`` points, of which those that are known are not run."""
        seeds = np.random.SeedSequence([self.settings.seed, size]).spawn(count)

        def one(index: int) -> Trajectory:
            if (size, index) not in self.known:
                self.known[size, index] = found(index)
            return self.known[size, index]

        def found(index: int) -> Trajectory:
            key = f"maximal/{size}/{index}"
            known = None if self.store is None else self.store.get(key)
            if known is not None:
                return _unpacked(known)
            run = trajectory(self.plan, size, seeds[index])
            if self.store is not None:
                self.store.put(key, _packed(run))
            return run

        runs = []
        pool = ThreadPoolExecutor(self.workers(size, count))
        try:
            with threadpool_limits(1):
                for run in pool.map(one, range(count)):
                    runs.append(run)
                    if self.progress is not None:
                        self.progress(len(runs), count)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        return _gathered(size, runs)

    def cost(self, size: int) -> float:
        """Bytes of one replicate."""
        task, plan = self.plan.task, self.plan
        total = 0.0
        for key, linear in plan.linear.items():
            if not linear:
                weight = task.weights[key]
                states = len(weight.update.start((1, 1), "float32")) + (weight.norm is not None)
                tied = plan.spaces.sides[key][0] == plan.spaces.sides[key][1]
                total += 4.0 * (1 + states) * size**2 / (2 if tied else 1)
        kets = [x for s in (*plan.forward[-1:], plan.backward) for x in s.order if x.type.copies]
        live = sum(plan.rank(x) for x in kets)
        return total + 8.0 * size * (4 * live + 4 * plan.directions())

    def workers(self, size: int, count: int) -> int:
        """Replicates at a time."""
        threads = self.settings.threads or _cores()
        return max(1, min(threads, count, int(self.settings.memory / self.cost(size))))

    def room(self) -> int:
        """The largest sample, a power of two, of which one replicate fits into the memory."""
        size = LEAST
        if self.cost(size) > self.settings.memory:
            raise _too_large(size)
        while size < 2**20 and self.cost(2 * size) <= self.settings.memory:
            size *= 2
        return size

    def size(self) -> int:
        """The sample's size to begin with."""
        room = self.room()
        if self.settings.samples:
            size = max(2 * LEAST, 1 << (self.settings.samples - 1).bit_length())
            if size > room:
                raise _too_large(size)
            return size
        least = 2048
        if all(self.plan.linear.values()):
            # no pairs of points: many more of them cost the same, and quasi-random ones pay
            known = WORK // max(1, self.plan.directions())
            least = min(max(4096, 1 << (known.bit_length() - 1)), 65536)
        return max(2 * LEAST, min(least, room))


def _too_large(size: int) -> NexortError:
    message = f"a training run over {size} sample points does not fit into the memory"
    return NexortError([Diagnostic("memory-limit", message, None, (), "raise --memory")])


def _cores() -> int:
    return max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)


def _gathered(size: int, runs: list[Trajectory]) -> Stage:
    names = runs[0].outputs
    draws = {name: np.stack([r.outputs[name] for r in runs]) for name in names}
    stopped = min((r.stopped for r in runs if r.stopped), default=None)
    return Stage(
        size, draws, stopped, max(r.dropped for r in runs), max(r.rank for r in runs)
    )  # fmt: skip


def _packed(run: Trajectory) -> dict[str, Array]:
    t, what = run.stopped or (-1, "")
    return {
        **{f"output.{name}": value for name, value in run.outputs.items()},
        "stopped": np.asarray(t),
        "what": np.asarray(what),
        "dropped": np.asarray(run.dropped),
        "rank": np.asarray(run.rank),
    }


def _unpacked(arrays: dict[str, Array]) -> Trajectory:
    outputs = {k.removeprefix("output."): v for k, v in arrays.items() if k.startswith("output.")}
    t, what = int(arrays["stopped"]), str(arrays["what"])
    return Trajectory(
        outputs, (t, what) if t >= 0 else None, float(arrays["dropped"]), int(arrays["rank"])
    )  # fmt: skip


# ---- errors --------------------------------------------------------------------------------------


def _summary(task: Task, half: Stage, full: Stage) -> dict[str, tuple[LimitValue, bool]]:
    """The outputs' values, and whether a bias makes most of the largest error."""
    found = {}
    # what is dropped from hats changes covariances by its square
    rounding = max(half.dropped, full.dropped, 1e-7) ** 2
    text = f"sampled: {len(next(iter(full.draws.values()), ()))} x {full.size} points"
    if full.rank > full.size // 4:
        text += f" (rank {full.rank}: raise --samples)"
    if full.stopped is not None:
        text += f"; {full.stopped[1]} not finite at step {full.stopped[0]}"
    for output in task.outputs:
        coarse, fine = half.draws[output.name], full.draws[output.name]
        axes = tuple(range(len(output.family_shape), fine.ndim - 1))
        with np.errstate(all="ignore"):
            value, spread = fine.mean(axis=0), _error(fine)
            noise = np.hypot(spread, _error(coarse))
            excess = _significant(coarse.mean(axis=0) - value, noise)
            scale = np.abs(value).max(axis=axes, keepdims=True, initial=0.0)
            error = np.sqrt(spread**2 + excess + (scale * rounding) ** 2)
        known = np.where(np.isfinite(error), error, -1.0)
        worst = int(known.argmax()) if known.size else 0
        biased = bool(known.size and 2 * excess.flat[worst] > error.flat[worst] ** 2)
        found[output.name] = LimitValue(value, error, text), biased
    return found


def _error(draws: Array) -> Array:
    """The standard error of a mean."""
    return np.asarray(draws.std(axis=0, ddof=1) / np.sqrt(len(draws)))


def _significant(bias: Array, noise: Array) -> Array:
    """The part of squared differences that their own errors do not explain: told from an output's
    entries together, as those are one run's, and from each where it is beyond doubt."""
    known = np.isfinite(bias) & np.isfinite(noise) & (noise > 0)
    ratio = np.divide(bias, noise, out=np.zeros_like(bias), where=known) ** 2
    mean = float(ratio.sum() / max(1, known.sum()))
    part = max(0.0, 1 - LIKELY / mean) if mean > 0 else 0.0
    return np.asarray(np.where(ratio > CERTAIN**2, 1.0, part) * bias**2)


def _met(value: LimitValue, rtol: float) -> bool:
    good = np.isfinite(value.value)
    if not good.any():
        return True
    scale = np.abs(value.value[good]).max()
    return bool((value.error[good] <= rtol * scale).all())


def _more(count: int, most: int, values: Mapping[str, LimitValue], rtol: float) -> int:
    """How many replicates will do: errors fall with the root of their number."""
    ratio = 2.0
    for x in values.values():
        good = np.isfinite(x.value) & np.isfinite(x.error)
        scale = np.abs(x.value[good]).max(initial=0.0)
        if scale > 0:
            ratio = max(ratio, 1.1 * float(x.error[good].max() / (rtol * scale)) ** 2)
    return int(min(most, np.ceil(min(ratio, most) * count)))


def _missed(value: LimitValue, rtol: float) -> LimitValue:
    if _met(value, rtol):
        return value
    text = f"{value.method}; rtol {rtol:g} not reached within the sample budget"
    return LimitValue(value.value, value.error, text, met=False)
