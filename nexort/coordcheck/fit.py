"""The power of n in a size, from runs at several widths, with an honest error.

Sizes of single runs are compared as logarithms: their spread does not depend on how fast a quantity
grows, and one wild run of an unstable training does not outweigh the others. At finite widths log
size is a constant + s log n + corrections that vanish. A correction c n^-1/2 or c n^-1 is fitted
too, with a prior for its size; s is averaged over both by their evidence (MacKay, Information
Theory, Inference, and Learning Algorithms, ch. 28), and its error has the spread between them in
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nexort.program.unrolled import Array

CORRECTIONS = (-0.5, -1.0)
"""Powers of n in the correction of a fit."""

PRIOR = 0.3
"""The size that a correction to log size is thought to have at the smallest width: a standard
deviation."""

SURE = 3
"""Standard errors: of hundreds of fits some are off by two."""

FLOOR = 1e-6
"""A standard error of a logarithm that roundoff alone may have."""


@dataclass(frozen=True)
class ExponentFit:
    """The exponent s in size ~ n^s, and its standard error (nan where it cannot be told). ``sizes``
    and ``errors`` are the geometric mean over runs at every width, nan where no run has one, and
    the relative standard error. ``zero``: the size is exactly 0 at all widths. ``freedom``: the
    degrees of freedom of the spread between runs, in all."""

    exponent: float
    error: float
    sizes: Array
    errors: Array
    zero: bool = False
    freedom: int = 0

    @property
    def margin(self) -> float:
        """How far an exponent is from the truth with the probability that SURE standard errors of
        a normal law have, by Student's law."""
        from scipy.special import ndtr, stdtrit

        return float(stdtrit(max(self.freedom, 1), ndtr(SURE))) * self.error


def fit(widths: Sequence[int], squares: Array, *, pure: bool = False) -> ExponentFit:
    """The fit of mean squares, shape (widths, runs). What is not finite or 0 in single runs is left
    out; so are widths at which that is most runs. ``pure``: there are no corrections."""
    usable = np.isfinite(squares) & (squares > 0)
    enough = 2 * usable.sum(axis=1) > squares.shape[1]
    logs = 0.5 * np.log(np.where(usable, squares, 1.0))
    count = usable.sum(axis=1)
    mean = np.where(usable, logs, 0).sum(axis=1) / np.maximum(count, 1)
    spread = np.where(usable, (logs - mean[:, None]) ** 2, 0).sum(axis=1)
    lengths = np.log(np.asarray(widths, dtype=float))
    variance = np.full(len(widths), np.nan)
    kept = np.flatnonzero(enough)
    variance[kept] = _variances(lengths[kept], spread[kept], count[kept]) / count[kept] + FLOOR**2
    sizes = np.where(enough, np.exp(mean), np.nan)
    errors = np.sqrt(variance)
    if len(kept) < 2:
        known = squares[np.isfinite(squares)]
        zero = bool(known.size) and not known.any()
        return ExponentFit(np.nan, np.nan, sizes, errors, zero)
    freedom = int(count[kept].sum()) - len(kept)
    exponent, error = _averaged(lengths[kept], mean[kept], errors[kept], pure=pure)
    return ExponentFit(exponent, error, sizes, errors, freedom=freedom)


def _variances(lengths: Array, spread: Array, count: Array) -> Array:
    """The variance of a single run's logarithm at every width: a power of n through the sample
    variances, which have few degrees of freedom each."""
    freedom = count - 1
    found = np.where(freedom > 0, spread / np.maximum(freedom, 1), 0.0)
    good = found > 0
    if not good.any():
        return np.zeros(len(found))
    weight = freedom[good] / 2
    x, y = lengths[good], np.log(found[good])
    centre, level = np.average(x, weights=weight), np.average(y, weights=weight)
    across = np.sum(weight * (x - centre) ** 2)
    slope = np.sum(weight * (x - centre) * (y - level)) / across if across > 0 else 0.0
    # between entries that average out like 1/n, and what does not depend on the width at all
    slope = float(np.clip(slope, -2.0, 1.0))
    return np.asarray(np.exp(level + slope * (lengths - centre)))


def _averaged(lengths: Array, mean: Array, errors: Array, *, pure: bool) -> tuple[float, float]:
    """The exponent and its error, over fits with several corrections."""
    found = []
    for power in (None,) if pure else CORRECTIONS:
        columns = [np.ones(len(lengths)), lengths]
        if power is not None:
            columns.append(np.exp(power * (lengths - lengths[0])))
        found.append(_regression(np.stack(columns, axis=1), mean, errors))
    score = np.array([score for _, _, score in found])
    weight = np.exp(score - score.max())
    weight /= weight.sum()
    slopes = np.array([slope for slope, *_ in found])
    variances = np.array([variance for _, variance, _ in found])
    exponent = float(weight @ slopes)
    return exponent, float(np.sqrt(weight @ (variances + (slopes - exponent) ** 2)))


def _regression(design: Array, mean: Array, errors: Array) -> tuple[float, float, float]:
    """Weighted least squares, a correction with its prior: the slope, its variance, and the
    logarithm of the evidence. Where the fit is worse than the errors allow, the variance grows."""
    rows = design / errors[:, None]
    target = mean / errors
    corrected = design.shape[1] == 3
    if corrected:
        rows = np.vstack([rows, [0.0, 0.0, 1 / PRIOR]])
        target = np.append(target, 0.0)
    coefficients, *_ = np.linalg.lstsq(rows, target, rcond=None)
    chi2 = float(np.sum((target - rows @ coefficients) ** 2))
    precision = rows.T @ rows
    covariance = np.linalg.inv(precision)
    freedom = len(mean) - 2
    excess = max(1.0, chi2 / freedom) if freedom else 1.0
    evidence = -0.5 * chi2 - 0.5 * float(np.linalg.slogdet(precision)[1])
    evidence -= float(np.log(PRIOR)) if corrected else 0.0
    return float(coefficients[1]), float(covariance[1, 1]) * excess, evidence
