"""Whether networks of a training separate: whether it is chaotic."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nexort.finite.training import train
from nexort.program.nodes import Node
from nexort.program.unrolled import Array
from nexort.training.task import Key, Task, Weight

APART = 1e-9
"""What is added to the scale of initial weights, relative to it."""

WIDTH = 512
NETWORKS = 8


@dataclass
class _Outputs:
    """Watches f; ``weights`` are those that the network starts from."""

    weights: Mapping[Key, Weight]
    nodes: Collection[Node] = ()
    found: list[Array] = field(default_factory=list)

    def values(self, _run: object, _t: int, _values: object, f: Array) -> None:
        """f at a step."""
        self.found.append(np.array(f))

    def gradients(self, *_: Any) -> None:
        """Not looked at."""

    def moved(self, *_: Any) -> None:
        """Not looked at."""

    def finished(self) -> None:
        """Nothing to let go."""


def separation(task: Task, seed: int = 0) -> float:
    """By how much a difference between two networks grows over a training: the largest difference
    of their outputs over that after the first step, the geometric mean of some networks.

    Two networks have the same random numbers, and initial weights that are 1e-9 apart. Where this
    grows by more than the root of the width, networks of that width, which are as far apart from
    each other as the inverse root, come to differ by as much as their outputs are large.
    """
    moved = {
        key: replace(w, mean=w.mean * (1 + (k + 1) * APART), scale=w.scale * (1 + (k + 1) * APART))
        for k, (key, w) in enumerate(task.weights.items())
    }
    found = []
    for weights in (task.weights, moved):
        runs: dict[int, _Outputs] = {}

        def watch(
            number: int,
            weights: Mapping[Key, Weight] = weights,
            runs: dict[int, _Outputs] = runs,
        ) -> _Outputs:
            return runs.setdefault(number, _Outputs(weights))

        train(task, WIDTH, NETWORKS, seed=seed, dtype="float64", watch=watch)
        found.append([runs[k].found for k in range(NETWORKS)])
    return float(np.exp(np.mean([np.log(_growth(a, b)) for a, b in zip(*found, strict=True)])))


def _growth(one: list[Array], other: list[Array]) -> float:
    """The largest difference over that after the first step, at least 1."""
    with np.errstate(all="ignore"):
        apart = np.array([np.abs(a - b).max() for a, b in zip(one, other, strict=False)][1:])
    apart = apart[np.isfinite(apart) & (apart > 0)]
    return float(apart.max() / apart[0]) if len(apart) else 1.0


def separation_of(task: Task, seed: int = 0) -> float | None:
    """The :func:`separation` where networks separate, else None."""
    found = separation(task, seed)
    return found if found > np.sqrt(WIDTH) else None
