"""The graph's kets on samples, and the terms of the gradients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from nexort.limit.sample.graph import late, reachable, schedule_nodes
from nexort.limit.sample.machine import Machine, Sampling
from nexort.limit.sample.matrices import InitialOperator
from nexort.limit.training.tangent.laws import Direction, DirectionLaw
from nexort.limit.training.tangent.plan import StepGraph, TangentPlan
from nexort.limit.training.tangent.seeds import GradientTail
from nexort.program.nodes import Node
from nexort.program.unrolled import Array, Unrolled
from nexort.training.scalars import scalar_value
from nexort.training.task import Key


@dataclass(frozen=True)
class Terms:
    """The terms of one weight: ``left`` (T, N) and ``right`` (T, N') on samples, ``outs`` (T,) the
    positions in f. Of a vector, ``right`` (T, A) has numbers over its axes, which are summed over
    where the columns of a matrix are averaged; of a scalar, N is 1 besides."""

    left: Array
    right: Array
    outs: Array
    vector: bool
    tied: bool = False
    """Rows and columns are one sample, of two independent halves."""


class OfLaw:
    """A matrix some of whose images have an exact law, and are sampled from it."""

    def __init__(self, initial: InitialOperator, laws: Mapping[Direction, DirectionLaw]) -> None:
        self.initial, self.laws = initial, laws
        self.drawn: dict[bool, Array] = {}

    def apply(self, x: Node, kets: Array, reach: int | None) -> Array:
        """|Wx> of a MATMUL node."""
        law, flipped = self.laws.get(x.attr), x.attr[2]
        if law is None:
            return self.initial.apply(x, kets, reach)
        if flipped not in self.drawn:
            self.drawn[flipped] = self.initial.spaces[1 if flipped else 0].fresh(law.rank)
        return np.asarray(law.coefficients[x] @ self.drawn[flipped])

    def met(self, flipped: bool) -> int:
        """How many directions of arguments W, or its transpose, has met."""
        return self.initial.met(flipped)


class Sample(Machine):
    """The kets of a run on N points a neuron space."""

    def __init__(self, plan: TangentPlan, size: int, seed: np.random.SeedSequence) -> None:
        super().__init__(plan.graph, size, seed, Sampling(halves=True))
        self.task, self.laws, self.sides = plan.task, plan.laws, plan.graph.spaces.sides

    def operator(self, key: Key) -> OfLaw:
        """A matrix, of which images may have a law."""
        return OfLaw(self.initial(key), self.laws)

    def evaluate(self, roots: Iterable[Node]) -> dict[Node, Array]:
        """The arrays of some nodes, scalars of shape axes and kets of shape axes + (N,); all calls
        are of one joint law."""
        roots = list(roots)
        regions = self.graph.regions
        self.values = {}
        self.run(schedule_nodes(late(reachable(roots), regions), roots, regions))
        found = {x: self.ket(x) for x in roots}
        self.values = {}
        return found

    def terms(self, step: StepGraph) -> tuple[dict[Node, Array], dict[Key, Terms]]:
        """What is recorded, by the task's nodes, and the terms of every weight that moves."""
        roots = [*step.wanted.values()]
        for key, pieces in step.pieces.items():
            roots += [p.left for p in pieces]
            if key in step.tails:
                roots += [x for _, x in step.tails[key].scalars]
            else:
                roots += [p.right for p in pieces]
        values = self.evaluate(dict.fromkeys(roots))
        found = {key: self._terms(key, step, values) for key in step.pieces}
        return {x: values[y] for x, y in step.wanted.items()}, found

    def outputs(self, steps: Iterable[StepGraph]) -> Array:
        """The kets that the untrained outputs of some steps have the covariance of, one row an
        entry, step after step."""
        nodes = [s.out for s in steps if s.out is not None]
        values = self.evaluate(dict.fromkeys(nodes))
        return np.concatenate([values[x].reshape(-1, self.size) for x in nodes])

    def _terms(self, key: Key, step: StepGraph, values: dict[Node, Array]) -> Terms:
        lefts, rights, outs = [], [], []
        tail, scalar = step.tails.get(key), self.task.weights[key].kind == "scalar"
        for p in step.pieces[key]:
            left = values[p.left].reshape(-1, 1 if scalar else self.size)[p.lefts]
            if tail is None:
                right = values[p.right].reshape(-1, self.size)[p.rights]
            else:
                right = sampled_coefficients(self.graph.step, tail, p.right, values)
            if scalar:
                left, right = np.ones((len(left), 1)), left * right
            used = left.any(axis=1) & right.any(axis=1)
            lefts.append(left[used])
            rights.append(right[used])
            outs.append(p.outs[used])
        sides = self.sides.get(key, (0, 1))
        return Terms(
            np.concatenate(lefts), np.concatenate(rights), np.concatenate(outs),
            tail is not None, tail is None and sides[0] == sides[1],
        )  # fmt: skip


def sampled_coefficients(
    step: Unrolled, tail: GradientTail, slot: Node, values: Mapping[Node, Array]
) -> Array:
    """The gradient of a vector or a scalar where one entry of the slot is 1 and all others 0, for
    each entry: shape (entries, size of the weight)."""
    shape = step.shape(slot.type.axes)
    count = int(np.prod(shape, dtype=int))
    slots = {s: np.zeros((*step.shape(s.type.axes), count)) for s in tail.slots}
    slots[slot] = np.eye(count).reshape((*shape, count))
    slots |= {s: values[x] for s, x in tail.scalars}
    found = scalar_value(tail.root, slots, step.data, lambda x: step.shape(x.type.axes))
    full = np.broadcast_to(found, (*step.shape(tail.root.type.axes), count))
    return np.ascontiguousarray(full.reshape(-1, count).T)
