"""Independent replicates of a run, several at a time; finished ones are kept in a checkpoint."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from nexort.diagnostics import Diagnostic, NexortError
from nexort.lower.evaluate import Progress, Settings
from nexort.program.unrolled import Array
from nexort.tangent.plan import Plan
from nexort.tangent.run import Trajectory, balanced
from nexort.training.checkpoint import Store

LEAST = 64
DEFAULT = 1024
DEFAULT_LINEAR = 4096


@dataclass(frozen=True)
class Stage:
    """The replicates of one sample size; ``draws[name]`` has shape (R, *shape)."""

    size: int
    draws: dict[str, Array]
    stopped: tuple[int, str] | None


class Replicates:
    """Runs replicates, or finds them in the checkpoint."""

    def __init__(
        self, plan: Plan, settings: Settings, progress: Progress | None, store: Store | None
    ) -> None:
        self.plan, self.settings, self.progress, self.store = plan, settings, progress, store
        self.known: dict[int, list[Trajectory]] = {}

    def run(self, size: int, count: int) -> Stage:
        """The first ``count`` replicates of ``size`` points."""
        runs = self.known.setdefault(size, [])
        seeds = np.random.SeedSequence([self.settings.seed, size]).spawn(count)

        def one(index: int) -> Trajectory:
            key = f"tangent/{size}/{index}"
            known = None if self.store is None else self.store.get(key)
            if known is not None:
                return _unpacked(known)
            found = balanced(self.plan, size, seeds[index])
            if self.store is not None:
                self.store.put(key, _packed(found))
            return found

        pool = ThreadPoolExecutor(self.workers(size))
        try:
            with threadpool_limits(1):
                for run in pool.map(one, range(len(runs), count)):
                    runs.append(run)
                    if self.progress is not None:
                        self.progress(len(runs), count)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        draws = {name: np.stack([r.outputs[name] for r in runs]) for name in runs[0].outputs}
        return Stage(size, draws, min((r.stopped for r in runs if r.stopped), default=None))

    def workers(self, size: int) -> int:
        """Replicates at a time."""
        threads = self.settings.threads or _cores()
        return max(1, min(threads, int(self.settings.memory / self.plan.bytes(size))))

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
