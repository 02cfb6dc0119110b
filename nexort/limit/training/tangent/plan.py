"""What is the same for all replicates: the graph over standard objects, its terms, its spaces.

The gradient by a weight, as an operator, is G(chi) = sum over *terms* of chi[out] |left> <right|:
left and right are kets of a matrix's two neuron spaces; for a vector, right is a row of numbers
over its axes, and for a scalar left is 1 besides. The output moves by K_Q(chi)[o] = sum over terms
with out = o of <left| Q(G) |right> (Thm 2.9.19, 2.9.23).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np

from nexort.limit.dots import sources_of_dots
from nexort.limit.sample.graph import SampleGraph, is_ket, late, reachable, regions_of
from nexort.limit.sample.spaces import spaces, walk_by_structure
from nexort.limit.training.tangent.laws import Direction, DirectionLaw, exact_laws
from nexort.limit.training.tangent.seeds import Along, GradientTail, separate
from nexort.limit.training.tangent.standard import (
    decay_factors,
    decays_before_last,
    is_drawn,
    seed_data,
    standard_nodes,
)
from nexort.limit.training.tangent.start import fluctuation, vanishing_scalars
from nexort.program.nodes import Node, Op
from nexort.program.unrolled import Array
from nexort.training.recorder import MomentRecorder
from nexort.training.task import Gradient, Key, Task, Weight, seed_slot


@dataclass(frozen=True)
class TermPiece:
    """Some terms of a weight: the rows ``lefts`` of the ket ``left`` and ``rights`` of ``right``;
    for a vector or a scalar ``right`` is the slot of its tail that stands for ``left``. ``outs``
    are positions in f."""

    left: Node
    right: Node
    lefts: Array
    rights: Array
    outs: Array


@dataclass(frozen=True)
class StepGraph:
    """The network's graph at a step: what is recorded, the terms by weight, the tails."""

    out: Node | None
    """A ket whose covariance, over steps and inputs, the untrained output has; None where that is
    not drawn."""
    wanted: Mapping[Node, Node]
    pieces: Mapping[Key, tuple[TermPiece, ...]]
    tails: Mapping[Key, GradientTail]


@dataclass(frozen=True)
class TangentPlan:
    """A run: one graph for all steps, or one a step where weights decay."""

    task: Task
    steps: tuple[StepGraph, ...]
    graph: SampleGraph
    """What evaluates the steps' kets on samples."""
    moving: tuple[Weight, ...]
    """The weights whose updates the output sees."""
    drawn: bool
    """Whether there is a random part of the output: f_0, or what it becomes as weights decay."""
    roots: tuple[Node, ...]
    """All kets and scalars of the steps that are evaluated."""
    laws: Mapping[Direction, DirectionLaw] = field(default_factory=dict)
    """Of images that are sampled from their exact covariance."""

    @staticmethod
    def of(task: Task) -> TangentPlan:
        """The plan of a training run in the neural tangent regime."""
        active = {
            key: weight
            for key, weight in task.weights.items()
            if weight.active and np.any(weight.rates) and not task.gradients[key].is_zero
        }
        ends = {k: g for k in active if (g := task.gradients[k].scalar) is not None}
        zero = vanishing_scalars(ends.values())
        # the gradient of a scalar weight that vanishes in the limit moves nothing
        moving = {k: w for k, w in active.items() if ends.get(k) not in zero}
        builder = _Builder(task, {k: task.gradients[k] for k in moving})
        count = task.steps + 1 if decays_before_last(task) else 1
        drawn = is_drawn(task)
        steps = tuple(builder.step(t, alone=count == 1, drawn=drawn) for t in range(count))
        used = tuple(w for k, w in moving.items() if steps[0].pieces[k])
        roots = builder.roots(steps)
        return TangentPlan(task, steps, builder.graph(steps, roots), used, drawn, roots)

    def exact_laws(self, memory: int) -> Mapping[Direction, DirectionLaw]:
        """All laws of images that are exact. Raises NexortError."""
        assert self.graph.dots is not None
        return exact_laws(self.graph.step, walk_by_structure(self.roots), self.graph.dots, memory)

    @property
    def pairs(self) -> bool:
        """Whether any update takes pairs of points: it is not linear in the gradients."""
        return any(w.update.coefficients(1) is None for w in self.moving)

    def bytes(self, size: int, dtype: str = "float32") -> float:
        """What one replicate holds at a time: pairs of points with their states, of a dtype, and
        kets."""
        total = 0.0
        for w in self.moving:
            if w.kind == "matrix" and w.update.coefficients(1) is None:
                tied = len(set(self.graph.spaces.sides[w.key])) == 1
                kept = w.update.states + (len(self.steps) > 1) + (w.norm is not None)
                total += np.dtype(dtype).itemsize * kept * size**2 / (2 if tied else 1)
        rows = sum(len(p.lefts) * 2 for s in self.steps[:1] for ps in s.pieces.values() for p in ps)
        return total + 8.0 * size * 4 * rows

    def work(self, size: int) -> float:
        """Updates of pairs of points in one replicate; gradients of many terms count as more."""
        total = 0.0
        for w in self.moving:
            if w.kind == "matrix" and w.update.coefficients(1) is None:
                terms = sum(len(p.lefts) for p in self.steps[0].pieces[w.key])
                total += self.task.steps * size**2 * (1 + terms / 100)
        return total

    def step(self, t: int) -> StepGraph:
        """The graph at a step."""
        return self.steps[min(t, len(self.steps) - 1)]


