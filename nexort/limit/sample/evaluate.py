"""The limit of every output by samples, with an error bar.

R independent replicates of N points each give a mean and its standard error. Because averages feed
back into kets, a replicate has a bias that shrinks with N; it is measured by a second set of R
replicates of N/2 points, and where it is significant it is part of the reported error.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from nexort.limit.estimate import EPS, LimitValue, met, missed, standard_error
from nexort.limit.exact.blocks import cores
from nexort.limit.exact.engine import NO_VARIANCE, NOT_SHOWN
from nexort.limit.sample.arrays import NotPositive
from nexort.limit.sample.cautions import vanishing_jumps
from nexort.limit.sample.sampler import Plan, Replicate
from nexort.limit.settings import Progress, Settings
from nexort.program.nodes import Node, Op, walk
from nexort.program.unrolled import Array, Unrolled, UnrolledOutput
from nexort.support.diagnostics import Diagnostic, NexortError, Span
from nexort.support.workers import gathered

DEFAULT_SAMPLES = 4096
DEFAULT_SAMPLES_OUTER = 1024


def sample(plan: Plan, settings: Settings, progress: Progress | None) -> dict[str, LimitValue]:
    """The limit of every output, by samples where there is anything random.

    Raises NexortError where a number is not finite or a covariance is not positive semidefinite,
    pointing at the line that made it.
    """
    return _sampled(plan, settings, progress) if plan.sampled else _exact(plan)


def _sampled(plan: Plan, settings: Settings, progress: Progress | None) -> dict[str, LimitValue]:
    room = _room(plan, settings)
    size = min(_default_samples(plan), room)
    if settings.samples:
        size = _power_of_two(settings.samples)
        if size > room:
            raise _too_large(size, room)
    half: _Stage | None = None
    while True:
        if half is None:
            half = _stage(plan, size // 2, settings, progress)
        full = _stage(plan, size, settings, progress)
        values = _summary(plan, half, full, settings.seed)
        if settings.rtol is None:
            return values
        if all(met(v, settings.rtol) for v in values.values()):
            return values
        if 2 * size > min(settings.max_samples, room):
            return {k: missed(v, settings.rtol) for k, v in values.items()}
        half, size = full, 2 * size


def _exact(plan: Plan) -> dict[str, LimitValue]:
    replicate = Replicate(plan, 2, np.random.SeedSequence(0))
    members = replicate.run(watch=True)
    if replicate.first_bad is not None:
        raise _not_finite(plan, 2, np.random.SeedSequence(0))
    return {
        output.name: LimitValue(value, np.zeros_like(value), "exact")
        for output, value in zip(
            plan.program.outputs, _assembled(plan.program, members), strict=True
        )
    }


def _default_samples(plan: Plan) -> int:
    """Enough points for the innovation bases to stay a small part of the sample."""
    least = DEFAULT_SAMPLES_OUTER if plan.regions else DEFAULT_SAMPLES
    return min(max(least, _power_of_two(8 * plan.directions)), 2**15)


def _room(plan: Plan, settings: Settings) -> int:
    """The largest sample, a power of two, whose arrays fit into the memory."""
    numbers = 2 * (plan.numbers_per_point + 64)  # temporaries as large again
    room = int(settings.memory / (8 * numbers * (settings.threads or cores())))
    if room < 64:
        raise _too_large(64, room)
    return 1 << (room.bit_length() - 1)


def _too_large(size: int, room: int) -> NexortError:
    message = f"{size} sample points do not fit into the memory, there is room for {room}"
    return NexortError([Diagnostic("memory-limit", message, None, (), "raise --memory")])


def _power_of_two(size: int) -> int:
    """The next power of two, at least 64: Sobol points come in powers of two."""
    return max(64, 1 << (size - 1).bit_length())


# ---- replicates ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Run:
    """One replicate: every output, the largest dropped direction, the largest rank, and the mean
    squares of the arguments of jumps, in their order. Plain data, as it may come from another
    process."""

    draws: list[Array]
    dropped: float
    rank: int
    squares: list[Array]


@dataclass(frozen=True)
class _Stage:
    """The replicates of one sample size; ``draws[i]`` has shape (R, *shape) for output i,
    ``squares[x]`` (R, rows): the mean squares of the argument of a jump."""

    size: int
    draws: list[Array]
    dropped: float
    rank: int
    squares: dict[Node, Array]


def _stage(plan: Plan, size: int, settings: Settings, progress: Progress | None) -> _Stage:
    count = max(2, settings.replicates)
    seeds = np.random.SeedSequence([settings.seed, size]).spawn(count)

    def one(index: int) -> _Run:
        seed = seeds[index]
        replicate = Replicate(plan, size, seed)
        try:
            members = replicate.run()
        except NotPositive as problem:
            raise _not_positive(plan.program, problem) from None
        if not all(np.isfinite(m).all() for m in members):
            raise _not_finite(plan, size, seed)
        draws = _assembled(plan.program, members)
        squares = [replicate.squares[x] for x in plan.jumps]
        return _Run(draws, replicate.dropped, replicate.rank, squares)

    finished = itertools.count(1)

    def done(_: int, __: _Run) -> None:
        if progress is not None:
            progress(next(finished), count)

    if progress is not None:
        progress(0, count)
    found = gathered(one, range(count), settings.threads or cores(), done)
    runs = [found[k] for k in range(count)]
    draws = [np.stack(columns) for columns in zip(*(r.draws for r in runs), strict=True)]
    squares = {x: np.stack([r.squares[k] for r in runs]) for k, x in enumerate(plan.jumps)}
    return _Stage(size, draws, max(r.dropped for r in runs), max(r.rank for r in runs), squares)


def _assembled(program: Unrolled, members: list[Array]) -> list[Array]:
    """The members of each output stacked to family_shape + axes."""
    arrays, position = [], 0
    for output in program.outputs:
        part = members[position : position + len(output.members)]
        position += len(output.members)
        shape = output.family_shape + program.shape(output.axes)
        full = [np.broadcast_to(m, program.shape(output.axes)) for m in part]
        arrays.append(np.stack(full).reshape(shape).astype(float))
    return arrays


# ---- errors --------------------------------------------------------------------------------------


UNSEEN = 3.0
"""What none of N points saw has a probability below 3 / N (with 95 %, as (1 - 3 / N)^N = 0.05), and
changes a product of signs by 2: half of that, as two errors are what covers."""


def _summary(plan: Plan, half: _Stage, full: _Stage, seed: int) -> dict[str, LimitValue]:
    count = len(full.draws[0])
    method = f"sampled: {count} x {full.size} points"
    doubtful = vanishing_jumps(plan, full.squares, full.size, seed)
    found = {}
    for output, coarse, fine in zip(plan.program.outputs, half.draws, full.draws, strict=True):
        value, spread = fine.mean(axis=0), standard_error(fine, coarse)
        bias = coarse.mean(axis=0) - value
        noise = np.hypot(spread, standard_error(coarse, fine))
        # a bias within twice its own error is not told from none
        excess = np.where(np.abs(bias) > 2 * noise, bias**2, 0.0)
        scale = np.abs(value).max() if value.size else 0.0
        floor = scale * (max(half.dropped, full.dropped) + 64 * EPS * np.sqrt(len(plan.order)))
        unseen = 0.0
        if not plan.jumps.isdisjoint(walk(output.members)):
            unseen = UNSEEN * (scale or 1.0) / (count * full.size)
        error = np.sqrt(spread**2 + excess + floor**2 + unseen**2)
        if not _random(plan, output):
            found[output.name] = LimitValue(value, np.zeros_like(value), "exact")
            continue
        text = method
        if full.rank > full.size // 4:
            text += f" (rank {full.rank}: raise --samples)"
        if not plan.unknown.isdisjoint(walk(output.members)):
            text += f", {NOT_SHOWN}"
        elif not plan.heavy.isdisjoint(walk(output.members)):
            text += f", {NO_VARIANCE}"
        for x in doubtful & set(walk(output.members)):
            text += f"; outside of the theorem: {_place(plan.program, x)[1]} applies {x.attr} to a "
            text += "ket that vanishes in the limit"
        found[output.name] = LimitValue(value, error, text)
    return found


def _random(plan: Plan, output: UnrolledOutput) -> bool:
    return any(x.op in (Op.INNER, Op.AVERAGE, Op.MEAN) for x in walk(output.members))


# ---- failures ------------------------------------------------------------------------------------


def _not_finite(plan: Plan, size: int, seed: np.random.SeedSequence) -> NexortError:
    """Run once more, watching for the first node that is not finite."""
    replicate = Replicate(plan, size, seed)
    replicate.run(watch=True)
    span, name = _place(plan.program, replicate.first_bad)
    return NexortError(
        [
            Diagnostic(
                "not-finite",
                f"a value of {name} is infinite or not a number in the limit",
                span,
                (),
                "look for a division by zero, a root or logarithm of a negative number, or growth "
                "beyond floating point (1.8e308)",
            )
        ]
    )


def _not_positive(program: Unrolled, problem: NotPositive) -> NexortError:
    span, name = _place(program, problem.node)
    message = f"the covariance in {name} is not symmetric positive semidefinite"
    message += f" (smallest eigenvalue {problem.eigenvalue:.3g})"
    return NexortError([Diagnostic("not-positive", message, span)])


def _place(program: Unrolled, node: Node | None) -> tuple[Span | None, str]:
    """The first written binding that reaches a node, and its text."""
    if node is not None:
        users = [(x.serial, s) for x, s in program.spans.items() if x is node or node in walk([x])]
        if users:
            span = min(users, key=lambda u: u[0])[1]
            return span, f"'{span.text}'"
    return None, "the program"
