"""Whether a limit agrees with finite widths: a test that is sharp and does not cry wolf.

An output at width n is its limit plus c/n plus less, so 2 m(2n) - m(n) has hardly any bias. Its
distance to the limit is measured in standard errors of all three, beyond an allowance for what the
extrapolation leaves. What lies beyond four of them is looked at again with fresh randomness, many
more runs and many more sample points, and is wrong if it then lies beyond seven.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nexort.api import TensorProgram

WIDTHS = {0: (512, 1024), 1: (512, 1024), 2: (64, 128)}
"""By the order of the outer nonlinearities: order two costs n^3."""

SUSPECT, WRONG = 4.0, 7.0
"""In standard errors. A t distribution with 150 degrees of freedom is beyond 7 with probability
8e-11, and one with 20 beyond 4 with probability 7e-4. 500 programs of 20 numbers each thus raise a
false alarm with probability below 1e-9; with errors underestimated by a third (heavy tails) 5.2
takes the place of 7: 6e-7 a number and, if each is looked at again with probability 0.01, 6e-5 in
all."""


@dataclass(frozen=True)
class Deviation:
    """The largest deviation of an output, in standard errors beyond the allowance."""

    output: str
    errors: float
    limit: float
    extrapolated: float
    allowance: float


def deviations(
    program: TensorProgram,
    order: int,
    *,
    runs: tuple[int, int] = (32, 24),
    samples: int = 1024,
    seed: int = 0,
) -> list[Deviation]:
    """The worst entry of every output; ``runs`` are those at the two widths."""
    limit = program.limit(samples=samples, seed=seed)
    small, large = (
        program.runs(n, count, seed=seed + 7) for n, count in zip(WIDTHS[order], runs, strict=True)
    )
    found = []
    for name in limit:
        a, b = small[name], large[name]
        value, error = np.asarray(limit[name]), limit[name].error
        change = a.mean(axis=0) - b.mean(axis=0)
        extrapolated = b.mean(axis=0) - change
        spread = np.sqrt(4 * b.var(axis=0, ddof=1) / len(b) + a.var(axis=0, ddof=1) / len(a))
        allowance = 0.15 * np.abs(change) + 1e-9 * (1 + np.abs(value))
        beyond = np.maximum(np.abs(extrapolated - value) - allowance, 0)
        ratio = beyond / np.hypot(spread, np.maximum(error, 1e-12))
        worst = np.unravel_index(np.argmax(ratio), ratio.shape)
        found.append(
            Deviation(
                name,
                float(ratio[worst]),
                float(value[worst]),
                float(extrapolated[worst]),
                float(allowance[worst]),
            )
        )
    return found


def disagreements(program: TensorProgram, order: int) -> list[Deviation]:
    """The outputs whose limit is wrong, by two looks."""
    if max(d.errors for d in deviations(program, order)) <= SUSPECT:
        return []
    again = deviations(program, order, runs=(192, 160), samples=8192, seed=1)
    return [d for d in again if d.errors > WRONG]
