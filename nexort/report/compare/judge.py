"""The test: do runs at finite widths converge to the limit, at the rate of the theorem?

Three parts share the probability 1 - confidence of refusing a true limit: every entry's
extrapolation to infinite width (half, Bonferroni over all entries of all outputs), all entries of
an output together (a quarter), and the exponent of the deviation (a quarter). With one width there
is no extrapolation and no exponent; where the limit is random its expectation is compared with
means over runs, and single runs have no exponent either.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nexort.program.unrolled import Array
from nexort.report.compare.exponent import EXPECTED, DeviationDecay, fit_decay
from nexort.report.compare.extrapolation import Means, WidthFit, extrapolate
from nexort.report.compare.tails import together
from nexort.report.compare.verification import OutputCheck, Verification, entry_label
from nexort.report.results.estimate import Estimate
from nexort.report.results.numbers import Labels, uncertain
from nexort.support.diagnostics import NexortError, fail

ROUNDOFF = {"float64": 1e-9, "float32": 1e-4}
"""Relative deviations below this are roundoff."""


@dataclass(frozen=True)
class _Case:
    """One output, entries flattened: runs of shape (runs, entries) by width."""

    name: str
    shape: tuple[int, ...]
    labels: Labels
    limit: Array
    limit_error: Array
    runs: list[Array]
    tolerance: Array
    random: bool
    rare: float
    """The number of coordinates in all runs, where what few of them have may change the output."""


@dataclass(frozen=True)
class _Levels:
    """Probabilities to refuse a true limit: an entry, an output together, an exponent."""

    entry: float
    output: float
    exponent: float


def verify(
    limit: Mapping[str, Any],
    runs: Mapping[int, Mapping[str, Array]],
    *,
    confidence: float = 0.999,
    dtype: str = "float64",
    rare: Collection[str] = (),
) -> Verification:
    """Compare limits with runs at finite widths.

    ``limit`` maps an output to an :class:`Estimate` or a pair (values, standard errors), ``runs`` a
    width to the outputs' arrays of shape (runs, *shape). All runs are taken to be independent, at
    different widths too: draw them from different seeds. At least two runs are needed at a width.
    ``dtype`` is the precision of the runs. ``rare`` names outputs of functions that jump: that runs
    agree there does not show that no coordinate ever differs.

    Raises NexortError if outputs are missing or misshapen, or runs too few.
    """
    if not runs or not limit:
        raise fail("nothing-to-compare", "there is nothing to compare: no width, or no output")
    widths = np.array(sorted(runs), dtype=float)
    cases = [_case(name, value, runs, dtype, name in rare) for name, value in limit.items()]
    miss = 1 - confidence
    entries = sum(case.limit.size for case in cases)
    parts = _Levels(miss / 2 / entries, miss / 4 / len(cases), miss / 4 / len(cases))
    outputs = tuple(_check(case, widths, parts) for case in cases)
    seeds = tuple(len(r) for r in cases[0].runs)
    return Verification(tuple(sorted(runs)), seeds, confidence, outputs)


def _case(
    name: str, value: Any, runs: Mapping[int, Mapping[str, Array]], dtype: str, rare: bool
) -> _Case:
    """One output's arrays, checked and flattened."""
    labels: Labels = value.labels if isinstance(value, Estimate) else ()
    values, errors = (value.plain, value.error) if isinstance(value, Estimate) else value
    target = np.asarray(values, dtype=float)
    error = np.broadcast_to(np.asarray(errors, dtype=float), target.shape)
    found = []
    for width in sorted(runs):
        if name not in runs[width]:
            raise fail("nothing-to-compare", f"no runs of {name} at width {width}")
        array = np.asarray(runs[width][name])
        if array.shape[1:] != target.shape or array.ndim != target.ndim + 1:
            raise _misshapen(name, width, array.shape, target.shape)
        if len(array) < 2:
            message = f"found {len(array)} run of {name} at width {width}, expected at least 2"
            raise fail("too-few-runs", message, help="--seeds 8")
        dtype = "float32" if array.dtype == np.float32 else dtype
        found.append(array.reshape(len(array), -1).astype(float))
    finite = [np.where(np.isfinite(r), np.abs(r), 0).max(axis=0) for r in found]
    size = np.maximum(np.max(finite, axis=0), np.abs(np.nan_to_num(target.ravel(), posinf=0)))
    tolerance = ROUNDOFF[dtype] * size + 64 * float(np.finfo(dtype).eps)
    random = isinstance(value, Estimate) and value.random
    flat = target.ravel(), error.ravel()
    seen = sum(width * len(runs[width][name]) for width in runs) if rare else math.inf
    return _Case(name, target.shape, labels, *flat, found, tolerance, random, seen)


