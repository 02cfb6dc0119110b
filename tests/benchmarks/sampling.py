"""The sampler of limits: ``python sampling.py [CASE ...] [--against CHECKOUT] [--quick]``.

For every case, at the sizes that programs get by default: seconds of an evaluation by samples
alone, the mean square of what is sampled less the exact limit, relative to the largest entry of
each output, over several seeds, and their product: the seconds that an error takes. ``--against``
measures another checkout too, in turns, and prints its cost over this one's (above 1: this one
is cheaper). Times are wall-clock seconds of this machine at this moment.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

QUICK = "--quick" in sys.argv
HERE = Path(__file__).parents[2]
SEEDS = 2 if QUICK else 8
TURNS = 1 if QUICK else 3

PERCEPTRON = """dim d, M
param L = 4
data xi[d, M]
vector u[d] ~ N(0, 2/d)
matrix W[2..L] ~ N(0, 2/n)
|x[1]> = relu(|u> @ xi)
for l in 2..L { |x[l]> = relu(W[l] |x[l-1]>) }
k = <x[L]|x[L]>
output k
"""

CASES: dict[str, tuple[str, dict[str, int]]] = {
    "perceptron of 4 layers": (PERCEPTRON, {"L": 4}),
    "perceptron of 8 layers": (PERCEPTRON, {"L": 8}),
    "tanh perceptron": (PERCEPTRON.replace("relu", "tanh"), {"L": 4}),
    "mlp": ("mlp", {}),
    "mlp of 10 layers": ("mlp", {"L": 10}),
    "wishart": ("wishart", {"K": 6}),
    "semicircle": ("semicircle", {"K": 4}),
    "free_product": ("free_product", {"K": 4}),
    "jacobian": ("jacobian", {}),
    "layernorm": ("layernorm", {}),
    "layernorm_ntk": ("layernorm_ntk", {}),
    "recurrent": ("recurrent", {}),
    "recurrent_ntk": ("recurrent_ntk", {}),
    "residual": ("residual", {}),
    "shared_branch": ("shared_branch", {}),
    "skip_activation": ("skip_activation", {}),
    "correlated": ("correlated", {}),
}

CHILD = """
import json, sys, time
import numpy as np
import nexort
text, numbers, seeds, samples = json.loads(sys.argv[1])
p = nexort.loads(text, **numbers)
rng = np.random.default_rng(0)
data = {}
for name, d in p.program.data.items():
    if d.default is None:
        sizes = [a.size or {"d": 8, "M": 4, "T": 3}[a.name] for a in d.axes]
        data[name] = rng.standard_normal(sizes)
exact = p.limit(data=data)
p.limit(data=data, exact=False, samples=samples, seed=99)
times, errors = [], []
for seed in range(seeds):
    start = time.perf_counter()
    found = p.limit(data=data, exact=False, samples=samples, seed=seed)
    times.append(time.perf_counter() - start)
    for name, x in exact.items():
        scale = np.abs(np.asarray(x)).max() or 1.0
        errors.append(np.mean(((np.asarray(found[name]) - np.asarray(x)) / scale) ** 2))
print(json.dumps([min(times), float(np.mean(errors))]))
"""


def measure(checkout: Path, case: str) -> tuple[float, float]:
    """Seconds of an evaluation and the mean square of its error, by a checkout's code."""
    text, numbers = CASES[case]
    if "\n" not in text:
        text = (HERE / "programs" / f"{text}.nxt").read_text()
    job = json.dumps([text, numbers, SEEDS, 256 if QUICK else None])
    done = subprocess.run(
        [sys.executable, "-c", CHILD, job],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        cwd=checkout,
    )
    seconds, square = json.loads(done.stdout)
    return seconds, square


def main() -> None:
    """Print a row a case."""
    against = None
    if "--against" in sys.argv:
        against = Path(sys.argv[sys.argv.index("--against") + 1])
    asked = [x for x in sys.argv[1:] if x in CASES]
    for case in asked or list(CASES)[: 3 if QUICK else None]:
        mine, theirs = [], []
        for _ in range(TURNS):
            mine.append(measure(HERE, case))
            if against is not None:
                theirs.append(measure(against, case))
        seconds, square = statistics.median(t for t, _ in mine), mine[0][1]
        row = f"{case:24} {seconds:7.3f} s, error {square**0.5:.1e}"
        if theirs:
            other, its = statistics.median(t for t, _ in theirs), theirs[0][1]
            ratio = other * its / (seconds * square) if seconds * square else float("nan")
            row += f"; other {other:7.3f} s, error {its**0.5:.1e}: cost {ratio:.2f}"
        print(row, flush=True)


if __name__ == "__main__":
    main()
