"""One replicate of a training run in the neural tangent limit (Thm 2.9.19, 2.9.23, 2.10.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nexort.program.nodes import Node
from nexort.program.unrolled import Array
from nexort.tangent.moved import Pairs
from nexort.tangent.plan import Plan
from nexort.tangent.sample import Sample
from nexort.training.recorder import Recorder, scalar_value


@dataclass(frozen=True)
class Trajectory:
    """Every output, nan beyond the step at which something ceased to be finite; ``stopped`` says
    which step and what."""

    outputs: Mapping[str, Array]
    stopped: tuple[int, str] | None


def trajectory(plan: Plan, size: int, seed: np.random.SeedSequence) -> Trajectory:
    """The run on ``size`` points a neuron space."""
    with np.errstate(all="ignore"):
        return _Run(plan, size, seed).run()


class _Run:
    def __init__(self, plan: Plan, size: int, seed: np.random.SeedSequence) -> None:
        self.plan, self.task = plan, plan.task
        kets, self.draws = seed.spawn(2)
        self.sample = Sample(plan, size, kets)
        self.shape = self.task.step.shape(self.task.out.type.axes)

    def run(self) -> Trajectory:
        task, recorder = self.task, Recorder(self.task)
        values, terms = self.sample.terms(self.plan.steps[0])
        pairs = {w.key: Pairs(w, terms[w.key], sums=False) for w in self.plan.moving}
        f = self.start()
        stopped = None
        for t in range(task.steps + 1):
            recorder.record(t, {**values, task.out: f})
            if t == task.steps:
                break
            chi = task.signal(t, f)
            change = np.zeros(f.size)
            for w in self.plan.moving:
                found = pairs[w.key].step(t, terms[w.key], chi)
                np.add.at(change, terms[w.key].outs, w.rates[t] * found)
            f = f - change.reshape(self.shape)
            if not np.isfinite(f).all():
                stopped = t + 1, "the output"
                break
        return Trajectory(recorder.results(), stopped)

    def start(self) -> Array:
        """f_0: given, 0, or drawn."""
        step = self.task.step
        if isinstance(self.task.start, Node):
            given = scalar_value(
                self.task.start, {}, step.data, lambda x: step.shape(x.type.axes)
            )  # fmt: skip
            return np.broadcast_to(given, self.shape)
        if self.task.start == "centre":
            return np.zeros(self.shape)
        rows = self.sample.outputs(self.plan.steps[:1])
        return gaussian(rows @ rows.T / rows.shape[1], self.draws).reshape(self.shape)


def gaussian(covariance: Array, seed: np.random.SeedSequence) -> Array:
    """A draw from N(0, covariance)."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    z = np.random.Generator(np.random.PCG64(seed)).standard_normal(len(values))
    return np.asarray(vectors @ (np.sqrt(np.maximum(values, 0)) * z))
