"""A training run at width n against a plain numpy loop: ``python finite_training.py [WIDTH ...]``.

Figure 5.2's task: a relu perceptron with two hidden layers, 104 inputs, 20 steps of Adam, float32.
Times are wall-clock seconds of this machine at this moment; the plain loop has BLAS on all
processors and updates whole arrays in place.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nexort import driver
from nexort.data.arrays import LoadedArray
from nexort.data.given import Given
from nexort.finite.training import train
from nexort.support.diagnostics import Source
from nexort.training.task import Task

PROGRAMS = Path(__file__).parents[2] / "programs"
QUICK = "--quick" in sys.argv
WIDTHS = (64,) if QUICK else (1024, 4096, 7000)


def figure(data: str = "figure_5_2") -> tuple[Task, dict[str, np.ndarray]]:
    """The task of figure 5.2, and its data; on those of ``figures`` it is more sensitive."""
    arrays = dict(np.load(PROGRAMS / "data" / f"{data}.npz"))
    path = PROGRAMS / "figure_5_2.nxt"
    program = driver.compile_source(Source(path.name, path.read_text()))
    given = Given({}, {k: LoadedArray(v.astype(float), k) for k, v in arrays.items()})
    return driver.training(program, given), arrays


def plain(arrays: dict[str, np.ndarray], n: int, steps: int = 20, rate: float = 0.2) -> np.ndarray:
    """The outputs of every step, as one writes them by hand; weights scaled as they stand in the
    network, gradients times n, rates divided by n for the matrix."""
    xi, y, mask = (arrays[k].astype(np.float32) for k in ("xi", "y", "train"))
    rng = np.random.default_rng(0)
    u = rng.standard_normal((n, len(xi)), dtype=np.float32)
    W = rng.standard_normal((n, n), dtype=np.float32) / np.float32(n**0.5)
    v = rng.standard_normal(n, dtype=np.float32)
    weights, rates = [u, W, v], [rate, rate / n, rate]
    m, s = ([np.zeros_like(w) for w in weights] for _ in range(2))
    found, start = [], None
    for t in range(steps + 1):
        h1 = u @ xi
        x1 = np.maximum(h1, 0)
        h2 = W @ x1
        x2 = np.maximum(h2, 0)
        f = v @ x2 / n
        start = f if start is None else start
        found.append(f - start)
        chi = (found[-1] - y) * mask
        dh2 = v[:, None] * chi * (h2 > 0)
        dh1 = (W.T @ dh2) * (h1 > 0)
        gradients = [dh1 @ xi.T, dh2 @ x1.T, x2 @ chi]
        for k, gradient in enumerate(gradients):
            adam_step(t, gradient, m[k], s[k], rates[k])
            weights[k] -= gradient
    return np.array(found)


def adam_step(t: int, gradient: np.ndarray, m: np.ndarray, s: np.ndarray, rate: float) -> None:
    """m and s brought up to date, and the gradient replaced by the step, all in place."""
    m *= 0.9
    m += 0.1 * gradient
    s *= 0.999
    np.square(gradient, out=gradient)
    gradient *= 0.001
    s += gradient
    np.multiply(s, 1 / (1 - 0.999 ** (t + 1)), out=gradient)
    gradient += 1e-8
    np.sqrt(gradient, out=gradient)
    np.divide(m, gradient, out=gradient)
    gradient *= rate / (1 - 0.9 ** (t + 1))


def timed(action: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    """Seconds, and what came back."""
    start = time.perf_counter()
    found = action()
    return time.perf_counter() - start, found


def main(widths: tuple[int, ...]) -> None:
    task, arrays = figure()
    for n in widths:
        ours, found = timed(lambda n=n: train(task, n, 1)["f"][0])  # type: ignore[misc]
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        theirs, other = timed(lambda n=n: plain(arrays, n))  # type: ignore[misc]
        apart = float(np.abs(found - other)[:10, :4].max())
        print(
            f"width {n}: {ours:.2f} s a run (peak memory {memory:.2f} GiB), plain loop "
            f"{theirs:.2f} s; outputs of the first ten steps {apart:.2f} apart",
            flush=True,
        )


if __name__ == "__main__":
    main(tuple(int(x) for x in sys.argv[1:] if x != "--quick") or WIDTHS)
