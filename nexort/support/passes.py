"""The time and the size of every stage, where somebody asks (``--time-passes``)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class Pass:
    """A stage that ran: its name, how deep inside of others, its seconds and what came out."""

    name: str
    depth: int
    seconds: float = 0.0
    result: object = None


class PassRecorder:
    """The passes that ran while it was asked to look."""

    def __init__(self) -> None:
        self.passes: list[Pass] = []
        self.depth = 0


_asked: list[PassRecorder] = []


@contextmanager
def record_passes() -> Iterator[PassRecorder]:
    """Record every stage that runs inside the block."""
    found = PassRecorder()
    _asked.append(found)
    try:
        yield found
    finally:
        _asked.remove(found)


def stage(function: Callable[P, T]) -> Callable[P, T]:
    """A function that is a stage of the pipeline."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        if not _asked:
            return function(*args, **kwargs)
        recorder = _asked[-1]
        one = Pass(function.__name__, recorder.depth)
        recorder.passes.append(one)
        recorder.depth += 1
        start = time.perf_counter()
        try:
            one.result = function(*args, **kwargs)
            return one.result
        finally:
            one.seconds = time.perf_counter() - start
            recorder.depth -= 1

    return run
