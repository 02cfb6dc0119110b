"""The means of an output's entries at several widths, extrapolated to infinite width.

The weights n x (number of runs) are those of the theory, variance of a run proportional to 1/n, and
not estimated, so that the extrapolation is a fixed combination of means: unbiased, with a variance
estimated from the spread of the runs alone, whatever its law in n. Its degrees of freedom are
Satterthwaite's.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np

from nexort.program.unrolled import Array
from nexort.report.compare.tails import f_above, together, two_sided

LIMIT_DOF = 15.0
"""Degrees of freedom of the limit's standard error: it is from about 16 replicates."""

REJECTED = 0.01
"""Below this p-value a model does not describe an entry's means."""

TREND = 0.1
"""Below this p-value the means of an output do change with the width."""

Powers = tuple[float, ...]
PLAIN, BIAS, KINK, BENT = (0.0,), (0.0, 1.0), (0.0, 0.5), (0.0, 0.5, 1.0)
"""Models of a mean: sums of these powers of 1/n. A term in n^-1/2 comes from functions with kinks:
E |c| ~ n^-1/2 for a scalar c that fluctuates around 0."""


@dataclass(frozen=True)
class Means:
    """Entries' means over runs, shape (widths, entries), their squared standard errors, and the
    number of runs at each width."""

    widths: Array
    counts: Array
    mean: Array
    variance: Array


@dataclass(frozen=True)
class WidthFit:
    """Per entry: the value at infinite width, its standard error without the limit's, the deviation
    from the limit in standard errors (the limit's included), and its p-value. ``bent`` marks the
    entries whose fit has a term in n^-1/2."""

    value: Array
    error: Array
    score: Array
    p: Array
    bent: Array

    def where(self, chosen: Array, other: WidthFit) -> WidthFit:
        """This fit where ``chosen``, and the other elsewhere."""
        pairs = zip(astuple(self), astuple(other), strict=True)
        return WidthFit(*(np.where(chosen, mine, others) for mine, others in pairs))


def extrapolate(means: Means, limit: Array, limit_error: Array, tolerance: Array) -> WidthFit:
    """The extrapolation m of ``mean = m + b/n``, tested against the limit.

    With one width it is the plain mean. Two more models may be open: m + a n^-1/2 if the output's
    means change with the width at all and the entry's do not contradict it, and m + a n^-1/2 + b/n
    if they contradict m + b/n. The fit nearest to the limit counts: an entry is off if it is off in
    every open model.
    """
    count = len(means.widths)
    noise = np.sqrt(limit_error**2 + tolerance**2)

    def fit(powers: Powers) -> WidthFit:
        return _fit(means, powers, limit, noise, tolerance)

    if count == 1:
        return fit(PLAIN)
    found, kink = fit(BIAS), fit(KINK)
    with_bias, with_kink = (_p_of_model(means, powers, tolerance) for powers in (BIAS, KINK))
    free = with_kink >= np.minimum(with_bias, REJECTED)
    if together(_p_of_trend(means, tolerance)) < TREND:
        found = kink.where(free & (kink.p > found.p), found)
    if count > 3:
        bent = fit(BENT)
        found = bent.where((with_bias < REJECTED) & (bent.p > found.p), found)
    return found


def _design(widths: Array, powers: Powers) -> Array:
    return np.power(float(widths.min()) / widths[:, None], powers)


def _combinations(means: Means, powers: Powers) -> Array:
    """Rows: the combinations of means that fit the coefficients of a model."""
    weights = means.widths * means.counts
    root = np.sqrt(weights / weights.sum())
    return np.asarray(np.linalg.pinv(root[:, None] * _design(means.widths, powers)) * root)


def _combined(means: Means, combination: Array, noise: Array) -> tuple[Array, Array, Array]:
    """A combination of means, its squared standard error, and the degrees of freedom of the sum of
    this and ``noise`` squared."""
    parts = combination[:, None] ** 2 * means.variance
    variance = parts.sum(axis=0)
    spread = (parts**2 / (means.counts - 1)[:, None]).sum(axis=0) + noise**4 / LIMIT_DOF
    return combination @ means.mean, variance, (variance + noise**2) ** 2 / spread


def _fit(means: Means, powers: Powers, limit: Array, noise: Array, tolerance: Array) -> WidthFit:
    value, variance, dof = _combined(means, _combinations(means, powers)[0], noise)
    score = (value - limit) / np.sqrt(variance + noise**2)
    p = np.where(np.abs(value - limit) <= tolerance, 1.0, two_sided(score, dof))
    return WidthFit(value, np.sqrt(variance), score, p, np.full(value.shape, 0.5 in powers))


def _p_of_trend(means: Means, tolerance: Array) -> Array:
    """The p-value of means that do not change with the width."""
    slope, variance, dof = _combined(means, _combinations(means, KINK)[1], tolerance)
    return two_sided(slope / np.sqrt(variance + tolerance**2), dof)


def _p_of_model(means: Means, powers: Powers, tolerance: Array) -> Array:
    """The p-value of a model: chi-square of what the fit leaves, against F for few runs."""
    design = _design(means.widths, powers)
    if len(design) <= len(powers):
        return np.ones(means.mean.shape[1])
    left = np.linalg.qr(design, mode="complete")[0][:, design.shape[1] :]
    residual = left.T @ means.mean
    variance = means.variance + tolerance**2
    covariance = np.einsum("ia,ip,ib->pab", left, variance, left)
    solved = np.linalg.solve(covariance, residual.T[..., None])[..., 0]
    chi_square = np.einsum("ap,pa->p", residual, solved)
    freedom = left.shape[1]
    return f_above(chi_square / freedom, freedom, float(np.sum(means.counts - 1)))
