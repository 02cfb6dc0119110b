"""Pairs of inputs with 1 - rho and 1 + rho down to 1e-16, beside 40 digits of the stored floats:

    python tests/exact/nearly_parallel.py [pairs]

prints, for that many pairs in all, for each function and depth, the largest error and the largest
error bar in (K_aa K_bb)^(1/2).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import mpmath as mp
import numpy as np

import nexort

DIGITS = 40
FUNCTIONS = ("relu", "abs", "erf", "gelu", "step", "sign")
PART = 500
"""Pairs at a time."""

SIZE = 3
"""Entries of an input."""


def pairs(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Inputs x and y, shape (SIZE, count) each: y = c (+-x + angle w), w orthogonal to x, with
    1 - rho, or 1 + rho, between 1e-16 and 1e-2."""
    rng = np.random.default_rng(seed)
    x, w = rng.standard_normal((2, SIZE, count))
    w -= x * (w * x).sum(0) / (x * x).sum(0)
    w *= np.sqrt((x * x).sum(0) / (w * w).sum(0))
    angle = np.sqrt(2 * 10 ** rng.uniform(-16, -2, count))
    scale = np.where(rng.random(count) < 0.5, 1.0, np.exp(rng.uniform(-2, 2, count)))
    side = rng.choice([-1.0, 1.0], count)
    return x, (side * x + angle * w) * scale


def program(function: str, depth: int, contracted: bool = False) -> str:
    """<p|q>, <p|p> and <q|q> of pairs after some layers; ``contracted`` first sums over an axis."""
    inner = "|u> @ {0}" if not contracted else "sum(k in 1..2) S[k-1] @ |u[k]> @ {0}"
    lines = [f"dim d = {SIZE}, M", "data x[d, M], y[d, M]", "vector u[d] ~ N(0, 1)"]
    lines += [f"matrix W[1..{depth - 1}] ~ N(0, 1/n)"] if depth > 1 else []
    for name, data in (("p", "x"), ("q", "y")):
        lines.append(f"|{name}1> = {function}({inner.format(data)})")
        lines += [
            f"|{name}{k}> = {function}(W[{k - 1}] |{name}{k - 1}>)" for k in range(2, depth + 1)
        ]
    lines += [
        f"pq = diag(<p{depth}|q{depth}>)",
        f"pp = diag(<p{depth}|p{depth}>)",
        f"qq = diag(<q{depth}|q{depth}>)",
        "output pq, pp, qq",
    ]
    return "\n".join(lines)


def _relu(a: Any, b: Any, c: Any) -> Any:
    s, t = mp.sqrt(a * b), mp.acos(c / mp.sqrt(a * b))
    return s * (mp.sin(t) + (mp.pi - t) * mp.cos(t)) / (2 * mp.pi)


def _abs(a: Any, b: Any, c: Any) -> Any:
    s, t = mp.sqrt(a * b), mp.acos(c / mp.sqrt(a * b))
    return 2 * s * (mp.sin(t) + (mp.pi / 2 - t) * mp.cos(t)) / mp.pi


def _erf(a: Any, b: Any, c: Any) -> Any:
    return 2 / mp.pi * mp.asin(2 * c / mp.sqrt((1 + 2 * a) * (1 + 2 * b)))


def _gelu(a: Any, b: Any, c: Any) -> Any:
    p, q = 1 + a, 1 + b
    rest = (a * b - c * c + c * c * (1 / p + 1 / q)) / mp.sqrt(p * q - c * c)
    return c / 4 + (c * mp.asin(c / mp.sqrt(p * q)) + rest) / (2 * mp.pi)


def _step(a: Any, b: Any, c: Any) -> Any:
    return (mp.pi - mp.acos(c / mp.sqrt(a * b))) / (2 * mp.pi)


def _sign(a: Any, b: Any, c: Any) -> Any:
    return 1 - 2 * mp.acos(c / mp.sqrt(a * b)) / mp.pi


KERNELS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "relu": _relu, "abs": _abs, "erf": _erf, "gelu": _gelu, "step": _step, "sign": _sign,
}  # fmt: skip


def exact(function: str, depth: int, x: Sequence[float], y: Sequence[float]) -> tuple[Any, ...]:
    """K_xy, K_xx and K_yy of two stored inputs, with DIGITS digits."""
    first, second = ([mp.mpf(float(v)) for v in z] for z in (x, y))

    def dot(p: list[Any], q: list[Any]) -> Any:
        return sum((u * v for u, v in zip(p, q, strict=True)), mp.mpf(0))

    kernel = KERNELS[function]
    found = dot(first, second), dot(first, first), dot(second, second)
    for _ in range(depth):
        c, a, b = found
        found = kernel(a, b, c), kernel(a, a, a), kernel(b, b, b)
    return tuple(v.real for v in found)


def measure(function: str, depth: int, count: int, seed: int = 0) -> tuple[float, float, float]:
    """The largest error, the largest error bar, both in (K_aa K_bb)^(1/2), and the largest
    error in bars."""
    x, y = pairs(count, seed)
    limit = nexort.loads(program(function, depth)).limit(x=x, y=y)["pq"]
    values, bars = np.asarray(limit.plain), np.broadcast_to(np.asarray(limit.error), count)
    worst = np.zeros(3)
    with mp.workdps(2 * DIGITS):
        for k in range(count):
            true, own, other = exact(function, depth, x[:, k], y[:, k])
            scale = mp.sqrt(own * other)
            error = abs(mp.mpf(float(values[k])) - true)
            found = error / scale, bars[k] / scale, error / mp.mpf(float(bars[k]))
            worst = np.maximum(worst, [float(v) for v in found])
    return float(worst[0]), float(worst[1]), float(worst[2])


def main() -> None:
    total = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    count = total // (3 * len(FUNCTIONS))
    for depth in (1, 2, 3):
        for function in FUNCTIONS:
            parts = [measure(function, depth, PART, seed) for seed in range(-(-count // PART))]
            error, bar, ratio = np.max(parts, axis=0)
            print(f"{function:5} depth {depth}: error {error:.1e}, bar {bar:.1e}, "
                  f"error / bar {ratio:.2f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
