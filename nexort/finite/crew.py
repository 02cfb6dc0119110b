"""Threads: runs side by side, and the blocks of one run.

Every task is a pure function and results are combined in the order of the tasks, so the number of
threads changes no bit of a result.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager
from threading import Event
from types import TracebackType
from typing import TypeVar

import numpy as np
from threadpoolctl import threadpool_limits

T = TypeVar("T")
R = TypeVar("R")


class StoppedError(Exception):
    """Raised in the threads of a crew that was told to stop."""


def available_threads() -> int:
    """The processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Crew(AbstractContextManager["Crew"]):
    """``workers`` runs at a time, each over ``helpers`` threads.

    Inside the context BLAS is limited to one thread: its results would depend on their number.
    """

    def __init__(self, workers: int, helpers: int) -> None:
        self._stop = Event()
        self._runs = ThreadPoolExecutor(workers) if workers > 1 else None
        self._blocks = ThreadPoolExecutor(workers * helpers) if helpers > 1 else None
        self._window = 2 * helpers
        self._limits = threadpool_limits(limits=1, user_api="blas")
        # glibc raises the size from which it returns memory to the system to that of the largest
        # array freed so far; below it, the temporaries of blocks would fault in anew every time
        np.empty(31 * 2**20, np.uint8)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        for pool in (self._runs, self._blocks):
            if pool is not None:
                pool.shutdown(wait=True, cancel_futures=True)
        self._limits.restore_original_limits()

    def check(self) -> None:
        """Raise :class:`StoppedError` once the crew is being dismissed."""
        if self._stop.is_set():
            raise StoppedError

    def runs(self, task: Callable[[int], R], count: int) -> Iterator[tuple[int, R]]:
        """``(k, task(k))`` for k below count, as they finish."""
        if self._runs is None:
            yield from ((k, self._quiet(task, k)) for k in range(count))
            return
        futures = {self._runs.submit(self._quiet, task, k): k for k in range(count)}
        for future in as_completed(futures):
            yield futures.pop(future), future.result()

    def blocks(self, task: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """The results of ``task`` in the order of the items, a few of them ahead of time."""
        if self._blocks is None:
            for item in items:
                self.check()
                yield task(item)
            return
        ahead: deque[Future[R]] = deque()
        for item in items:
            ahead.append(self._blocks.submit(self._quiet, task, item))
            if len(ahead) > self._window:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()

    def _quiet(self, task: Callable[[T], R], item: T) -> R:
        self.check()
        with np.errstate(all="ignore"):
            return task(item)
