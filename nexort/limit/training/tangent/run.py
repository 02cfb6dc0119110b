"""One replicate of a training run in the neural tangent limit (Thm 2.9.19, 2.9.23, 2.10.3)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nexort.limit.sample.replicates import Trajectory
from nexort.limit.training.stopping import Blown, check_finite, signal
from nexort.limit.training.tangent.moved import updates_of
from nexort.limit.training.tangent.plan import TangentPlan
from nexort.limit.training.tangent.sample import Sample, Terms
from nexort.program.unrolled import Array
from nexort.training.recorder import MomentRecorder
from nexort.training.task import Key, weight_name


def tangent_trajectory(
    plan: TangentPlan,
    size: int,
    seed: np.random.SeedSequence,
    dtype: str = "float32",
    sign: float = 1.0,
) -> Trajectory:
    """The run on ``size`` points a neuron space, pairs of them in a dtype, with ``sign`` times the
    draw of f_0."""
    with np.errstate(all="ignore"):
        return _Run(plan, size, seed, dtype, sign).run()


def symmetrized_trajectory(
    plan: TangentPlan, size: int, seed: np.random.SeedSequence, dtype: str = "float32"
) -> Trajectory:
    """The mean of the two runs with f_0 and -f_0 where that is drawn: what is odd in it drops out
    of the mean over draws."""
    if not plan.drawn:
        return tangent_trajectory(plan, size, seed, dtype)
    one, other = (tangent_trajectory(plan, size, seed, dtype, sign) for sign in (1.0, -1.0))
    outputs = {name: (x + other.outputs[name]) / 2 for name, x in one.outputs.items()}
    stopped = [run.stopped for run in (one, other) if run.stopped is not None]
    return Trajectory(outputs, min(stopped, default=None))


class _Run:
    def __init__(
        self, plan: TangentPlan, size: int, seed: np.random.SeedSequence, dtype: str, sign: float
    ) -> None:
        self.plan, self.task, self.dtype, self.sign = plan, plan.task, dtype, sign
        key = tuple(seed.spawn_key)
        kets, self.draws = (
            np.random.SeedSequence(seed.entropy, spawn_key=(*key, k)) for k in range(2)
        )
        self.sample = Sample(plan, size, kets)
        self.shape = self.task.step.shape(self.task.out.type.axes)

    def run(self) -> Trajectory:
        """Train, as long as everything is finite."""
        task, recorder = self.task, MomentRecorder(self.task, limit=True)
        values, terms = self.sample.terms(self.plan.steps[0])
        decays = len(self.plan.steps) > 1
        pairs = {
            w.key: updates_of(w, terms[w.key], self.dtype, sums=decays) for w in self.plan.moving
        }
        untrained = self.untrained()
        change, t = np.zeros(self.shape), 0
        try:
            for t in range(task.steps + 1):
                if decays and t > 0:
                    values, terms = self.sample.terms(self.plan.step(t))
                    found = {key: some.total(terms[key]) for key, some in pairs.items()}
                    change = self.change(terms, found)
                f = untrained[min(t, len(untrained) - 1)] - change
                check_finite(f, "the output")
                recorder.record(t, {**values, task.out: f})
                if t == task.steps:
                    break
                chi = signal(task, t, f)
                found = {key: some.step(t, terms[key], chi) for key, some in pairs.items()}
                if not decays:
                    rated = {key: self.task.weights[key].rates[t] * k for key, k in found.items()}
                    change = change + self.change(terms, rated)
        except Blown as problem:
            return Trajectory(recorder.results(), (t, problem.what))
        return Trajectory(recorder.results(), None)

    def change(self, terms: Mapping[Key, Terms], found: Mapping[Key, Array]) -> Array:
        """What the weights do to the output, from their terms."""
        total = np.zeros(int(np.prod(self.shape, dtype=int)))
        for key, some in found.items():
            check_finite(some, f"'{weight_name(key)}' after the update")
            np.add.at(total, terms[key].outs, some)
        return total.reshape(self.shape)

    def untrained(self) -> Array:
        """The outputs that the run would have without its updates, one for each of the plan's
        steps: f_0, and under decay what becomes of it."""
        drawn = np.zeros((len(self.plan.steps), *self.shape))
        if self.plan.drawn:
            rows = self.sample.outputs(self.plan.steps)
            covariance = rows @ rows.T / rows.shape[1]
            drawn = self.sign * draw_covariance(covariance, self.draws).reshape(drawn.shape)
        return started_outputs(self.plan, drawn)


def started_outputs(plan: TangentPlan, drawn: Array) -> Array:
    """The untrained outputs, step after step along the first axis, moved to the f_0 that the
    training asks for."""
    given = plan.task.given_start()
    return drawn if given is None else np.asarray(drawn + (given - drawn[0]))


def draw_covariance(covariance: Array, seed: np.random.SeedSequence) -> Array:
    """A draw from N(0, covariance)."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    z = np.random.Generator(np.random.PCG64(seed)).standard_normal(len(values))
    # the symmetric root does not depend on the signs of eigenvectors
    return np.asarray(vectors @ (np.sqrt(np.maximum(values, 0)) * (vectors.T @ z)))
