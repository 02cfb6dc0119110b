"""The neural tangent limit of a training run (Thm 2.4.7, 2.4.9, 2.9.23), with error bars.

R independent replicates of N points a neuron space each give a mean and its standard error. The
error signal feeds the outputs back, so a replicate has a bias that shrinks with N; it is measured
by R more replicates of N/2 points, and where it is significant it is part of the reported error.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from nexort.diagnostics import Diagnostic, NexortError
from nexort.lower.evaluate import LimitValue, Progress, Settings
from nexort.program.unrolled import Array
from nexort.tangent.plan import Plan
from nexort.tangent.recursion import exactly
from nexort.tangent.run import Trajectory, balanced
from nexort.training.checkpoint import Store
from nexort.training.task import Task

Warn = Callable[[Diagnostic], None]

LEAST = 64
DEFAULT = 1024
DEFAULT_LINEAR = 4096


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
        _tell(exact.stopped, warn)
        return exact.values
    stages = _Stages(plan, settings, progress, checkpoint)
    size = stages.size()
    half = stages.run(size // 2)
    while True:
        full = stages.run(size)
        with np.errstate(over="ignore", invalid="ignore"):
            values = _summary(half, full, drawn=plan.drawn)
        if settings.rtol is None or all(_met(v, settings.rtol) for v in values.values()):
            break
        if 2 * size > min(settings.max_samples, stages.room()):
            values = {k: _missed(v, settings.rtol) for k, v in values.items()}
            break
        half, size = full, 2 * size
    _tell(full.stopped, warn)
    return values


def _tell(stopped: tuple[int, str] | None, warn: Warn | None) -> None:
    if stopped is not None and warn is not None:
        t, what = stopped
        message = f"{what} is infinite or not a number at step {t}; later values are missing"
        warn(Diagnostic("not-finite", message, None, (), "a smaller learning rate", "warning"))


@dataclass(frozen=True)
class Stage:
    """The replicates of one sample size; ``draws[name]`` has shape (R, *shape)."""

    size: int
    draws: dict[str, Array]
    stopped: tuple[int, str] | None


class _Stages:
    """Runs replicates, or finds them in the checkpoint."""

    def __init__(
        self, plan: Plan, settings: Settings, progress: Progress | None, store: Store | None
    ) -> None:
        self.plan, self.settings, self.progress, self.store = plan, settings, progress, store
        self.count = max(2, settings.replicates)

    def run(self, size: int) -> Stage:
        """The replicates of ``size`` points."""
        seeds = np.random.SeedSequence([self.settings.seed, size]).spawn(self.count)

        def one(index: int) -> Trajectory:
            key = f"tangent/{size}/{index}"
            known = None if self.store is None else self.store.get(key)
            if known is not None:
                return _unpacked(known)
            found = balanced(self.plan, size, seeds[index])
            if self.store is not None:
                self.store.put(key, _packed(found))
            return found

        runs = []
        pool = ThreadPoolExecutor(self.workers(size))
        try:
            with threadpool_limits(1):
                for run in pool.map(one, range(self.count)):
                    runs.append(run)
                    if self.progress is not None:
                        self.progress(len(runs), self.count)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        draws = {name: np.stack([r.outputs[name] for r in runs]) for name in runs[0].outputs}
        return Stage(size, draws, min((r.stopped for r in runs if r.stopped), default=None))

    def workers(self, size: int) -> int:
        """Replicates at a time."""
        threads = self.settings.threads or _cores()
        return max(1, min(threads, self.count, int(self.settings.memory / self.plan.bytes(size))))

    def room(self) -> int:
        """The largest sample, a power of two, of which one replicate fits into the memory."""
        size = LEAST
        if self.plan.bytes(size) > self.settings.memory:
            raise _too_large(size)
        while size < 2**20 and self.plan.bytes(2 * size) <= self.settings.memory:
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
        return max(2 * LEAST, min(DEFAULT if self.plan.pairs else DEFAULT_LINEAR, room))


def _too_large(size: int) -> NexortError:
    message = f"a training run over {size} sample points does not fit into the memory"
    return NexortError([Diagnostic("memory-limit", message, None, (), "raise --memory")])


def _cores() -> int:
    return max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)


def _packed(run: Trajectory) -> dict[str, Array]:
    t, what = run.stopped or (-1, "")
    found = {f"output.{name}": value for name, value in run.outputs.items()}
    return {**found, "stopped": np.asarray(t), "what": np.asarray(what)}


def _unpacked(arrays: dict[str, Array]) -> Trajectory:
    outputs = {k.removeprefix("output."): v for k, v in arrays.items() if k.startswith("output.")}
    t, what = int(arrays["stopped"]), str(arrays["what"])
    return Trajectory(outputs, (t, what) if t >= 0 else None)


# ---- errors --------------------------------------------------------------------------------------


def _summary(half: Stage, full: Stage, *, drawn: bool) -> dict[str, LimitValue]:
    found = {}
    for name, fine in full.draws.items():
        coarse, count = half.draws[name], len(fine)
        value, spread = fine.mean(axis=0), fine.std(axis=0, ddof=1) / np.sqrt(count)
        bias = coarse.mean(axis=0) - value
        noise = np.hypot(spread, coarse.std(axis=0, ddof=1) / np.sqrt(len(coarse)))
        # a bias within twice its own error is not told from none
        excess = np.where(np.abs(bias) > 2 * noise, bias**2, 0.0)
        text = f"sampled: {count} x {full.size} points"
        if drawn:
            text += f", the mean over {2 * count} draws of f_0"
        if full.stopped is not None:
            text += f"; {full.stopped[1]} not finite at step {full.stopped[0]}"
        found[name] = LimitValue(value, np.sqrt(spread**2 + excess), text)
    return found


def _met(value: LimitValue, rtol: float) -> bool:
    good = np.isfinite(value.value)
    if not good.any():
        return True
    scale = np.abs(value.value[good]).max()
    return bool((value.error[good] <= rtol * scale).all())


def _missed(value: LimitValue, rtol: float) -> LimitValue:
    if _met(value, rtol):
        return value
    text = f"{value.method}; rtol {rtol:g} not reached within the sample budget"
    return LimitValue(value.value, value.error, text, met=False)
