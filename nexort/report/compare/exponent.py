"""How the deviation from the limit shrinks with the width: RMS ~ n^s, where the theorem has
s = -1/2."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nexort.program.unrolled import Array
from nexort.report.compare.tails import quantile

EXPECTED = -0.5
SLACK = 0.15
"""How much slower than the theorem's a fitted exponent may truly be: at finite widths, further
terms bend the curve."""

COMMON = 3.0
"""How many of the limit's own standard errors may hide in every deviation."""


@dataclass(frozen=True)
class DeviationDecay:
    """The root mean square deviation at each width, its relative standard errors, and the fitted
    exponent (None for one width) with its standard error and degrees of freedom."""

    rms: Array
    rms_error: Array
    exponent: float | None
    exponent_error: float | None
    dof: float

    def too_slow(self, level: float) -> bool:
        """Whether the exponent is significantly above -1/2, beyond the slack."""
        if self.exponent is None or self.exponent_error is None:
            return False
        bound = EXPECTED + SLACK + quantile(level, self.dof) * self.exponent_error
        return self.exponent > bound


def fit_decay(widths: Array, deviations: list[Array], limit_error: Array) -> DeviationDecay:
    """The fit over widths. ``deviations`` has an array of shape (runs, entries) for each width.

    Entries are weighted to count alike, whatever their size, without changing the RMS of entries
    that are alike. Standard errors are jackknifed over runs, pooled over widths, and enlarged by
    the limit's own error, which is the same at every width and does not shrink.
    """
    by_entry = np.array([np.mean(d**2, axis=0) for d in deviations])
    size = np.mean(widths[:, None] * by_entry, axis=0)
    weight = np.where(size > 0, np.mean(size) / np.where(size > 0, size, 1), 0.0)
    squares = [np.mean(d**2 * weight, axis=1) for d in deviations]
    mean = np.array([s.mean() for s in squares])
    counts = np.array([len(s) for s in squares])
    own = float(np.mean(limit_error**2 * weight))
    variance = _pooled_jackknife(squares) / counts + (COMMON * own / mean) ** 2
    rms, error = np.sqrt(mean), np.sqrt(variance) / 2
    dof = float(max(1, np.sum(counts - 1) / 2))
    if len(widths) < 2:
        return DeviationDecay(rms, error, None, None, dof)
    x = np.log(widths)
    w = 1 / error**2
    centre = np.sum(w * x) / np.sum(w)
    spread = np.sum(w * (x - centre) ** 2)
    slope = float(np.sum(w * (x - centre) * np.log(rms)) / spread)
    return DeviationDecay(rms, error, slope, float(1 / np.sqrt(spread)), dof)


def _pooled_jackknife(squares: list[Array]) -> float:
    """The variance that a single run contributes to the logarithm of a mean over runs."""
    total = freedom = 0.0
    for s in squares:
        count = len(s)
        left_out = np.log(np.maximum((s.sum() - s) / (count - 1), 1e-300))
        total += (count - 1) ** 2 * float(np.sum((left_out - left_out.mean()) ** 2))
        freedom += count - 1
    return total / freedom
