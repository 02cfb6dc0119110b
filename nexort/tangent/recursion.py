"""The recursion of linear update functions, f_{t+1} = f_t - sum over weights of
rates[t] sum_{s <= t} c[t, s] K chi_s, over kernels that are known (Thm 2.9.19, 2.9.23)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nexort.lower.evaluate import LimitValue, Settings, met
from nexort.program.nodes import Node
from nexort.program.unrolled import Array
from nexort.tangent.exact import Kernels, kernels
from nexort.tangent.plan import Plan
from nexort.tangent.run import gaussian, started
from nexort.training.recorder import scalar_value

RTOL = 1e-8
WORK = 1e9
"""Multiplications that draws of f_0 may take where no accuracy is asked for."""
PAIRS = 512
"""Pairs +z, -z of draws of f_0, at the most where no accuracy is asked for."""
MORE_PAIRS = 2**14
WIGGLES = 4
"""Runs with kernels off by their errors."""


@dataclass(frozen=True)
class Answer:
    """The outputs of a run, and where something ceased to be finite."""

    values: dict[str, LimitValue]
    stopped: tuple[int, str] | None

    def met(self, rtol: float) -> bool:
        """Whether every output is as accurate as that."""
        return all(met(v, rtol) for v in self.values.values())


def exactly(plan: Plan, settings: Settings) -> Answer | None:
    """The limit by exact kernels, None where they are not known. f_0, where it is drawn, is drawn
    in pairs +z and -z; the value is the mean."""
    found = kernels(plan, settings.rtol or RTOL, settings.memory)
    if found is None:
        return None
    run = _Recursion(plan, found)
    return run.once() if found.covariance is None else run.drawn(settings)


class _Recursion:
    def __init__(self, plan: Plan, found: Kernels) -> None:
        self.plan, self.task, self.found = plan, plan.task, found
        self.shape = self.task.step.shape(self.task.out.type.axes)

    def train(self, found: Kernels, start: Array) -> tuple[Array, tuple[int, str] | None]:
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
                chi = task.signal(t, f)
                if not np.isfinite(chi).all():
                    return outputs, (t, "the error signal")
                past[t] = chi.reshape(-1)
                change = np.zeros(start.size)
                for key, (kernel, c) in found.weights.items():
                    sources = c[t, : t + 1] @ past[: t + 1]
                    change += task.weights[key].rates[t] * (kernel @ sources)
                f = f - change.reshape(start.shape)
        return outputs, None

    def recorded(self, found: Kernels, outputs: Array) -> dict[str, Array]:
        """Every output of the run, shape family_shape + axes, from f_t."""
        task = self.task

        def shape(x: Node) -> tuple[int, ...]:
            return task.step.shape(x.type.axes)

        f = {slot: outputs[t] for slot, (x, t) in task.moments.items() if x is task.out}
        slots = {**found.known, **f}
        answer = {}
        for output in task.outputs:
            parts = [
                np.broadcast_to(
                    scalar_value(found.members[m], slots, task.step.data, shape),
                    task.step.shape(output.axes),
                )
                for m in output.members
            ]
            whole = (*output.family_shape, *task.step.shape(output.axes))
            answer[output.name] = np.stack(parts).reshape(whole)
        return answer

    # ---- errors --------------------------------------------------------------------------------

    def wiggled(self, rng: np.random.Generator) -> Kernels:
        """Kernels off by their errors, in random directions."""
        size = self.found.error

        def off(x: Array) -> Array:
            scale = size * np.max(np.abs(x), initial=0.0)
            return np.asarray(x + scale * rng.uniform(-1, 1, x.shape))

        weights = {key: (off(k), c) for key, (k, c) in self.found.weights.items()}
        known = {slot: off(value) for slot, value in self.found.known.items()}
        return replace(self.found, weights=weights, known=known)

    def floor(self, start: Array) -> dict[str, Array]:
        """What the kernels' errors make: the largest change of some runs off by them."""
        rng = np.random.Generator(np.random.PCG64(0))
        values = self.recorded(self.found, self.train(self.found, start)[0])
        errors = {name: self.found.error * np.abs(v) for name, v in values.items()}
        for _ in range(WIGGLES):
            other = self.wiggled(rng)
            outputs, _ = self.train(other, start)
            for name, value in self.recorded(other, outputs).items():
                errors[name] = np.maximum(errors[name], np.abs(value - values[name]))
        return errors

    # ---- f_0 -----------------------------------------------------------------------------------

    def once(self) -> Answer:
        """From a known f_0."""
        start = started(self.plan, np.zeros((1, *self.shape)))[0]
        outputs, stopped = self.train(self.found, start)
        values = self.recorded(self.found, outputs)
        errors = self.floor(start)
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
            answer = self._mean(draws, min(stopped, default=None))
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
        assert self.found.covariance is not None
        for k in range(len(draws), len(draws) + count):
            z = gaussian(self.found.covariance, np.random.SeedSequence([seed, k]))
            runs = [self.train(self.found, sign * z.reshape(self.shape)) for sign in (1, -1)]
            stopped += [s for _, s in runs if s is not None]
            both = [self.recorded(self.found, outputs) for outputs, _ in runs]
            draws.append({n: (both[0][n] + both[1][n]) / 2 for n in both[0]})

    def _mean(self, draws: list[dict[str, Array]], stopped: tuple[int, str] | None) -> Answer:
        values = {}
        for name in draws[0]:
            some = np.stack([d[name] for d in draws])
            mean = some.mean(axis=0)
            spread = some.std(axis=0, ddof=1) / np.sqrt(len(some)) if len(some) > 1 else mean * 0
            values[name] = mean, spread
        floor = self.floor(np.zeros(self.shape))
        text = f"{self.found.method}; the mean over {2 * len(draws)} draws of f_0"
        if stopped is not None:
            text += f"; {stopped[1]} not finite at step {stopped[0]}"
        return Answer(
            {n: LimitValue(v, np.hypot(e, floor[n]), text)
             for n, (v, e) in values.items()},
            stopped,
        )  # fmt: skip
