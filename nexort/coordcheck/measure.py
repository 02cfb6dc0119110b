"""Sizes of a training's tensors at a series of widths, over several runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nexort.coordcheck.sizes import SizeWatch
from nexort.coordcheck.tensors import Quantity, Tensor, tensors
from nexort.program.unrolled import Array
from nexort.training.task import Task


@dataclass(frozen=True)
class Measured:
    """Mean squares of every quantity, shape (widths, runs); nan where a run did not reach it."""

    widths: tuple[int, ...]
    seeds: int
    tensors: tuple[Tensor, ...]
    squares: Mapping[Quantity, Array]


def measure_training(
    task: Task,
    widths: Sequence[int],
    seeds: int,
    *,
    watch: Callable[[int], Callable[[int], None] | None] | None = None,
    **options: Any,
) -> Measured:
    """Train ``seeds`` networks at each width and take their sizes.

    ``watch`` gives the progress of a width; ``options`` are those of ``finite.training.train``.
    Raises NexortError.
    """
    from nexort.finite.training import train

    found = tensors(task)
    squares: dict[Quantity, Array] = {}
    # the largest width first: what does not fit is told at once
    for place, width in reversed(list(enumerate(widths))):
        runs = [SizeWatch(task, found) for _ in range(seeds)]
        progress = None if watch is None else watch(width)
        train(task, width, seeds, watch=lambda k, r=runs: r[k], progress=progress, **options)  # type: ignore[misc]
        for k, run in enumerate(runs):
            for quantity, value in run.found.items():
                if quantity not in squares:
                    squares[quantity] = np.full((len(widths), seeds), np.nan)
                squares[quantity][place, k] = value
    return Measured(tuple(widths), seeds, found, squares)
