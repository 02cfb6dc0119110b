"""How far long work is: a bar on a terminal, elsewhere a line on stderr now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nexort.cli.streams import note

Bar = Callable[[int, int, str | None], None]
"""Sets the progress: units done, units in all, and a new label or None."""

FIRST, LATER = 10.0, 30.0
"""Seconds before the first line, and at least those between two."""


class Clock:
    """The time of some units of work, and an estimate of what is left of it.

    Units differ in number and size from one piece of work to the next: a new label, another total
    or fewer units done start anew. What was there at the start (out of a checkpoint) took no time,
    nor did what came before 0 units were told.
    """

    def __init__(self, label: str, now: Callable[[], float] = time.monotonic) -> None:
        self.label, self.now = label, now
        self.start = self.now()
        self.begun, self.first = self.start, 0
        self.done, self.total = 0, 0

    def set(self, done: int, total: int, label: str | None) -> None:
        """So many units are done."""
        if total != self.total or done < self.done or (label is not None and label != self.label):
            self.label = self.label if label is None else label
            whole = self.total == 0 and done == 1  # the first unit began with the work
            self.begun, self.first = (self.start, 0) if whole else (self.now(), done)
        self.done, self.total = done, total

    @property
    def elapsed(self) -> float:
        """Seconds since the work began."""
        return self.now() - self.start

    @property
    def left(self) -> float | None:
        """Seconds that what is left will take, if the rest goes as what is done; None where nothing
        tells."""
        units = self.done - self.first
        if units <= 0:
            return 0.0 if 0 < self.total <= self.done else None
        return (self.now() - self.begun) / units * (self.total - self.done)


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss, rounded up."""
    whole = int(-(-seconds // 1))
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


@contextmanager
def progress(label: str) -> Iterator[Bar]:
    """The progress of some work."""
    if not sys.stderr.isatty():
        yield _lines(Clock(label))
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    counted = TextColumn("{task.completed}/{task.total}")
    shown = (
        TextColumn("{task.description}"),
        BarColumn(),
        counted,
        TextColumn("{task.fields[left]}"),
    )
    state = Clock(label)
    with Progress(*shown, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None, left="")

        def update(done: int, total: int, new: str | None) -> None:
            state.set(done, total, new)
            left = "" if state.left is None else f"{clock(state.left)} left"
            bar.update(task, completed=done, total=total, description=state.label, left=left)

        yield update


def _lines(state: Clock) -> Bar:
    """A line now and then, less often as time goes on."""
    due = FIRST

    def update(done: int, total: int, new: str | None) -> None:
        nonlocal due
        state.set(done, total, new)
        if state.elapsed >= due and done < total:
            left = "" if state.left is None else f", about {clock(state.left)} left"
            note(f"{state.label}: {done} of {total}, {clock(state.elapsed)} gone{left}")
            due = state.elapsed + max(LATER, 0.1 * state.elapsed)

    return update


def pairs(bar: Bar) -> Callable[[int, int], None]:
    """A progress as a function of (done, total)."""
    return lambda done, total: bar(done, total, None)


def counting(bar: Bar, total: int, label: str | None = None) -> Callable[[int], None]:
    """A progress as a function of the finished units alone."""
    return lambda done: bar(done, total, label)
