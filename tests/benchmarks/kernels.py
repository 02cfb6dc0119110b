"""Kernels over data, side by side with neural-tangents where it can be imported:

    python tests/benchmarks/kernels.py [gram | tanh | deep | memory | derive ...] [--quick]

Times are wall-clock seconds of this machine at this moment; runs of both sides alternate, after a
pause (each side's idle threads spin for a while), and the ratio is the median of the ratios of
neighbouring runs. Compilation of neural-tangents is not counted. It is no dependency of nexort: it
needs an environment of its own (neural-tangents 0.6.5 with jax and jaxlib 0.4.35), in which nexort
is installed too.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import nexort

PROGRAMS = Path(__file__).parents[2] / "programs"
QUICK = "--quick" in sys.argv
REPEATS = 1 if QUICK else 7
INPUTS, FEATURES, DEPTH = (24, 5, 4) if QUICK else (2000, 784, 100)
PAUSE = 0.1
CASES = (("relu", 10), ("erf", 3), ("gelu", 3))


def rival() -> Any:
    """neural_tangents.stax, or None where it cannot be imported."""
    try:
        import jax

        jax.random.KeyArray = jax.Array  # what neural-tangents 0.6.5 expects
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from neural_tangents import stax
    except ImportError as error:
        print(f"neural-tangents: skipped, {error}")
        return None
    return stax


def seconds(action: Callable[[], object]) -> float:
    """Wall-clock time of one run, after a pause."""
    time.sleep(PAUSE)
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def program(activation: str, depth: int) -> nexort.api.TensorProgram:
    """programs/perceptron.nxt with that activation, without biases."""
    text = (PROGRAMS / "perceptron.nxt").read_text()
    text = text.replace("phi(z) = erf(z)", f"phi(z) = {activation}(z)")
    return nexort.loads(text, L=depth, sigma_b=0)


def network(stax: Any, layer: Any, depth: int, dtype: str) -> Callable[[np.ndarray], Any]:
    """The jitted kernels of the same perceptron by neural-tangents, inputs by entries."""
    import jax

    jax.config.update("jax_enable_x64", dtype == "float64")
    _, _, kernel = stax.serial(*[stax.Dense(1, 1.5), layer] * depth, stax.Dense(1, 1.5))
    jitted = jax.jit(lambda x: tuple(kernel(x, None, ("nngp", "ntk"))))

    def run(x: np.ndarray) -> Any:
        return jax.block_until_ready(jitted(x.astype(dtype)))

    return run


def compare(name: str, ours: Callable[[], object], theirs: Callable[[], object] | None) -> None:
    """Print medians of alternating runs and their ratio."""
    ours()  # imports
    if theirs is None:
        print(f"{name}: nexort {statistics.median(seconds(ours) for _ in range(REPEATS)):.3f} s")
        return
    theirs()  # compilation
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(REPEATS)]
    mine, other = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(b / a for a, b in pairs)
    print(f"{name}: nexort {mine:.3f} s, neural-tangents {other:.3f} s, {ratio:.1f} times faster")


def gram() -> None:
    """NNGP and NTK together of 2,000 inputs of dimension 784."""
    stax = rival()
    inputs = np.random.default_rng(0).standard_normal((INPUTS, FEATURES))
    for activation, depth in CASES:
        for dtype in ("float64", "float32"):
            p = program(activation, depth)
            theirs = None
            if stax is not None:
                layers = {"relu": stax.Relu, "erf": stax.Erf,
                          "gelu": lambda: stax.Gelu(approximate=False)}  # fmt: skip
                run = network(stax, layers[activation](), depth, dtype)
                theirs = lambda run=run: run(inputs)  # noqa: E731
            compare(
                f"{activation}, depth {depth}, {dtype}",
                lambda p=p, dtype=dtype: p.kernel(inputs.T, dtype=dtype),  # type: ignore[misc]
                theirs,
            )


def tanh() -> None:
    """tanh at depth 3: 1,000 inputs, and neural-tangents' quadrature on 200 of them, scaled up."""
    stax = rival()
    p = program("tanh", 3)
    inputs = np.random.default_rng(0).standard_normal((INPUTS // 2, FEATURES))
    p.kernel(inputs[:10].T)
    mine = statistics.median(seconds(lambda: p.kernel(inputs.T)) for _ in range(3))
    print(f"tanh, depth 3, {len(inputs)} inputs: nexort {mine:.3f} s")
    if stax is None:
        return
    import jax

    few = inputs[: INPUTS // 10]
    layer = stax.ElementwiseNumerical(jax.numpy.tanh, deg=25)
    run = network(stax, layer, 3, "float64")
    found = run(few)
    other = seconds(lambda: run(few))
    ours = p.kernel(few.T)
    apart = [np.abs(a - b).max() for a, b in zip(found, (ours["nngp"], ours["ntk"]), strict=True)]
    print(
        f"  neural-tangents, {len(few)} inputs: {other:.2f} s, at {len(inputs)} by their pairs "
        f"{25 * other:.1f} s: {25 * other / mine:.0f} times faster; it is off by {max(apart):.1e}"
    )


def deep() -> None:
    """relu at depth 100: 2,000 inputs."""
    inputs = np.random.default_rng(0).standard_normal((INPUTS, FEATURES))
    p = program("relu", DEPTH)
    p.kernel(inputs[:10].T)
    print(f"relu, depth {DEPTH}: {seconds(lambda: p.kernel(inputs.T)):.2f} s")


def memory() -> None:
    """10,000 x 10,000 kernels, relu at depth 10: time, and peak memory beside the two results."""
    code = (
        "import sys, time, resource; sys.path.insert(0, sys.argv[1])\n"
        "import numpy as np; from kernels import program\n"
        "size, dtype = int(sys.argv[2]), sys.argv[3]\n"
        "x = np.random.default_rng(0).standard_normal((784, size))\n"
        "p = program('relu', 10); p.kernel(x[:, :10])\n"
        "t = time.perf_counter(); k = p.kernel(x, dtype=dtype); t = time.perf_counter() - t\n"
        "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20\n"
        "held = (sum(a.nbytes for a in k.values()) + x.nbytes) / 2**30\n"
        "print(f'{size} inputs, {dtype}: {t:.1f} s, peak {peak:.2f} GiB, of which inputs and '\n"
        "      f'results {held:.2f} GiB')\n"
    )
    for dtype in ("float64", "float32"):
        arguments = [str(Path(__file__).parent), str(5 * INPUTS), dtype]
        subprocess.run([sys.executable, "-c", code, *arguments], check=True)


def derive() -> None:
    """`nexort derive mlp.nxt --latex`, cold, medians of seven; 3 and 100 layers."""
    for depth in (3, DEPTH):
        command = [sys.executable, "-m", "nexort", "derive", str(PROGRAMS / "mlp.nxt"), "--latex",
                   "--set", f"L={depth}"]  # fmt: skip
        runs = [
            seconds(lambda c=command: subprocess.run(c, check=True, stdout=subprocess.DEVNULL))  # type: ignore[misc]
            for _ in range(REPEATS)
        ]
        print(f"derive, {depth} layers: {statistics.median(runs):.2f} s")


ALL = {f.__name__: f for f in (gram, tanh, deep, memory, derive)}

if __name__ == "__main__":
    for chosen in [x for x in sys.argv[1:] if x != "--quick"] or ALL:
        print(f"-- {chosen}: {ALL[chosen].__doc__}")
        ALL[chosen]()
