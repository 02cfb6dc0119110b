"""The maximal update limit of a training run (Thm 2.5.2, 2.7.1, 2.9.25), with error bars.

R independent replicates of N points a neuron space each give a mean and its standard error. Since
averages feed back into kets, a replicate has a bias that shrinks with N; it is measured by R more
replicates of N/2 points, and where it is significant it is part of the reported error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from nexort.limit.estimate import EPS, LimitValue, met, missed, standard_error
from nexort.limit.settings import Progress, Settings
from nexort.limit.training.maximal.initial import FULL
from nexort.limit.training.maximal.plan import Plan
from nexort.limit.training.maximal.run import trajectory
from nexort.limit.training.replicates import Replicates, Stage, Warn, more, tell
from nexort.program.unrolled import Array
from nexort.training.checkpoint import Store
from nexort.training.task import Task

MORE = 16
"""How many times the replicates of the start may be run for an accuracy that is asked for."""

WORK = 2**17
"""Arguments of matrices in a step times points of a replicate without pairs. It does not depend on
the number of steps, so that what a run has at a step does not."""

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


def evaluate(
    task: Task,
    settings: Settings | None = None,
    progress: Progress | None = None,
    checkpoint: Store | None = None,
    warn: Warn | None = None,
    separates: Callable[[], float | None] | None = None,
) -> dict[str, LimitValue]:
    """The limit of every output, shape family_shape + axes.

    Replicates that are in ``checkpoint`` are not run again. Where something ceases to be finite,
    later entries are nan, the value's method says so, and ``warn`` is called. Where the spread of
    replicates does not fall with the sample, ``separates`` is asked whether networks of finite
    width separate, which is chaos, and by how much. Raises NexortError where the memory does not
    hold the smallest sample.
    """
    settings = settings or Settings()
    plan = Plan.of(task)
    stages = replicates(plan, settings, progress, checkpoint)
    size, count = stages.size(_default(plan)), max(2, settings.replicates)
    largest, most = min(settings.max_samples, stages.room()), MORE * count
    while True:
        half, full = stages.stages(size, count)
        found = _summary(task, half, full)
        if any(x.rounded for x in found.values()):
            size = stages.widen(size)
            largest = min(largest, stages.room())
            continue
        values = {name: x.value for name, x in found.items()}
        if settings.rtol is None or all(met(v, settings.rtol) for v in values.values()):
            break
        # pairs of points cost the square of their number: more replicates pay, but for a bias
        pays = not plan.pairs or any(x.biased for x in found.values())
        if 2 * size <= largest and (pays or count == most):
            size *= 2
        elif not pays and count < most:
            count = more(count, most, values, settings.rtol)
        else:
            values = {k: missed(v, settings.rtol) for k, v in values.items()}
            break
    tell(task, full.stopped, warn)
    if any(x.lasting for x in found.values()):
        text = _unsettled(None if separates is None else separates())
        values = {
            name: replace(v, method=v.method + text) if found[name].lasting else v
            for name, v in values.items()
        }
    return values


def _unsettled(growth: float | None) -> str:
    """What is said of a spread that does not fall."""
    why = "the spread of runs does not fall with the sample"
    if growth is not None:
        why = f"chaotic, networks that start apart by 1e-9 separate {growth:.2g}-fold"
    return f"; {why}: errors are the spread of runs"


def replicates(
    plan: Plan,
    settings: Settings,
    progress: Progress | None = None,
    store: Store | None = None,
) -> Replicates:
    """Replicates of a run."""
    return Replicates(
        "maximal",
        lambda size, seed, dtype: trajectory(plan, size, seed, dtype),
        plan.bytes,
        settings,
        progress,
        store,
        pairs=plan.pairs,
    )


def _default(plan: Plan) -> int:
    """The sample's size where none is asked for."""
    if plan.pairs:
        return 2048
    # no pairs of points: many more of them cost the same, and quasi-random ones pay
    known = WORK // max(1, plan.arguments())
    return min(max(4096, 1 << (known.bit_length() - 1)), 65536)


# ---- errors --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Summary:
    """An output's value, whether a bias makes most of the largest error, whether single precision
    changes more than that is, and whether a spread does not fall with the sample."""

    value: LimitValue
    biased: bool
    rounded: bool
    lasting: bool


def _summary(task: Task, half: Stage, full: Stage) -> dict[str, Summary]:
    """The outputs' values."""
    found = {}
    # what is dropped from hats changes covariances by its square
    rounding = max(full.notes["dropped"], 1e-7) ** 2
    points = f"{len(next(iter(full.draws.values()), ()))} x {full.size} points"
    text = f"sampled: {points}"
    rank = int(full.notes["rank"])
    if rank > FULL * full.size:
        text += f", matrices of {full.size} x {full.size} numbers"
    if full.stopped is not None:
        text += f"; {full.stopped[1]} not finite at step {full.stopped[0]}"
    for output in task.outputs:
        coarse, fine = half.draws[output.name], full.draws[output.name]
        axes = tuple(range(len(output.family_shape), fine.ndim - 1))
        with np.errstate(all="ignore"):
            value, spread = fine.mean(axis=0), standard_error(fine, coarse)
            noise = np.hypot(spread, standard_error(coarse, fine))
            excess = _significant(coarse.mean(axis=0) - value, noise, fine)
            scale = np.abs(value).max(axis=axes, keepdims=True, initial=0.0)
            top = np.abs(value[np.isfinite(value)]).max(initial=0.0)
            lasting = _lasting(coarse, fine, axes)
            floor = np.maximum(scale * rounding, top * EPS) * (fine != 0).any(axis=0)
            narrow = half.rounding(output.name, len(axes))
            sampled = np.sqrt(spread**2 + excess + lasting + floor**2)
            error = np.hypot(sampled, narrow)
            most = sampled.max(axis=axes, keepdims=True, initial=0.0)
            rounded = bool((narrow > np.where(np.isnan(most), np.inf, most)).any())
            known = np.where(np.isfinite(error), error, -1.0)
            worst = int(known.argmax()) if known.size else 0
            told = 2 * (excess + lasting)
            biased = bool(known.size and told.flat[worst] > error.flat[worst] ** 2)
            lasts = bool((lasting > (ROUNDED * top) ** 2).any())
        method = text
        if _rounded(coarse, fine, top):
            method, lasts = f"exact to rounding: alike in {points}", False
        found[output.name] = Summary(LimitValue(value, error, method), biased, rounded, lasts)
    return found


def _rounded(coarse: Array, fine: Array, top: float) -> bool:
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
