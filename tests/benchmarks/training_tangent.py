"""The limit of Figure 5.1's training against width 4096: ``python training_tangent.py``.

A relu perceptron with four hidden layers in the neural tangent parametrization, 104 inputs, 20
steps of Adam. Times are wall-clock seconds of this machine at this moment, all processors in use.
Time x variance is the seconds of one replicate, or run, times the variance over them of the tracked
outputs (the first four inputs, all steps); a run at width 4096 is timed over its first steps, and
its variance is a quarter of that at width 1024.
"""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

import nexort
from nexort import driver
from nexort.finite.training import train
from nexort.limit.settings import Settings
from nexort.limit.training import tangent
from nexort.limit.training.tangent.evaluate import tangent_replicates
from nexort.limit.training.tangent.plan import TangentPlan
from nexort.training.task import Task

PROGRAMS = Path(__file__).parents[2] / "programs"
QUICK = "--quick" in sys.argv
WIDTH, NARROW, STEPS = (64, 32, 2) if QUICK else (4096, 1024, 4)
REPLICATES, SEEDS = (2, 2) if QUICK else (16, 12)


def figure() -> Task:
    """The task of Figure 5.1."""
    program = nexort.load(PROGRAMS / "figure_5_1.nxt")
    data = dict(np.load(PROGRAMS / "data" / "figures.npz"))
    return driver.training(program.program, program._given(data))


def accuracy(task: Task) -> None:
    """The limit to 1 % of the outputs' scale."""
    start = time.perf_counter()
    settings = Settings(samples=128, replicates=2) if QUICK else Settings(rtol=0.01)
    found = tangent.evaluate_tangent(task, settings)["f"]
    seconds = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    share = found.error.max() / np.abs(found.value).max()
    print(f"limit ({found.method}): error {share:.2%} of the outputs' scale in {seconds:.0f} s, "
          f"peak memory {memory:.2f} GiB", flush=True)  # fmt: skip


def of_replicates(task: Task, size: int) -> float:
    """Time x variance of the limit with samples of ``size`` points."""
    plan = TangentPlan.of(task)
    plan = replace(plan, laws=plan.exact_laws(2**31))
    start = time.perf_counter()
    draws = tangent_replicates(plan, Settings()).run(size, REPLICATES).draws["f"]
    return _product(f"limit, {size} points", (time.perf_counter() - start) / REPLICATES, draws)


def of_width(task: Task) -> float:
    """Time x variance of networks of width 4096."""
    start = time.perf_counter()
    train(replace(task, steps=STEPS, outputs=(), moments={}), WIDTH, 1)
    seconds = (time.perf_counter() - start) * task.steps / STEPS
    draws = train(task, NARROW, SEEDS, seed=1)["f"]
    narrow = draws.mean(axis=0) + (draws - draws.mean(axis=0)) * np.sqrt(NARROW / WIDTH)
    return _product(f"width {WIDTH}", seconds, narrow)


def _product(name: str, seconds: float, draws: np.ndarray) -> float:
    variance = float(draws.var(axis=0, ddof=1)[1:, :4].mean())
    print(f"{name}: {seconds:.2f} s x {variance:.2e} = {seconds * variance:.2e} s", flush=True)
    return seconds * variance


def main() -> None:
    """Print the numbers."""
    task = figure()
    accuracy(task)
    wide = of_width(task)
    for size in (128,) if QUICK else (512, 1024):
        print(f"{wide / of_replicates(task, size):.0f} times lower than width {WIDTH}", flush=True)


if __name__ == "__main__":
    main()
