"""Benchmarks, run on demand: ``python tests/benchmarks/run.py [NAME ...] [--quick]``.

``--quick``, of every benchmark here, is a run at tiny sizes that shows that it runs to its end.
Every line is a measurement; nothing here passes or fails. Times are wall-clock seconds of this
machine at this moment: quote medians and ratios.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from answers import ANSWERS, DATA, catalan

import nexort

QUICK = "--quick" in sys.argv
WIDTH, WIDE_RUNS = (128, 4) if QUICK else (4000, 16)
WIDEST = 200 if QUICK else 7000
PROGRAMS = Path(__file__).parents[2] / "programs"


def timed(action: Callable[[], object]) -> tuple[float, object]:
    """Seconds, and what came back."""
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


ORDERS = (("wishart", 8), ("semicircle", 4))


def moments() -> None:
    """Wishart and semicircle moments up to order 8: relative error and time."""
    nexort.load(PROGRAMS / "wishart.nxt", K=1).limit()  # imports
    for name, order in (("wishart", 2), ("semicircle", 2)) if QUICK else ORDERS:
        program = nexort.load(PROGRAMS / f"{name}.nxt", K=order)
        seconds, found = timed(program.limit)
        value, error = np.asarray(found["m"]), found["m"].error  # type: ignore[index]
        known = np.array([catalan(k) for k in range(1, order + 1)], dtype=float)
        known = known if name == "wishart" else np.insert(known, range(order), 0.0)
        off = np.abs(value - known)
        scale = np.where(known == 0, 1, known)
        errors = np.where(error > 0, error, 1e-300)  # whole numbers are exact
        print(
            f"{name}: {seconds:.2f} s, relative error {np.max(off / scale):.1e}, "
            f"largest deviation {np.max(off / errors):.2f} reported standard errors"
        )


def symmetric() -> None:
    """All <x_j|x_k> of the symmetric iterations against simulation at width 4000."""
    for name in ("symmetric_tanh", "symmetric_sign"):
        program = nexort.load(PROGRAMS / f"{name}.nxt")
        seconds, limit = timed(lambda p=program: p.limit(rtol=0.2 if QUICK else 2e-3))  # type: ignore[misc]
        value, error = np.asarray(limit["q"]), limit["q"].error  # type: ignore[index]
        spent, runs = timed(lambda p=program: p.runs(WIDTH, WIDE_RUNS))  # type: ignore[misc]
        finite = runs["q"]  # type: ignore[index]
        sem = finite.std(axis=0, ddof=1) / np.sqrt(WIDE_RUNS)
        z = (finite.mean(axis=0) - value) / np.maximum(np.hypot(sem, error), 1e-12)
        print(
            f"{name}: limit {seconds:.2f} s (errors up to {error.max():.1e}), "
            f"width {WIDTH} x {WIDE_RUNS} "
            f"{spent:.1f} s, rms z {np.sqrt(np.mean(z**2)):.2f}, max |z| {np.abs(z).max():.2f}"
        )


def coverage() -> None:
    """How often the truth lies within two reported errors, 20 seeds a program."""
    inside = total = 0
    for name, answer in list(ANSWERS.items())[:: 8 if QUICK else 1]:
        program = nexort.load(PROGRAMS / f"{name}.nxt")
        known = {k: np.asarray(v, dtype=float) for k, v in answer().items()}
        hits: list[bool] = []
        for seed in range(1 if QUICK else 20):
            found = program.limit(seed=seed, data=DATA.get(name))
            for output, truth in known.items():
                both = np.asarray(found[output]), np.asarray(found[output].error)
                value, error, wanted = np.broadcast_arrays(*both, truth)
                sampled = np.isfinite(wanted) & (error > 1e-8 * np.abs(value).max())
                hits += list(np.abs(value - wanted)[sampled] <= 2 * error[sampled])
        inside, total = inside + sum(hits), total + len(hits)
        if hits:
            print(f"{name}: {np.mean(hits):.3f} of {len(hits)}")
    print(f"coverage of two reported errors: {inside / total:.3f} of {total}")


def compile_time() -> None:
    """`nexort check` of long programs, as a loop and as lines (as many as a file may hold): time
    and peak memory."""
    head = "vector v ~ N(0, 1)\nmatrix W ~ N(0, 1/n)\n"
    with tempfile.TemporaryDirectory() as folder:
        for count in (100,) if QUICK else (10_000, 100_000):
            held = min(count, 33_000)
            lines = "".join(f"|a{k}> = relu(W |a{k - 1}>)\n" for k in range(1, held))
            long = Path(folder) / "lines.nxt"
            long.write_text(f"{head}|a0> = |v>\n{lines}output <v|a{held - 1}>\n")
            loop = Path(folder) / "loop.nxt"
            loop.write_text(
                f"{head}|a[0]> = |v>\nfor k in 1..{count} {{ |a[k]> = relu(W |a[k-1]>) }}\n"
                f"output <v|a[{count}]>\n"
            )
            for path, rounds in ((long, held), (loop, count)):
                command = [sys.executable, "-m", "nexort", "check", str(path)]
                seconds, _ = timed(
                    lambda c=command: subprocess.run(c, check=True, stdout=subprocess.DEVNULL)  # type: ignore[misc]
                )
                peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**10
                print(
                    f"check {path.stem}, {2 * rounds} instructions: {seconds:.2f} s, "
                    f"peak so far {peak:.0f} MiB"
                )


def start() -> None:
    """Start of the command line, medians of seven."""
    for args in (["--help"], ["check", str(PROGRAMS / "mlp.nxt")]):
        command = [sys.executable, "-m", "nexort", *args]
        runs = [
            timed(lambda c=command: subprocess.run(c, check=True, stdout=subprocess.DEVNULL))[0]  # type: ignore[misc]
            for _ in range(1 if QUICK else 7)
        ]
        print(f"nexort {args[0]}: {statistics.median(runs):.2f} s")


def wide() -> None:
    """A nonlinear outer product at width 7000, float32: time and peak memory."""
    code = (
        "import nexort, time, resource\n"
        "p = nexort.loads('matrix W ~ N(0, 1/n)\\nvector x, w ~ N(0, 1)\\n"
        "A = W + sign(|x> <w|)\\n|y> = A |w>\\n|z> = A^T |y>\\noutput <y|y>, <w|z>')\n"
        f"t = time.perf_counter(); p.runs({WIDEST}, 1, dtype='float32')\n"
        "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20\n"
        f"print(f'width {WIDEST}: {{time.perf_counter() - t:.2f}} s, peak {{peak:.2f}} GiB')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


ALL = {f.__name__: f for f in (start, compile_time, moments, symmetric, wide, coverage)}

if __name__ == "__main__":
    for chosen in [x for x in sys.argv[1:] if x != "--quick"] or ALL:
        print(f"-- {chosen}: {ALL[chosen].__doc__}")
        ALL[chosen]()
