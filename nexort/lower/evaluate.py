"""The limit of every output: exact where mathematics allows, with an error bar on what is sampled.

Scalars that ``nexort.exact`` finds are numbers for the sampler; where all outputs are exact nothing
is sampled.

R independent replicates of N points each give a mean and its standard error. Because averages feed
back into kets, a replicate has a bias that shrinks with N; it is measured by a second set of R
replicates of N/2 points, and where it is significant it is part of the reported error.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from nexort.diagnostics import Diagnostic, NexortError, Span
from nexort.exact.blocks import cores
from nexort.exact.engine import NO_VARIANCE, NOT_SHOWN
from nexort.exact.existing import examine, heavy
from nexort.exact.solve import solve
from nexort.lower.arrays import NotPositive
from nexort.lower.cautions import vanishing_jumps
from nexort.lower.known import with_known
from nexort.lower.sampler import Plan, Replicate
from nexort.program.nodes import Node, Op, walk
from nexort.program.unrolled import Array, Unrolled, UnrolledOutput
from nexort.workers import gathered

Progress = Callable[[int, int], None]
"""Called with (finished, total) replicates."""

EXACT_RTOL = 1e-8
DEFAULT_SAMPLES = 4096
DEFAULT_SAMPLES_OUTER = 1024
DEFAULT_REPLICATES = 16
DEFAULT_MAX_SAMPLES = 2**17
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


@dataclass(frozen=True)
class Settings:
    """How to sample. ``samples`` None picks a number that suits the program; with ``rtol`` the
    samples are doubled until every output's error is below rtol times its largest entry, or
    ``max_samples`` is reached; ``rtol`` is also what quadrature aims at (1e-8 where None).
    ``memory`` bounds the arrays of all threads together, in bytes. ``exact`` False samples all
    expectations."""

    samples: int | None = None
    replicates: int = DEFAULT_REPLICATES
    seed: int = 0
    rtol: float | None = None
    max_samples: int = DEFAULT_MAX_SAMPLES
    threads: int | None = None
    memory: int = 2 * 2**30
    exact: bool = True


def evaluate(
    program: Unrolled, settings: Settings | None = None, progress: Progress | None = None
) -> dict[str, LimitValue]:
    """The limit of every output of an unrolled program without operators (Def 2.6.5).

    Raises NexortError where a number is not finite or a covariance is not positive semidefinite,
    pointing at the line that made it.
    """
    settings = settings or Settings()
    unknown = examine(program)
    if not settings.exact:
        return _other(Plan.of(program, unknown, heavy(program, unknown)), settings, progress)
    solution = solve(program, settings.rtol or EXACT_RTOL, settings.memory, unknown)
    found = {
        name: LimitValue(x.value, x.error, x.method, x.meets(settings.rtol))
        for name, x in solution.outputs.items()
    }
    missing = [o.name for o in program.outputs if o.name not in found]
    if missing:
        rest, unknown = with_known(program, solution.known, missing, unknown)
        found |= _other(Plan.of(rest, unknown, heavy(rest, unknown)), settings, progress)
    return {o.name: found[o.name] for o in program.outputs}


def _other(plan: Plan, settings: Settings, progress: Progress | None) -> dict[str, LimitValue]:
    """By samples, where there is anything random."""
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


COVERED = 0.945
"""The probability by which two errors cover a limit by spread alone; biases that are added make it
95 to 97 %."""

UNSEEN = 3.0
"""What none of N points saw has a probability below 3 / N (with 95 %, as (1 - 3 / N)^N = 0.05), and
changes a product of signs by 2: half of that, as two errors are what covers."""

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
