"""The backpropagation program of a straight-line program (Def 2.9.14)."""

from __future__ import annotations

from collections.abc import Iterable

from nexort.program.nodes import Node
from nexort.training.task import Gradient, Key


def gradients(out: Node, seed: Node, weights: Iterable[Key]) -> dict[Key, Gradient]:
    """The gradient of sum_i seed_i out_i by each weight; ``out`` is a scalar node <1|x> of an
    unrolled program without operators, ``seed`` a scalar node of its axes."""
    raise NotImplementedError
