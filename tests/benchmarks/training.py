"""Limits of training runs: ``python training.py [small] [reference] [figure] [steps] [--quick]``,
all by default.

* small: time x variance of the maximal update limit against width 4096 (muP, two hidden layers,
  relu, 4 inputs, 8 steps), for Adam and SGD. The variance is the largest over the outputs at all
  steps between independent repetitions; a repetition is a run at width 4096 (the faster of
  ``nexort.finite.training`` and a plain numpy loop), or one replicate of the sampler.
* reference: the muP cases of tests/training/reference.json: deviation in combined standard errors,
  the reported error, seconds.
* figure: figure 5.2's limit: seconds, peak memory, error; and its time x variance.
* steps: seconds of each step of a long run, as it goes on.

Times are wall-clock seconds of this machine at this moment; all processors are used throughout, and
what is compared is run in turns. The figure takes minutes.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from finite_training import adam_step, figure

from nexort import driver
from nexort.data.arrays import LoadedArray
from nexort.data.given import Given
from nexort.finite.training import train
from nexort.limit.settings import Settings
from nexort.limit.training import maximal
from nexort.limit.training.maximal.evaluate import maximal_replicates as replicates_of
from nexort.limit.training.maximal.plan import MaximalPlan
from nexort.support.diagnostics import Source
from nexort.training.task import Task

REFERENCE = Path(__file__).parents[1] / "training" / "reference.json"
QUICK = "--quick" in sys.argv
WIDTH = 64 if QUICK else 4096

TEXT = """
param L = 2
dim d, M
data xi[d, M], y[M], train[M]
network f(xi) {
  weight u : vector[d]
  weight W[2..L] : matrix
  weight v : vector
  |x[1]> = PHI(|u> @ xi)
  for l in 2..L { |x[l]> = PHI(W[l] |x[l-1]>) }
  return <v|x[L]>
}
train f {
  parametrization mup
  optimizer OPTIMIZER
  error (f - y) * train
  steps STEPS
}
output f
"""


def task(case: dict, phi: str, optimizer: str, steps: int) -> Task:
    """A training on the inputs of a reference case."""
    text = TEXT.replace("PHI", phi).replace("OPTIMIZER", optimizer).replace("STEPS", str(steps))
    arrays = {"xi": case["X"], "y": case["y"], "train": case["mask"]}
    loaded = {k: LoadedArray(np.asarray(v, dtype=float), k) for k, v in arrays.items()}
    return driver.training(driver.compile_source(Source("run", text)), Given({}, loaded))


def plain(case: dict, adam: bool, rate: float, steps: int, seed: int, n: int = WIDTH) -> np.ndarray:
    """A run at width n as one writes it by hand, float32."""
    xi, y, mask = (np.asarray(case[k], dtype=np.float32) for k in ("X", "y", "mask"))
    rng = np.random.default_rng(seed)
    u = rng.standard_normal((n, len(xi)), dtype=np.float32)
    W = rng.standard_normal((n, n), dtype=np.float32) / np.float32(n**0.5)
    v = rng.standard_normal(n, dtype=np.float32)
    weights, rates = [u, W, v], [rate, rate / n, rate]
    m, s = ([np.zeros_like(w) for w in weights] if adam else [] for _ in range(2))
    found = []
    for t in range(steps + 1):
        x1 = np.maximum(u @ xi, 0)
        x2 = np.maximum(W @ x1, 0)
        f = v @ x2 / n
        found.append(f)
        chi = (f - y) * mask
        dh2 = v[:, None] * chi * (x2 > 0)
        dh1 = (W.T @ dh2) * (x1 > 0)
        for k, gradient in enumerate([dh1 @ xi.T, dh2 @ x1.T, x2 @ chi]):
            if adam:
                adam_step(t, gradient, m[k], s[k], rates[k])
            else:
                np.multiply(gradient, rates[k], out=gradient)
            weights[k] -= gradient
    return np.array(found)


def replicates(run: Task, size: int, count: int, seed: int) -> np.ndarray:
    """Replicates of the limit, shape (count, steps + 1, M)."""
    return replicates_of(MaximalPlan.of(run), Settings(seed=seed)).run(size, count).draws["f"]


def timed(action: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    """Seconds, and what came back."""
    start = time.perf_counter()
    found = action()
    return time.perf_counter() - start, found


def processor_seconds() -> float:
    """Of this process and of those that have ended."""
    return sum(os.times()[:4])


class Tally:
    """Repetitions of one way, over several turns; turn 0 warms up."""

    def __init__(self, action: Callable[[int], np.ndarray]) -> None:
        self.action = action
        self.wall, self.processor = 0.0, 0.0
        self.draws: list[np.ndarray] = []

    def turn(self, k: int) -> None:
        before = processor_seconds()
        seconds, draws = timed(lambda: self.action(k))
        if k > 0:
            self.wall += seconds
            self.processor += processor_seconds() - before
            self.draws.append(draws)

    def line(self, name: str, shown: slice = slice(None)) -> np.ndarray:
        """Print what was found. Products of (seconds, processor seconds) and (the largest variance,
        the mean variance), shape (2, 2)."""
        draws = np.concatenate(self.draws)[..., shown]
        times = np.array([self.wall, self.processor]) / len(draws)
        variance = draws.var(axis=0, ddof=1)
        kinds = np.array([variance.max(), variance.mean()])
        print(
            f"  {name:<26}{times[0]:8.4f} s ({times[1]:.4f} s of processors)  "
            f"std {kinds[0] ** 0.5:.5f} at most, {kinds[1] ** 0.5:.5f} rms  "
            f"time x variance {times[0] * kinds[0]:.2e}",
            flush=True,
        )
        return np.outer(times, kinds)


def compared(name: str, widths: list[np.ndarray], limit: np.ndarray, wanted: int) -> None:
    """Print how many times lower the limit's products are."""
    ratio = np.min(widths, axis=0) / limit
    print(
        f"  {name}: {ratio[0, 0]:.0f} times lower (at least {wanted} wanted), by processor seconds "
        f"{ratio[1, 0]:.0f}; with the mean variance {ratio[0, 1]:.0f}, {ratio[1, 1]:.0f}",
        flush=True,
    )


