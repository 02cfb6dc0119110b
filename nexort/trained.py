"""Trainings evaluated: the limit of a run, and runs at width n."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexort import driver
from nexort.diagnostics import Diagnostic, fail
from nexort.driver import Given
from nexort.program.program import Program

if TYPE_CHECKING:
    from nexort.lower.evaluate import LimitValue, Settings
    from nexort.training.checkpoint import Part
    from nexort.training.task import Task

Warn = Callable[[Diagnostic], None]

DTYPE = "float32"
"""The precision of runs where none is asked for."""

WIDTHS = (64, 256, 1024)
"""The widths that a limit is compared with where none are asked for."""


def limit(
    program: Program,
    given: Given,
    settings: Settings,
    progress: Callable[[int, int], None] | None = None,
    checkpoint: str | Path | None = None,
    warn: Warn | None = None,
) -> tuple[Task, dict[str, LimitValue]]:
    """The outputs of the infinite-width limit over the steps of a training (Thm 2.9.19, 2.9.30).

    ``checkpoint`` is a file that keeps what is finished; ``warn`` is told where a run ceases to be
    finite. Raises NexortError.
    """
    from nexort import maximal, tangent
    from nexort.exact.engine import NO_VARIANCE, NOT_SHOWN
    from nexort.reading import read
    from nexort.separation import separates

    task = driver.training(program, given)
    reading = read(task, driver.declared(program), settings)
    told = (
        settings.samples,
        settings.replicates,
        settings.seed,
        settings.rtol,
        settings.max_samples,
        settings.memory,
        settings.exact,
    )
    store = _part(checkpoint, task, f"limit {told}")
    said = _placed(program, warn)
    if task.regime == "tangent":
        found = tangent.evaluate(task, settings, progress, store, said)
    else:
        again = partial(separates, task, settings.seed)
        found = maximal.evaluate(task, settings, progress, store, said, again)
    found |= {k: replace(v, random=found[k].random) for k, v in reading.values.items()}
    drawn = {k for k in reading.heavy if "sampled" in found[k].method or "draws" in found[k].method}
    for names, what in ((reading.unknown, NOT_SHOWN), (drawn - reading.unknown, NO_VARIANCE)):
        for k in names:
            found[k] = replace(found[k], method=f"{found[k].method}, {what}")
    return task, found


def _placed(program: Program, warn: Warn | None) -> Warn | None:
    """Warnings that point at the optimizer."""
    if warn is None or program.training is None:
        return warn
    uses = program.training.optimizers
    return lambda found: warn(replace(found, span=found.span or (uses[0].span if uses else None)))


def runs(
    program: Program,
    given: Given,
    width: int,
    seeds: int,
    *,
    dtype: str | None = None,
    checkpoint: str | Path | None = None,
    **options: Any,
) -> tuple[Task, dict[str, Any]]:
    """The training, and the outputs of ``seeds`` networks trained at width n, shape (seeds, ...),
    in any parametrization: these need no limit. Raises NexortError.
    """
    from nexort.finite.training import train

    if width < 1 or seeds < 1:
        raise fail("bad-option", f"width and seeds are at least 1, found {width} and {seeds}")
    task = driver.finite_training(program, given)
    kind = dtype or DTYPE
    told = width, kind, options.get("seed", 0), options.get("entries")
    store = _part(checkpoint, task, f"runs {told}")
    return task, train(task, width, seeds, dtype=kind, checkpoint=store, **options)


def _part(path: str | Path | None, task: Task, name: str) -> Part | None:
    """A part of a training's checkpoint: the limit, or the runs at a width."""
    if path is None:
        return None
    from nexort.training.checkpoint import Checkpoint, Part, fingerprint

    return Part(Checkpoint(path, fingerprint(task)), name)