class _Builder:
    """Builds the graphs of steps."""

    def __init__(self, task: Task, gradients: Mapping[Key, Gradient]) -> None:
        self.task, self.gradients = task, gradients
        self.seed = seed_slot(task.out.type.axes)
        self.shape = task.step.shape(task.out.type.axes)
        good, self.along, self.tails = separate(gradients, self.seed)
        rest = [k for k in range(len(self.shape)) if k not in good]
        self.good = good
        self.seeds: dict[tuple[int, ...], Node] = {}
        self.data: dict[str, Array] = {}
        for at in product(*(range(self.shape[k]) for k in rest)):
            full: list[int | slice] = [slice(None)] * len(self.shape)
            for k, i in zip(rest, at, strict=True):
                full[k] = i
            value = np.zeros(self.shape)
            value[tuple(full)] = 1.0
            name = f"seed {at}"  # no name of a program has a space
            self.data[name] = value
            self.seeds[at] = seed_data(task, name)
        self.rest = rest

    def step(self, t: int, *, alone: bool, drawn: bool) -> StepGraph:
        """The graph at step t; of all steps, where it is ``alone``."""
        task, left = self.task, decay_factors(self.task, t)
        recorder = MomentRecorder(task)
        times = range(task.steps + 1) if alone else [t]
        wanted = dict.fromkeys(x for s in times for x in recorder.wanted(s))
        plain = standard_nodes(task, [task.out, *wanted], left)
        pieces: dict[Key, list[TermPiece]] = {key: [] for key in self.gradients}
        tails = {}
        for at, seed in self.seeds.items():
            roots = [x for g in self.gradients.values() for pair in g.pairs for x in pair]
            for tail in self.tails.values():
                roots += [*tail.kets, *(x for _, x in tail.scalars)]
            done = standard_nodes(task, roots, left, seed)
            for key, gradient in self.gradients.items():
                pieces[key] += [self._pair(*pair, done, at) for pair in gradient.pairs]
                if key in self.tails:
                    tail = self.tails[key]
                    scalars = tuple((slot, done[x]) for slot, x in tail.scalars)
                    tails[key] = replace(tail, scalars=scalars)
                    pieces[key] += [
                        self._of_tail(x, slot, along, done[x], at)
                        for x, slot, along in zip(tail.kets, tail.slots, tail.along, strict=True)
                    ]
        return StepGraph(
            fluctuation(plain[task.out], task.step.sizes) if drawn else None,
            {x: plain[x] for x in wanted},
            {key: tuple(found) for key, found in pieces.items()},
            tails,
        )

    def _pair(
        self, left: Node, right: Node, done: dict[Node, Node], at: tuple[int, ...]
    ) -> TermPiece:
        sizes = [self.task.step.shape(x.type.axes) for x in (left, right)]
        joined = np.broadcast_shapes(*sizes)
        rows = [np.broadcast_to(np.arange(np.prod(s, dtype=int)).reshape(s), joined).reshape(-1)
                for s in sizes]  # fmt: skip
        side = left if left in self.along else right
        shift = len(joined) - len(side.type.axes)
        places = tuple(None if j is None else j + shift for j in self.along[side])
        return TermPiece(done[left], done[right], rows[0], rows[1], self._outs(joined, places, at))

    def _of_tail(
        self, x: Node, slot: Node, along: Along, ket: Node, at: tuple[int, ...]
    ) -> TermPiece:
        shape = self.task.step.shape(x.type.axes)
        rows = np.arange(np.prod(shape, dtype=int))
        return TermPiece(ket, slot, rows, rows, self._outs(shape, along, at))

    def _outs(self, shape: tuple[int, ...], places: Along, at: tuple[int, ...]) -> Array:
        """The position in f of every entry of an array along whose axes f runs."""
        count = int(np.prod(shape, dtype=int))
        grid = np.indices(shape).reshape(len(shape), count)
        index = []
        for k in range(len(self.shape)):
            place = places[k]
            if k in self.good and place is not None:
                index.append(grid[place])
            else:
                index.append(np.full(count, at[self.rest.index(k)]))
        if not index:
            return np.zeros(count, dtype=int)
        return np.asarray(np.ravel_multi_index(index, self.shape))

    def roots(self, steps: tuple[StepGraph, ...]) -> tuple[Node, ...]:
        """All that is evaluated at the steps."""
        matrices = {k for k in self.gradients if self.task.weights[k].kind == "matrix"}
        roots = [s.out for s in steps if s.out is not None]
        for s in steps:
            roots += s.wanted.values()
            roots += [p.left for some in s.pieces.values() for p in some]
            roots += [p.right for key in matrices for p in s.pieces[key]]
            roots += [x for tail in s.tails.values() for _, x in tail.scalars]
        return tuple(dict.fromkeys(roots))

    def graph(self, steps: tuple[StepGraph, ...], roots: tuple[Node, ...]) -> SampleGraph:
        """The steps' kets as a graph without weights."""
        step = replace(self.task.step, data={**self.task.step.data, **self.data})
        gradients = {
            key: Gradient(tuple((p.left, p.right) for s in steps for p in s.pieces[key]))
            for key in self.gradients
            if self.task.weights[key].kind == "matrix"
        }
        joined: list[tuple[Hashable, Hashable]] = []
        for key, gradient in gradients.items():
            for left, right in gradient.pairs:
                joined += [((left, 0), (key, "rows")), ((right, 0), (key, "columns"))]
        moments = {slot: steps[min(t, len(steps) - 1)].wanted[x]
                   for slot, (x, t) in self.task.moments.items()}  # fmt: skip
        joined += [((slot, 0), (x, 0)) for slot, x in moments.items() if is_ket(x)]
        members = [m for output in self.task.outputs for m in output.members]
        regions = regions_of(roots)
        order = late(reachable(roots), regions)
        return SampleGraph(
            step,
            spaces([*roots, *members], joined),
            regions,
            tuple(x for x in order if x.op is Op.INIT_VECTOR),
            sources_of_dots(roots),
        )
