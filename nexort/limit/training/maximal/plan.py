"""What is the same for all replicates of a run: its spaces, and what every step evaluates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from nexort.limit.sample.region import Region
from nexort.limit.training.maximal.initial import FULL
from nexort.limit.training.maximal.spaces import Spaces, graph_roots, reachable, spaces
from nexort.program.nodes import Node, Op, walk
from nexort.program.types import Kind
from nexort.training.recorder import Recorder
from nexort.training.task import Gradient, Key, Task, seed_slot


@dataclass(frozen=True)
class Schedule:
    """Nodes in order of evaluation; ``drops[i]`` are not read after node i."""

    order: tuple[Node, ...]
    drops: tuple[tuple[Node, ...], ...]
    kept: frozenset[Node]


@dataclass(frozen=True)
class Plan:
    """A run's spaces and schedules. ``gradients`` are those of the weights that move."""

    task: Task
    gradients: Mapping[Key, Gradient]
    spaces: Spaces
    forward: tuple[Schedule, ...]
    """One for each step, 0 to steps: the output and what the run's outputs need."""
    backward: Schedule
    """The gradients, after the forward pass."""
    regions: Mapping[Node, Region]
    linear: Mapping[Key, bool]
    """For the matrices that move, whether the update function is linear."""
    readouts: frozenset[Key]
    initial: tuple[Node, ...]
    """The initial vectors, in order of appearance."""

    @staticmethod
    def of(task: Task) -> Plan:
        """The plan of a training run in the maximal regime."""
        gradients = {
            key: gradient
            for key, gradient in task.gradients.items()
            if task.weights[key].active and np.any(task.weights[key].rates) and not gradient.is_zero
        }
        recorder = Recorder(task)
        wanted = [[task.out, *recorder.wanted(t)] for t in range(task.steps + 1)]
        seed = seed_slot(task.out.type.axes)
        roots = graph_roots(gradients)
        backward = [x for x in reachable(roots) if x is not seed]
        ahead = set(reachable([task.out]))
        seeded = _above(backward, seed)
        regions = {
            x: Region(x) for x in walk([*roots, *(w for ws in wanted for w in ws)])
            if x.op is Op.MEAN
        }  # fmt: skip
        needed = frozenset(x for x in ahead if x not in seeded)
        reads = {x for y in backward for x in _reads(y, regions)} | set(roots)
        later = frozenset(x for x in reads if x in needed)
        rest = [x for x in backward if x not in needed]
        forward = []
        for t in range(task.steps + 1):
            kept = frozenset(wanted[t]) | (later if t < task.steps else frozenset())
            forward.append(_schedule(_late(reachable(wanted[t]), regions), kept, regions))
        matrices = {key for key in gradients if task.weights[key].kind == "matrix"}
        return Plan(
            task,
            gradients,
            spaces(task, gradients),
            tuple(forward),
            _schedule(rest, frozenset(roots), regions),
            regions,
            {k: task.weights[k].update.coefficients(task.steps) is not None for k in matrices},
            _readouts(task),
            tuple(x for x in walk([task.out, *roots]) if x.op is Op.INIT_VECTOR),
        )

    def bytes(self, size: int, dtype: str = "float32") -> float:
        """What one replicate holds at a time: pairs of points with their states, of a dtype, and
        kets."""
        total = 0.0
        for key, linear in self.linear.items():
            if not linear:
                weight = self.task.weights[key]
                states = weight.update.states + (weight.norm is not None)
                tied = self.spaces.sides[key][0] == self.spaces.sides[key][1]
                total += np.dtype(dtype).itemsize * (1 + states / (2 if tied else 1)) * size**2
        for key in self.spaces.sides:
            if self.directions(key) > FULL * size:  # drawn as a whole, with as much of temporaries
                total += 3 * 8.0 * size**2
        kets = [x for s in (*self.forward[-1:], self.backward) for x in s.order if x.type.copies]
        live = sum(self.rank(x) for x in kets)
        return total + 8.0 * size * (4 * live + 4 * self.directions())

    @property
    def pairs(self) -> bool:
        """Whether a matrix is updated pair by pair of points."""
        return not all(self.linear.values())

    def rank(self, node: Node) -> int:
        """How many kets a multi-ket is."""
        return int(np.prod(self.task.step.shape(node.type.axes), dtype=int))

    def arguments(self, key: Key | None = None) -> int:
        """How many arguments a matrix, or all together, meet in a step."""
        nodes = {x for s in (*self.forward, self.backward) for x in s.order}
        uses = [x for x in nodes if x.op is Op.MATMUL and key in (None, x.attr[:2])]
        return sum(self.rank(x) for x in uses)

    def directions(self, key: Key | None = None) -> int:
        """A bound on how many arguments a matrix, or all together, meet in a run."""
        return self.arguments(key) * (self.task.steps + 1)


def _above(nodes: Iterable[Node], seed: Node) -> set[Node]:
    """The nodes that depend on the seed."""
    found = {seed}
    for x in walk(nodes):
        if any(a in found for a in x.args):
            found.add(x)
    return found


def _reads(x: Node, regions: Mapping[Node, Region]) -> tuple[Node, ...]:
    if x in regions:
        closed = tuple(regions[x].closed)
        return closed if x.args[0].type.open else (*x.args, *closed)
    return x.args


def _late(order: list[Node], regions: Mapping[Node, Region]) -> list[Node]:
    """The same with every initial vector just before what reads it first: its sample is then made
    orthogonal to all that cannot depend on it."""
    moved: dict[Node, None] = {}
    found: dict[Node, None] = {}
    for x in order:
        if x.op is Op.INIT_VECTOR:
            moved[x] = None
            continue
        found |= {a: None for a in _reads(x, regions) if a in moved}
        found[x] = None
    return [*found, *(x for x in moved if x not in found)]


def _schedule(order: list[Node], kept: frozenset[Node], regions: Mapping[Node, Region]) -> Schedule:
    last: dict[Node, int] = {x: i for i, x in enumerate(order)}
    for i, x in enumerate(order):
        for a in _reads(x, regions):
            last[a] = i
    drops: list[list[Node]] = [[] for _ in order]
    for x, i in last.items():
        if x not in kept:
            drops[i].append(x)
    return Schedule(tuple(order), tuple(map(tuple, drops)), kept)


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


def is_ket(x: Node) -> bool:
    """Whether a node is a ket."""
    return x.type.kind is Kind.KET
