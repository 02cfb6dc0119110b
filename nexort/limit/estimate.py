"""What an evaluation of a limit gives: values with errors, and the statistics of replicates.

R independent replicates of N points each give a mean and its standard error. Because averages feed
back into kets, a replicate has a bias that shrinks with N; it is measured by R replicates of N/2
points, and where it is significant it is part of the error.
"""

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


def mark_missed(value: LimitValue, rtol: float) -> LimitValue:
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


LIKELY = 0.95
"""How often chance has a smaller mean square of differences over their errors than what is told
from it."""

CERTAIN = 4.0
"""A single difference over its error that is not."""

UNSETTLED = 3.0
"""A spread that does not fall with the sample, over its error, that is not taken for chance."""

ROUNDED = 1e-10
"""Runs that differ by less than this part of their largest value differ by roundings: what samples
of fewer than 2^20 points differ by is larger."""


@dataclass(frozen=True)
class Summary:
    """The mean of an output's replicates, shape (*family, *entry), and what makes its error."""

    mean: Array
    error: Array
    biased: bool
    """Whether a bias makes most of the largest error."""
    rounded: bool
    """Whether single precision changes more than the largest error is, of the same entry."""
    lasting: bool
    """Whether a spread does not fall with the sample."""
    alike: bool
    """Whether nothing was sampled: all replicates agree to rounding."""

    @staticmethod
    def of(
        coarse: Array,
        fine: Array,
        own: int,
        *,
        floor: float = 0.0,
        least: float = 0.0,
        narrow: Array | float = 0.0,
        settles: bool = True,
    ) -> Summary:
        """From replicates of N/2 and of N points, shapes (R, *family, *entry), whose last ``own``
        axes are those of an entry. ``floor`` is the least error relative to an entry's largest
        number, ``least`` in itself, ``narrow`` what single precision changes, and ``settles`` False
        says that a spread need not fall: that of draws of what is random in the limit."""
        axes = tuple(range(fine.ndim - 1 - own, fine.ndim - 1))
        with np.errstate(all="ignore"):
            value, spread = fine.mean(axis=0), standard_error(fine, coarse)
            noise = np.hypot(spread, standard_error(coarse, fine))
            excess = _significant(coarse.mean(axis=0) - value, noise, fine)
            scale = np.abs(value).max(axis=axes, keepdims=True, initial=0.0)
            top = np.abs(value[np.isfinite(value)]).max(initial=0.0)
            lasting = _lasting(coarse, fine, axes) if settles else np.zeros(value.shape)
            rounding = np.maximum(scale * floor, top * EPS) * (fine != 0).any(axis=0)
            sampled = np.sqrt(spread**2 + excess + lasting + rounding**2 + least**2)
            error = np.hypot(sampled, narrow)
            most = sampled.max(axis=axes, keepdims=True, initial=0.0)
            rounded = bool((narrow > np.where(np.isnan(most), np.inf, most)).any())
            known = np.where(np.isfinite(error), error, -1.0)
            worst = int(known.argmax()) if known.size else 0
            told = 2 * (excess + lasting)
            biased = bool(known.size and told.flat[worst] > error.flat[worst] ** 2)
            lasts = bool((lasting > (ROUNDED * top) ** 2).any())
        alike = _is_exact(coarse, fine, top)
        return Summary(value, error, biased, rounded, lasts and not alike, alike)


def _is_exact(coarse: Array, fine: Array, top: float) -> bool:
    """Whether nothing was sampled: all runs, of N/2 points and of N, agree to rounding."""
    if not (np.isfinite(coarse).all() and np.isfinite(fine).all()):
        return False
    center = fine.mean(axis=0)
    return all(bool((np.abs(x - center) <= ROUNDED * top).all()) for x in (coarse, fine))


def _significant(bias: Array, noise: Array, draws: Array) -> Array:
    """The part of squared differences that their own errors do not explain: told from an output's
    entries together, as those are one run's, and from each where it is beyond doubt."""
    known = np.isfinite(bias) & np.isfinite(noise) & (noise > 0)
    ratio = np.divide(bias, noise, out=np.zeros_like(bias), where=known) ** 2
    mean = float(ratio.sum() / max(1, known.sum()))
    part = max(0.0, 1 - _chance(draws[:, known]) / mean) if mean > 0 else 0.0
    return np.asarray(np.where(ratio > CERTAIN**2, 1.0, part) * bias**2)


def _chance(draws: Array) -> float:
    """A mean square of the entries' differences over their errors that chance can have: that of as
    many independent ones as there are seen to be in the draws, (tr C)^2 / tr C^2 of their
    correlations C. ``draws`` has shape (R, entries)."""
    from scipy.special import gammaincinv

    rest = draws - draws.mean(axis=0)
    size = np.sqrt((rest**2).mean(axis=0))
    rest = (rest / np.where(size > 0, size, 1.0)).reshape(len(draws), -1)
    gram = rest @ rest.T
    freedom = np.trace(gram) ** 2 / max(float((gram**2).sum()), EPS)
    freedom = max(float(freedom), 1.0)
    return float(2 * gammaincinv(freedom / 2, LIKELY) / freedom)


def _lasting(coarse: Array, fine: Array, axes: tuple[int, ...]) -> Array:
    """The part s^2 of the replicates' variances s^2 + c / N that does not fall with N, from those
    of N/2 points and of N: 0 unless all entries together leave no doubt; ``axes`` are an entry's
    own, over which variances are averaged."""
    inner = tuple(1 + a for a in axes)
    half, full = (
        ((x - x.mean(axis=0)) ** 2).mean(axis=inner, keepdims=True) * (len(x) / (len(x) - 1))
        for x in (coarse, fine)
    )
    size = np.nan_to_num(half.mean(axis=0), nan=0.0, posinf=0.0)
    weight = np.divide(1.0, size, out=np.zeros_like(size), where=size > 0)
    rest = [
        np.nan_to_num(weight * x, nan=0.0, posinf=0.0).reshape(len(x), -1).sum(axis=1)
        for x in (2 * full, half)
    ]
    noise = np.hypot(*(x.std(ddof=1) / np.sqrt(len(x)) for x in rest))
    if not noise > 0 or (rest[0].mean() - rest[1].mean()) < UNSETTLED * noise:
        return np.zeros(fine.shape[1:])
    now = full.mean(axis=0)
    part = np.divide(2 * now - size, now, out=np.zeros_like(now), where=(now > 0) & (size > 0))
    return np.asarray(np.clip(part, 0, 1) * fine.var(axis=0, ddof=1))
