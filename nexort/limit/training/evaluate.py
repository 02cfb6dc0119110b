"""The limit of a training, in the regime that it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from nexort.limit.estimate import LimitValue
from nexort.limit.exact.meanings import NO_VARIANCE, NOT_SHOWN
from nexort.limit.settings import Progress, Settings
from nexort.limit.training.maximal import evaluate_maximal
from nexort.limit.training.reading import read_outputs
from nexort.limit.training.stopping import Warn
from nexort.limit.training.tangent import evaluate_tangent
from nexort.support.checkpoint import Store
from nexort.support.diagnostics import Span
from nexort.training.task import Task


def evaluate_training(
    task: Task,
    places: Mapping[str, Span],
    settings: Settings,
    progress: Progress | None = None,
    store: Store | None = None,
    warn: Warn | None = None,
    separates: Callable[[], float | None] | None = None,
) -> dict[str, LimitValue]:
    """The outputs of the infinite-width limit over the steps (Thm 2.9.19, 2.9.30).

    ``places`` has the declarations of weights, ``store`` keeps what is finished, ``warn`` is told
    where a run ceases to be finite, and ``separates`` is asked whether networks of finite width
    separate. Raises NexortError.
    """
    reading = read_outputs(task, places, settings)
    if task.regime == "tangent":
        found = evaluate_tangent(task, settings, progress, store, warn)
    else:
        found = evaluate_maximal(task, settings, progress, store, warn, separates)
    found |= {k: replace(v, random=found[k].random) for k, v in reading.values.items()}
    drawn = {k for k in reading.heavy if "sampled" in found[k].method or "draws" in found[k].method}
    for names, what in ((reading.unknown, NOT_SHOWN), (drawn - reading.unknown, NO_VARIANCE)):
        for k in names:
            found[k] = replace(found[k], method=f"{found[k].method}, {what}")
    return found
