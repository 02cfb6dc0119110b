"""The recursion of linear update functions, f_{t+1} = f_t - sum over weights of
rates[t] sum_{s <= t} c[t, s] K chi_s, over kernels that are known (Thm 2.9.19, 2.9.23)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nexort.limit.estimate import LimitValue, met
from nexort.limit.settings import Settings
from nexort.limit.training.stopping import Blown, signal
from nexort.limit.training.tangent.exact import WeightKernels, weight_kernels
from nexort.limit.training.tangent.plan import TangentPlan
from nexort.limit.training.tangent.run import draw_covariance, started_outputs
from nexort.program.nodes import Node, walk
from nexort.program.unrolled import Array
from nexort.training.recorder import refuse_singular
from nexort.training.scalars import scalar_value

RTOL = 1e-8
WORK = 1e9
"""Multiplications that draws of f_0 may take where no accuracy is asked for."""
PAIRS = 512
"""Pairs +z, -z of draws of f_0, at the most where no accuracy is asked for."""
MORE_PAIRS = 2**14
WIGGLES = 4
"""Runs with kernels off by their errors."""
WIGGLED = 4
"""Pairs of draws of f_0 that they start from."""


@dataclass(frozen=True)
class Answer:
    """The outputs of a run, and where something ceased to be finite."""

    values: dict[str, LimitValue]
    stopped: tuple[int, str] | None

    def met(self, rtol: float) -> bool:
        """Whether every output is as accurate as that."""
        return all(met(v, rtol) for v in self.values.values())


def exactly(plan: TangentPlan, settings: Settings) -> Answer | None:
    """The limit by exact kernels, None where they are not known. f_0, where it is drawn, is drawn
    in pairs +z and -z; the value is the mean."""
    found = weight_kernels(plan, settings.rtol or RTOL, settings.memory)
    if found is None:
        return None
    run = Recursion(plan, found)
    return run.once() if found.covariance is None else run.drawn(settings)


class Recursion:
    def __init__(self, plan: TangentPlan, found: WeightKernels) -> None:
        self.plan, self.task, self.found = plan, plan.task, found
        self.shape = self.task.step.shape(self.task.out.type.axes)

    def train(self, found: WeightKernels, start: Array) -> tuple[Array, tuple[int, str] | None]:
        """f_t for all steps, shape (steps + 1, *axes of f), nan beyond the step at which something
        ceased to be finite, and which step that was and what."""
        task = self.task
        outputs = np.full((task.steps + 1, *start.shape), np.nan)
        past = np.zeros((task.steps, start.size))
        f = start
        with np.errstate(all="ignore"):
            for t in range(task.steps + 1):
                if not np.isfinite(f).all():
                    return outputs, (t, "the output")
                outputs[t] = f
                if t == task.steps:
                    break
                try:
                    chi = signal(task, t, f)
                except Blown as problem:
                    return outputs, (t, problem.what)
                past[t] = chi.reshape(-1)
                change = np.zeros(start.size)
                for key, (kernel, c) in found.weights.items():
                    sources = c[t, : t + 1] @ past[: t + 1]
                    change += task.weights[key].rates[t] * (kernel @ sources)
                f = f - change.reshape(start.shape)
        return outputs, None

    def recorded(self, found: WeightKernels, outputs: Array) -> dict[str, Array]:
        """Every output of the run, shape family_shape + axes, from f_t."""
        task = self.task

        def shape(x: Node) -> tuple[int, ...]:
            return task.step.shape(x.type.axes)

        f = {slot: outputs[t] for slot, (x, t) in task.moments.items() if x is task.out}
        slots = {**found.known, **f}
        answer = {}
        for output in task.outputs:
            parts = []
            for m in output.members:
                value = scalar_value(found.members[m], slots, task.step.data, shape)
                t = max((task.moments[x][1] for x in walk([m]) if x in task.moments), default=0)
                refuse_singular(task, found.members[m], value, slots, t, output.span)
                parts.append(np.broadcast_to(value, task.step.shape(output.axes)))
            whole = (*output.family_shape, *task.step.shape(output.axes))
            answer[output.name] = np.stack(parts).reshape(whole)
        return answer

    # ---- errors --------------------------------------------------------------------------------

    def wiggled(self, rng: np.random.Generator) -> WeightKernels:
        """Kernels off by their errors, in random directions."""
        size = self.found.error

        def off(x: Array) -> Array:
            scale = size * np.max(np.abs(x), initial=0.0)
            return np.asarray(x + scale * rng.uniform(-1, 1, x.shape))

        weights = {key: (off(k), c) for key, (k, c) in self.found.weights.items()}
        known = {slot: off(value) for slot, value in self.found.known.items()}
        return replace(self.found, weights=weights, known=known)

    def floor(self, starts: Sequence[Array]) -> dict[str, Array]:
        """What the kernels' errors make: the largest change of some runs off by them, each the mean
        over some f_0."""
        rng = np.random.Generator(np.random.PCG64(0))
        values = self.means(self.found, starts)
        errors = {name: self.found.error * np.abs(v) for name, v in values.items()}
        with np.errstate(all="ignore"):
            for _ in range(WIGGLES):
                for name, value in self.means(self.wiggled(rng), starts).items():
                    errors[name] = np.maximum(errors[name], np.abs(value - values[name]))
        return errors

    def means(self, found: WeightKernels, starts: Sequence[Array]) -> dict[str, Array]:
        """Every output's mean over runs from some f_0."""
        with np.errstate(all="ignore"):
            runs = [self.recorded(found, self.train(found, start)[0]) for start in starts]
            return {name: np.mean([run[name] for run in runs], axis=0) for name in runs[0]}

    # ---- f_0 -----------------------------------------------------------------------------------

    def once(self) -> Answer:
        """From a known f_0."""
        start = started_outputs(self.plan, np.zeros((1, *self.shape)))[0]
        outputs, stopped = self.train(self.found, start)
        values = self.recorded(self.found, outputs)
        errors = self.floor([start])
        text = self.found.method
        if stopped is not None:
            text += f"; {stopped[1]} not finite at step {stopped[0]}"
        return Answer({n: LimitValue(v, errors[n], text) for n, v in values.items()}, stopped)

    def drawn(self, settings: Settings) -> Answer:
        """From draws of f_0."""
        cost = self.task.steps * len(self.found.weights) * np.prod(self.shape, dtype=float) ** 2
        least = max(1, settings.replicates // 2)
        count = max(least, min(PAIRS, int(WORK / (cost + 1))))
        draws: list[dict[str, Array]] = []
        stopped: list[tuple[int, str]] = []
        while True:
            self._more(count - len(draws), settings.seed, draws, stopped)
            answer = self._mean(draws, min(stopped, default=None), settings.seed)
            rtol = settings.rtol
            if rtol is None or 2 * count > MORE_PAIRS or answer.met(rtol):
                break
            count *= 2
        if rtol is not None:
            values = {n: replace(v, met=met(v, rtol)) for n, v in answer.values.items()}
            answer = replace(answer, values=values)
        return answer

    def _more(
        self, count: int, seed: int, draws: list[dict[str, Array]],
        stopped: list[tuple[int, str]],
    ) -> None:  # fmt: skip
        for k in range(len(draws), len(draws) + count):
            runs = [self.train(self.found, start) for start in self.pair(seed, k)]
            stopped += [s for _, s in runs if s is not None]
            both = [self.recorded(self.found, outputs) for outputs, _ in runs]
            draws.append({n: (both[0][n] + both[1][n]) / 2 for n in both[0]})

    def pair(self, seed: int, k: int) -> tuple[Array, Array]:
        """A draw of f_0, and the same of the other sign."""
        assert self.found.covariance is not None
        z = draw_covariance(self.found.covariance, np.random.SeedSequence([seed, k])).reshape(
            self.shape
        )
        return z, -z

    def _mean(
        self, draws: list[dict[str, Array]], stopped: tuple[int, str] | None, seed: int
    ) -> Answer:
        values = {}
        for name in draws[0]:
            some = np.stack([d[name] for d in draws])
            mean = some.mean(axis=0)
            spread = some.std(axis=0, ddof=1) / np.sqrt(len(some)) if len(some) > 1 else mean * 0
            values[name] = mean, spread
        floor = self.floor([z for k in range(min(WIGGLED, len(draws))) for z in self.pair(seed, k)])
        text = f"{self.found.method}; the mean over {2 * len(draws)} draws of f_0"
        if stopped is not None:
            text += f"; {stopped[1]} not finite at step {stopped[0]}"
        return Answer(
            {n: LimitValue(v, np.hypot(e, floor[n]), text)
             for n, (v, e) in values.items()},
            stopped,
        )  # fmt: skip
