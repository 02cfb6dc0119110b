"""What an evaluation of a limit gives: values with errors, and the errors of replicates' means."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from nexort.program.unrolled import Array

EPS = float(np.finfo(float).eps)


@dataclass(frozen=True)
class LimitValue:
    """An output: ``value`` and ``error`` (standard error, 0 where exact) of shape
    family_shape + axes, ``method`` in words, ``met`` whether a requested rtol was reached. Where
    the limit is a ``random`` variable, ``value`` is its expectation."""

    value: Array
    error: Array
    method: str
    met: bool = True
    random: bool = False


def met(value: LimitValue, rtol: float) -> bool:
    """Whether the errors of all that is finite are within ``rtol`` of the largest entry."""
    good = np.isfinite(value.value)
    scale = np.abs(value.value[good]).max(initial=0.0)
    return bool((value.error[good] <= rtol * scale).all())


def missed(value: LimitValue, rtol: float) -> LimitValue:
    """A value that says so where ``rtol`` was not reached."""
    if met(value, rtol):
        return value
    text = f"{value.method}; rtol {rtol:g} not reached within the sample budget"
    return replace(value, method=text, met=False)


COVERED = 0.945
"""The probability by which two errors cover a limit by spread alone; biases that are added make it
95 to 97 %."""

SKEWED = 0.6
"""How much the square of a skewness widens an error. Means of quasi-random points are skewed where
few points of a sample make most of their spread; found on means of exponentials of Gaussians, and
no wider than 97 % for a normal law, at 16 replicates."""


def standard_error(draws: Array, others: Array) -> Array:
    """Of the mean of R independent draws, along the first axis: half of what covers it by Student's
    law of R - 1 degrees of freedom, wider where the draws and ``others`` of their kind are skewed.
    """
    count = len(draws)
    skewness = (_skewness(draws) + _skewness(others)) / 2
    width = student(count - 1) * (1 + SKEWED * skewness**2)
    return np.asarray(draws.std(axis=0, ddof=1) / np.sqrt(count) * width, float)


def _skewness(draws: Array) -> Array:
    rest = draws - draws.mean(axis=0)
    scale = np.sqrt((rest**2).mean(axis=0))
    with np.errstate(all="ignore"):
        found = ((rest / np.where(scale > 0, scale, 1)) ** 3).mean(axis=0)
    return np.asarray(np.nan_to_num(found))


@cache
def student(freedom: int) -> float:
    """Half of what covers a mean, in standard errors."""
    from scipy.stats import t

    return float(t.ppf((1 + COVERED) / 2, freedom)) / 2