def small(turns: int = 4) -> None:
    """Time x variance on four inputs."""
    case = json.loads(REFERENCE.read_text())["mup_L2_tanh_adam"]
    turns, pairs, points = (1, 128, 256) if QUICK else (turns, 1024, 32768)
    _small(case, "adam", "adam(lr=0.1, eps=1e-4)", 300, pairs, turns)
    _small(case, "sgd", "sgd(lr=0.1)", 10_000, points, turns)


def _small(case: dict, name: str, optimizer: str, wanted: int, size: int, turns: int) -> None:
    run = task(case, "relu", optimizer, 8)

    def by_hand(k: int) -> np.ndarray:
        return np.stack([plain(case, name == "adam", 0.1, 8, 4 * k + j) for j in range(4)])

    ways = {
        f"width {WIDTH}": Tally(lambda k: train(run, WIDTH, 4, seed=k)["f"]),
        f"width {WIDTH}, plain numpy": Tally(by_hand),
        f"limit, {size} points": Tally(lambda k: replicates(run, size, 32, k)),
    }
    for k in range(turns + 1):
        for way in ways.values():
            way.turn(k)
    print(f"{name}, {turns} turns")
    *widths, limit = (way.line(label) for label, way in ways.items())
    compared(f"limit, {size} points", widths, limit, wanted)


