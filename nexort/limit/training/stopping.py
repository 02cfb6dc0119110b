"""Where a run of a training ceases to be finite."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nexort.program.unrolled import Array
from nexort.support.diagnostics import Diagnostic
from nexort.training.scalars import LOOK
from nexort.training.task import Task

Warn = Callable[[Diagnostic], None]

SIGNAL = "the error signal"


class Blown(Exception):
    """In a run, ``what`` is not finite."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


def check_finite(value: Array, what: str) -> None:
    """Raise Blown unless all of it is finite."""
    if not np.isfinite(value).all():
        raise Blown(what)


def signal(task: Task, t: int, output: Array) -> Array:
    """The error signal at f_t = ``output``. Raises NexortError where the first is not finite, Blown
    where a later one is not."""
    chi = task.signal(t, output)
    if t == 0 and not np.isfinite(chi).all():
        task.refuse_signal(output)
    check_finite(chi, SIGNAL)
    return chi


def tell(task: Task, stopped: tuple[int, str] | None, warn: Warn | None) -> None:
    """Warn of a run that ended early."""
    if stopped is not None and warn is not None:
        t, what = stopped
        message = f"{what} is infinite or not a number at step {t}; what follows is missing"
        span, remedy = None, "a smaller learning rate"
        if what == SIGNAL:
            span = task.places.get("error")
            remedy = f"{LOOK}; the latter calls for a smaller learning rate"
        warn(Diagnostic("not-finite", message, span, (), remedy, "warning"))
