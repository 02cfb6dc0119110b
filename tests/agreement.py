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
"""In standard errors. Beyond 4 lies a t distribution with 20 degrees of freedom with probability
7e-4, so that one program of 20 numbers in 70 is looked at again; beyond 7 one with 150 degrees with
8e-11, and one with 15 (if the limit's 16 replicates were all of the error) with 4e-6. Over 500
programs a false alarm thus has probability 500 x 20 x 0.014 x 8e-11 = 1e-8, and 6e-4 at the worst;
with errors underestimated by a quarter (heavy tails: 5.2 for 7, 3 for 4) it is 7e-4."""


OUTSIDE = "outside of the theorem"


@dataclass(frozen=True)
class Deviation:
    """The largest deviation of an output, in standard errors beyond the allowance."""

    output: str
    errors: float
    limit: float
    extrapolated: float
    allowance: float
    method: str = ""


def deviations(
    program: TensorProgram,
    order: int,
    *,
    runs: tuple[int, int] = (32, 24),
    samples: int = 1024,
    seed: int = 0,
    exact: bool = True,
) -> list[Deviation]:
    """The worst entry of every output; ``runs`` are those at the two widths.
    ``exact`` False samples every expectation."""
    limit = program.limit(samples=samples, seed=seed, exact=exact)
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
                limit[name].method,
            )
        )
    return found


def disagreements(program: TensorProgram, order: int, *, exact: bool = True) -> list[Deviation]:
    """The outputs whose limit is wrong, by two looks. Where the limit says that it lies outside of
    the theorem there is nothing to compare."""
    if max(d.errors for d in deviations(program, order, exact=exact)) <= SUSPECT:
        return []
    again = deviations(program, order, runs=(192, 160), samples=8192, seed=1, exact=exact)
    return [d for d in again if d.errors > WRONG and OUTSIDE not in d.method]
