"""What is the same for all replicates of a run: its spaces, and what every step evaluates."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from nexort.limit.sample.graph import (
    SampleGraph,
    SampleSchedule,
    is_ket,
    late,
    reachable,
    reads,
    regions_of,
    schedule_nodes,
)
from nexort.limit.sample.matrices import FULL
from nexort.limit.sample.spaces import Spaces, spaces
from nexort.program.nodes import Node, Op, walk
from nexort.training.recorder import MomentRecorder
from nexort.training.task import Gradient, Key, Task, seed_slot


@dataclass(frozen=True)
class MaximalPlan:
    """A run's graph and schedules. ``gradients`` are those of the weights that move."""

    task: Task
    gradients: Mapping[Key, Gradient]
    graph: SampleGraph
    forward: tuple[SampleSchedule, ...]
    """One for each step, 0 to steps: the output and what the run's outputs need."""
    backward: SampleSchedule
    """The gradients, after the forward pass."""
    linear: Mapping[Key, bool]
    """For the matrices that move, whether the update function is linear."""
    readouts: frozenset[Key]

    @staticmethod
    def of(task: Task) -> MaximalPlan:
        """The plan of a training run in the maximal regime."""
        gradients = {
            key: gradient
            for key, gradient in task.gradients.items()
            if task.weights[key].active and np.any(task.weights[key].rates) and not gradient.is_zero
        }
        recorder = MomentRecorder(task)
        wanted = [[task.out, *recorder.wanted(t)] for t in range(task.steps + 1)]
        seed = seed_slot(task.out.type.axes)
        roots = graph_roots(gradients)
        backward = [x for x in reachable(roots) if x is not seed]
        ahead = set(reachable([task.out]))
        seeded = _above(backward, seed)
        regions = regions_of([*roots, *(w for ws in wanted for w in ws)])
        needed = frozenset(x for x in ahead if x not in seeded)
        read = {x for y in backward for x in reads(y, regions)} | set(roots)
        later = frozenset(x for x in read if x in needed)
        rest = [x for x in backward if x not in needed]
        forward = []
        for t in range(task.steps + 1):
            kept = frozenset(wanted[t]) | (later if t < task.steps else frozenset())
            forward.append(schedule_nodes(late(reachable(wanted[t]), regions), kept, regions))
        matrices = {key for key in gradients if task.weights[key].kind == "matrix"}
        initial = (x for x in reachable([task.out, *roots]) if x.op is Op.INIT_VECTOR)
        return MaximalPlan(
            task,
            gradients,
            SampleGraph(task.step, run_spaces(task, gradients), regions, tuple(initial)),
            tuple(forward),
            schedule_nodes(rest, roots, regions),
            {k: task.weights[k].update.coefficients(task.steps) is not None for k in matrices},
            _readouts(task),
        )

    def bytes(self, size: int, dtype: str = "float32") -> float:
        """What one replicate holds at a time: pairs of points with their states, of a dtype, and
        kets."""
        total = 0.0
        for key, linear in self.linear.items():
            if not linear:
                weight = self.task.weights[key]
                states = weight.update.states + (weight.norm is not None)
                tied = self.graph.spaces.sides[key][0] == self.graph.spaces.sides[key][1]
                total += np.dtype(dtype).itemsize * (1 + states / (2 if tied else 1)) * size**2
        for key in self.graph.spaces.sides:
            if self.directions(key) > FULL * size:  # drawn as a whole, with as much of temporaries
                total += 3 * 8.0 * size**2
        kets = [x for s in (*self.forward[-1:], self.backward) for x in s.order if x.type.copies]
        live = sum(self.graph.rank(x) for x in kets)
        return total + 8.0 * size * (4 * live + 4 * self.directions())

    @property
    def pairs(self) -> bool:
        """Whether a matrix is updated pair by pair of points."""
        return not all(self.linear.values())

    def arguments(self, key: Key | None = None) -> int:
        """How many arguments a matrix, or all together, meet in a step."""
        nodes = {x for s in (*self.forward, self.backward) for x in s.order}
        return self.graph.arguments(nodes, key)

    def directions(self, key: Key | None = None) -> int:
        """A bound on how many arguments a matrix, or all together, meet in a run."""
        return self.arguments(key) * (self.task.steps + 1)


def run_spaces(task: Task, gradients: Mapping[Key, Gradient]) -> Spaces:
    """The spaces of a run's kets, gradients and outputs."""
    roots = [task.out, *(node for node, _ in task.moments.values()), *graph_roots(gradients)]
    members = [m for output in task.outputs for m in output.members]
    leaves = {x.attr: x for x in walk(roots) if x.op is Op.INIT_VECTOR}
    joined: list[tuple[Hashable, Hashable]] = []
    for key, gradient in gradients.items():
        for left, right in gradient.pairs:
            joined += [((left, 0), (key, "rows")), ((right, 0), (key, "columns"))]
        if gradient.ket is not None and key in leaves:
            joined.append(((gradient.ket, 0), (leaves[key], 0)))
    for slot, (node, _) in task.moments.items():
        if is_ket(node):
            joined.append(((slot, 0), (node, 0)))
    return spaces([*roots, *members], joined)


def graph_roots(gradients: Mapping[Key, Gradient]) -> list[Node]:
    """The nodes that the gradients are made of."""
    found: dict[Node, None] = {}
    for gradient in gradients.values():
        for pair in gradient.pairs:
            found.update(dict.fromkeys(pair))
        for node in (gradient.ket, gradient.scalar):
            if node is not None:
                found[node] = None
    return list(found)


def _above(nodes: Iterable[Node], seed: Node) -> set[Node]:
    """The nodes that depend on the seed."""
    found = {seed}
    for x in walk(nodes):
        if any(a in found for a in x.args):
            found.add(x)
    return found


def _readouts(task: Task) -> frozenset[Key]:
    """The weights whose initial value has its own size in the output: vectors with a + b not 0,
    and where a_out > 1 the vectors that the output itself reads."""
    sizes = {
        key: w.exponents.a + w.exponents.b for key, w in task.weights.items() if w.kind == "vector"
    }
    found = {key for key, size in sizes.items() if size != 0}
    if task.output_exponent > 1:
        for x in task.out.args:
            near = (x, *x.args) if x.op is Op.CALL else (x,)
            found |= {
                a.attr for a in near if a.op is Op.INIT_VECTOR and a.attr in sizes
            }  # fmt: skip
    return frozenset(found)