def reference() -> None:
    """Deviations from the reference numbers."""
    for name, case in json.loads(REFERENCE.read_text()).items():
        cfg = case["cfg"]
        if cfg["param"] != "mup":
            continue
        rest = f", eps={cfg['eps']}" if "eps" in cfg else ""
        run = task(case, cfg["phi"], f"{cfg['opt']}(lr={cfg['eta']}{rest})", cfg["T"])
        start = time.perf_counter()
        value = maximal.evaluate_maximal(run, Settings(samples=256 if QUICK else None))["f"]
        seconds = time.perf_counter() - start
        error = np.hypot(value.error, case["limit_sem"])
        far = np.abs((value.value - case["limit_mean"]) / np.maximum(error, 1e-12)).max()
        print(f"{name}: {far:.2f} combined standard errors at most (3 wanted), reported error "
              f"{value.error.max():.5f} (0.002), {seconds:.1f} s (60)")  # fmt: skip


def figure_limit(turns: int = 12) -> None:
    """Figure 5.2: 100 training inputs, 20 steps; the outputs are those on the first four inputs.
    Outputs of different steps move together: variances of few runs say little."""
    for data in ("figure_5_2",) if QUICK else ("figure_5_2", "figures"):
        _figure_limit(data, turns)


def _figure_limit(data: str, turns: int) -> None:
    run, _ = figure(data)
    settings = Settings(memory=3 * 2**30, replicates=32)
    if QUICK:
        settings, turns = Settings(samples=128, replicates=2), 1
    start = time.perf_counter()
    value = maximal.evaluate_maximal(run, settings)["f"]
    seconds = time.perf_counter() - start
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    memory = sum(resource.getrusage(x).ru_maxrss for x in who) / 2**20
    scale, error = np.abs(value.value[:, :4]).max(), value.error[:, :4]
    print(f"figure 5.2 on {data}.npz: {seconds:.0f} s (180 wanted), memory {memory:.2f} GiB (4), "
          f"error {100 * error.max() / scale:.1f} % of the outputs' scale at most, "
          f"{100 * np.sqrt((error**2).mean()) / scale:.1f} % rms (1); {value.method}")  # fmt: skip
    sizes = (128,) if QUICK else (256, 512, 1024)
    ways = {f"width {WIDTH}": Tally(lambda k: train(run, WIDTH, 4, seed=k)["f"])}
    for size in sizes:
        ways[f"limit, {size} points"] = Tally(
            lambda k, size=size: replicates(run, size, 2 if QUICK else 24 * 512 // size, k)
        )
    for k in range(turns + 1):
        for way in ways.values():
            way.turn(k)
    width, *limits = (way.line(label, slice(4)) for label, way in ways.items())
    for way, found in zip(list(ways)[1:], limits, strict=True):
        compared(way, [width], found, 10)


def steps() -> None:
    """Processor seconds a step after 10, 20, 40, ... steps, from runs of different lengths."""
    case = json.loads(REFERENCE.read_text())["mup_L2_tanh_adam"]
    counts = (2, 4, 8) if QUICK else (2, 10, 20, 40, 80, 160)
    for optimizer, size in (("adam(lr=0.01, eps=1e-4)", 1024), ("sgd(lr=0.05)", 4096)):
        size = 128 if QUICK else size  # noqa: PLW2901
        whole = task(case, "tanh", optimizer, 160)
        last, before, rows = 0.0, 0, []
        replicates(replace(whole, steps=1, errors=whole.errors[:1]), size, 2, 0)
        for count in counts:
            run = replace(whole, steps=count, errors=whole.errors[:count])
            start = processor_seconds()
            replicates(run, size, 4, 0)
            seconds = (processor_seconds() - start) / 4
            if before:
                rows.append(f"{before}-{count}: {(seconds - last) / (count - before) * 1e3:.1f}")
            last, before = seconds, count
        print(f"milliseconds a step, {optimizer}, {size} points: " + ", ".join(rows), flush=True)


PARTS = {"small": small, "reference": reference, "figure": figure_limit, "steps": steps}

if __name__ == "__main__":
    for part in [x for x in sys.argv[1:] if x != "--quick"] or PARTS:
        PARTS[part]()
