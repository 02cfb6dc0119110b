"""How often two errors cover the truth: ``python tests/calibration.py [VALUES [KIND ...]]``.

Every value is an independent run, and the truth a closed form, the exact route of the same program,
or a run of so many points that its error does not matter.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

import nexort
from nexort.gaussian.covariance import Covariance
from nexort.gaussian.expectation import _numeric, expect_pair
from nexort.gaussian.univariate import function

COPIES = 20
"""Independent copies of a program in one run, on coordinates of their own."""

PLAIN = """
vector x_k, w_k ~ N(0, 1)
|h_k> = tanh(|x_k> + 0.5 * |w_k>)
output <h_k|h_k> as f_k
"""

DOTS = """
vector x_k ~ N(0, 1)
matrix W_k ~ N(0, 1/n)
|g_k> = W_k^T erf(W_k |x_k>)
|y_k> = relu(|g_k> + |x_k>)
output <y_k|y_k> as f_k
"""

ORDER_1 = """
vector x_k, w_k ~ N(0, 1)
|y_k> = E{1}[relu(|x_k> + |w_k>{1})]
output <y_k|y_k> as f_k
"""

ORDER_2 = """
vector x_k, w_k ~ N(0, 1)
|y_k> = E{1,2}[cos(|x_k> + |w_k>{1} * |w_k>{2})]
output <y_k|y_k> as f_k
"""

HEAVY = """
vector x_k ~ N(0, 1)
|y_k> = exp(1.3 * |x_k>)
output <1|y_k> as f_k
"""

NETWORK = """
dim d = 2, M = 2
data xi[d, M] = [[1, 0.6], [0, 0.8]], y[M] = [1, -0.5]
network f(xi) {
  weight u : vector[d]
  weight W : matrix
  weight v : vector
  |h> = W tanh(|u> @ xi)
  |x> = tanh(|h>)
  return <v|x>
}
train f {
  parametrization KIND
  optimizer sgd(lr=0.5)
  error f - y
  steps 3
  START
}
output f[3] as f
"""


@dataclass(frozen=True)
class Coverage:
    """Of one kind: how many values there are, and how many lie within two errors of the truth;
    ``spread`` is the standard deviation of their differences in errors."""

    kind: str
    count: int
    within: int
    spread: float

    @property
    def part(self) -> float:
        return self.within / self.count


def _runs(text: str, truth: float, count: int, **options: object) -> Iterator[float]:
    """Differences from the truth, in errors."""
    copies = COPIES if "_k" in text else 1
    program = nexort.loads("".join(text.replace("_k", str(k)) for k in range(copies)))
    for seed in range(-(-count // copies)):
        for value in program.limit(seed=seed, **options).values():
            yield float((np.ravel(value.plain)[0] - truth) / np.ravel(value.error)[0])


def _exact(text: str) -> float:
    [value] = nexort.loads(text.replace("_k", "")).limit().values()
    assert "sampled" not in value.method
    return float(np.ravel(value.plain)[0])


def _arc(variance: float, rho: float) -> float:
    """E relu relu."""
    angle = math.acos(rho)
    return variance / (2 * math.pi) * (math.sin(angle) + (math.pi - angle) * rho)


def plain(count: int) -> Iterator[float]:
    return _runs(PLAIN, _exact(PLAIN), count, exact=False, samples=512)


def dots(count: int) -> Iterator[float]:
    return _runs(DOTS, _exact(DOTS), count, exact=False, samples=512)


def heavy(count: int) -> Iterator[float]:
    return _runs(HEAVY, _exact(HEAVY), count, exact=False, samples=1024)


def order_1(count: int) -> Iterator[float]:
    return _runs(ORDER_1, _arc(2, 0.5), count, samples=64)


def order_2(count: int) -> Iterator[float]:
    return _runs(ORDER_2, (1 + math.exp(-2)) / 4, count, samples=64)


def maximal(count: int) -> Iterator[float]:
    text = NETWORK.replace("KIND", "mup").replace("START", "")
    [value] = nexort.loads(text).limit(samples=2**14, replicates=32, seed=10**6).values()
    return _runs(text, float(value.plain[0]), count, samples=256)


def tangent(count: int) -> Iterator[float]:
    text = NETWORK.replace("KIND", "ntp").replace("START", "centre")
    return _runs(text, _exact(text), count, exact=False, samples=64, replicates=17)


def numeric(count: int) -> Iterator[float]:
    """Series and quadrature of functions that have closed forms."""
    rng = np.random.default_rng(0)
    names = ("erf", "gelu", "sin", "relu", "abs", "cos", "exp")
    for _ in range(count):
        f, g = (function(str(name)) for name in rng.choice(names, 2))
        left, right = 10.0 ** rng.uniform(-3, 0, 2)
        rho = rng.choice([rng.uniform(-1, 1), 1 - 10.0 ** rng.uniform(-12, -1)])
        k = Covariance(*(np.array([x]) for x in (left, right, rho * math.sqrt(left * right))))
        known, found = expect_pair(f, g, k), _numeric(f, g, k, 1e-8)
        yield float(found.value[0] - known.value[0]) / float(np.ravel(found.error)[0] or 1e-300)


KINDS: dict[str, Callable[[int], Iterator[float]]] = {
    "sampled": plain,
    "sampled, with dots": dots,
    "outer nonlinearity of order 1": order_1,
    "outer nonlinearity of order 2": order_2,
    "heavy tails": heavy,
    "training, maximal update limit": maximal,
    "training, neural tangent limit": tangent,
    "series and quadrature": numeric,
}


def coverage(kind: str, count: int) -> Coverage:
    """Of so many values."""
    parts = np.abs(np.fromiter(KINDS[kind](count), float))
    return Coverage(kind, len(parts), int((parts <= 2).sum()), float(np.sqrt((parts**2).mean())))


def main() -> None:
    """A line a kind."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    wanted = sys.argv[2:] or list(KINDS)
    for kind in wanted:
        start = time.perf_counter()
        found = coverage(kind, count)
        noise = math.sqrt(found.part * (1 - found.part) / found.count)
        text = f"{100 * found.part:.1f} +- {100 * noise:.1f} % of {found.count} within two errors"
        seconds = time.perf_counter() - start
        print(f"{kind:32} {text}, spread {found.spread:.2f} ({seconds:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