def _misshapen(
    name: str, width: int, found: tuple[int, ...], shape: tuple[int, ...]
) -> NexortError:
    message = f"runs of {name} at width {width} have shape {found}, expected (runs, *{shape})"
    return fail("shape-mismatch", message)


def _check(case: _Case, widths: Array, levels: _Levels) -> OutputCheck:
    """The verdict on one output."""
    counts = np.array([len(r) for r in case.runs])
    with np.errstate(all="ignore"):
        mean = np.array([r.mean(axis=0) for r in case.runs])
        variance = np.array([r.var(axis=0, ddof=1) / len(r) for r in case.runs])
    bad = _not_finite(case, widths)
    if bad is not None:
        return _verdict(case, mean, np.sqrt(variance), bad)
    means = Means(widths, counts, mean, variance)
    spread = np.array([np.ptp(r, axis=0) for r in case.runs]).max(axis=0)
    exact = spread <= case.tolerance
    fit = extrapolate(means, case.limit, case.limit_error, case.tolerance)
    fit = _with_exact(fit, case, mean, exact, levels.entry)
    loose = ~exact
    p_together = together(fit.p[loose]) if loose.sum() > 1 else 1.0
    shrink = None
    if loose.any() and not case.random:
        deviations = [(r - case.limit)[:, loose] for r in case.runs]
        shrink = fit_decay(widths, deviations, case.limit_error[loose])
    reasons = [
        _entry_reason(case, fit, exact, levels.entry),
        _together_reason(fit, loose, p_together, levels.output),
        _decay_reason(shrink, levels.exponent),
    ]
    reason = next((r for r in reasons if r), "")
    return _verdict(case, mean, np.sqrt(variance), reason, (fit, exact, p_together, shrink))


def _not_finite(case: _Case, widths: Array) -> str | None:
    """What is NaN or infinite, if anything is."""
    finite = np.isfinite(case.limit) & np.isfinite(case.limit_error)
    if not finite.all():
        count = "" if finite.size == 1 else f" in {(~finite).sum()} of {finite.size} entries"
        return f"the limit is NaN or infinite{count}"
    for width, r in zip(widths, case.runs, strict=True):
        bad = int((~np.isfinite(r).all(axis=1)).sum())
        if bad:
            return f"NaN or infinite in {bad} of {len(r)} runs at width {width:.0f}"
    return None


def _with_exact(fit: WidthFit, case: _Case, mean: Array, exact: Array, level: float) -> WidthFit:
    """Entries without spread equal their limit at every width, to roundoff or the limit's error,
    and to what none of N coordinates has with a probability above the level: (1 - p)^N = level."""
    deviation = mean - case.limit
    worst = np.take_along_axis(deviation, np.abs(deviation).argmax(axis=0)[None], axis=0)[0]
    size = np.maximum(np.abs(mean).max(axis=0), np.abs(case.limit))
    unseen = -2 * math.log(level) / case.rare * size  # a product of signs changes by twice itself
    same = np.abs(worst) <= case.tolerance + unseen
    with np.errstate(divide="ignore", invalid="ignore"):
        score = np.where(same, 0.0, worst / case.limit_error)
    p = np.where(same, 1.0, np.where(case.limit_error > 0, fit.p, 0.0))
    return WidthFit(
        np.where(exact, mean[-1], fit.value),
        np.where(exact, 0.0, fit.error),
        np.where(exact, score, fit.score),
        np.where(exact, p, fit.p),
        fit.bent & ~exact,
    )


def _entry_reason(case: _Case, fit: WidthFit, exact: Array, level: float) -> str:
    """The entry that deviates most significantly, if it does."""
    missed = fit.p < level
    if not missed.any():
        return ""
    worst = int(np.lexsort((-np.abs(fit.score), fit.p))[0])
    found = uncertain(fit.value[worst], fit.error[worst])
    limit = uncertain(case.limit[worst], case.limit_error[worst])
    where = "" if case.limit.size == 1 else f"{entry_label(case.shape, case.labels, worst)}: "
    many = f" ({int(missed.sum())} of {missed.size} entries)" if missed.sum() > 1 else ""
    if exact[worst]:
        return f"{where}every run gives {found}, the limit is {limit}{many}"
    if len(case.runs) == 1:
        return f"{where}the mean is {found}, the limit {limit}{many}; a bias O(1/n) is not excluded"
    return f"{where}extrapolates to {found}, the limit is {limit}{many}"


def _together_reason(fit: WidthFit, loose: Array, p: float, level: float) -> str:
    if p >= level:
        return ""
    size = float(np.sqrt(np.mean(fit.score[loose] ** 2)))
    return f"all entries together: p = {p:.1g} (deviations of {size:.1f} standard errors RMS)"


def _decay_reason(shrink: DeviationDecay | None, level: float) -> str:
    if shrink is None or shrink.exponent is None or not shrink.too_slow(level):
        return ""
    shown = uncertain(shrink.exponent, shrink.exponent_error or 0.0)
    how = "shrinks too slowly" if shrink.exponent < -0.1 else "does not shrink"
    return f"the deviation from the limit {how}, like n^({shown}); expected n^{EXPECTED}"


def _verdict(
    case: _Case,
    mean: Array,
    error: Array,
    reason: str,
    found: tuple[WidthFit, Array, float, DeviationDecay | None] | None = None,
) -> OutputCheck:
    """The arrays in the output's shape. Without ``found``, nothing could be tested."""
    shape, count = case.shape, len(case.runs)
    unknown = np.full(case.limit.shape, np.nan)
    no = np.zeros(case.limit.shape, bool)
    fit, exact, p_together, shrink = found or (
        WidthFit(unknown, unknown, unknown, unknown, no),
        no,
        np.nan,
        None,
    )
    with np.errstate(all="ignore"):
        scale = np.sqrt(error**2 + case.limit_error**2 + case.tolerance**2)
        z = (mean - case.limit) / scale
        plain = np.sqrt([np.mean((r - case.limit) ** 2) for r in case.runs])
    return OutputCheck(
        name=case.name,
        holds=not reason,
        reason=reason,
        labels=case.labels,
        limit=case.limit.reshape(shape),
        limit_error=case.limit_error.reshape(shape),
        means=mean.reshape((count, *shape)),
        errors=error.reshape((count, *shape)),
        z=z.reshape((count, *shape)),
        extrapolated=fit.value.reshape(shape),
        extrapolated_error=fit.error.reshape(shape),
        score=fit.score.reshape(shape),
        p=fit.p.reshape(shape),
        bent=fit.bent.reshape(shape),
        exact=exact.reshape(shape),
        random=case.random,
        p_together=p_together,
        rms=plain if shrink is None else shrink.rms,
        rms_error=np.full(count, np.nan) if shrink is None else shrink.rms_error,
        exponent=None if shrink is None else shrink.exponent,
        exponent_error=None if shrink is None else shrink.exponent_error,
    )
