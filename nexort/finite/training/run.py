"""One training run at width n: forward, back, and the weights' steps.

Reverse mode over the network's instructions, by rules of this package and no other's: a second
opinion on the backpropagation program (Def 2.9.14).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

import numpy as np

from nexort.finite.arrays import Place, is_mixed, matrix_factor, raise_scalar
from nexort.finite.crew import Crew
from nexort.finite.streams import Law, Streams, symbol_of
from nexort.finite.training.operations import backward, forward_value, lower_adjoint
from nexort.finite.training.parameters import EntriesParameter, MatrixParameter, width_power
from nexort.finite.training.plan import FinitePlan
from nexort.program.nodes import Node, Op
from nexort.program.types import Kind
from nexort.program.unrolled import Array
from nexort.training.recorder import MomentRecorder
from nexort.training.scalars import scalar_value
from nexort.training.task import Key, Weight

Values = dict[Node, Array]
Pair = tuple[Array, Array]


class Watch(Protocol):
    """Sees a run's values as they are found. At every step t: ``values`` of the nodes it wants
    (``nodes``) and f; then, but for the last step, ``gradients`` of sum_i chi_i f_i by those nodes
    that f depends on and by the weights, as :meth:`Run.gradients` has them; then ``moved``, once
    the weights have; ``finished`` at the end. ``weights`` are the task's, whose update functions it
    may listen to."""

    nodes: Collection[Node]
    weights: Mapping[Key, Weight]

    def values(self, run: TrainingRun, t: int, values: Values, f: Array) -> None: ...
    def gradients(
        self,
        run: TrainingRun,
        t: int,
        chi: Array,
        by_nodes: Values,
        by_weights: tuple[Mapping[Key, Array], Mapping[Key, Pair]],
    ) -> None: ...
    def moved(self, run: TrainingRun, t: int) -> None: ...
    def finished(self) -> None: ...


class TrainingRun:
    """The weights of one draw, from the start on. ``laws`` gives the law of a matrix's entries by
    its name. ``stopped`` is the step at which a run overflowed, and the first value that did."""

    def __init__(
        self,
        plan: FinitePlan,
        streams: Streams,
        laws: Mapping[str, Law],
        crew: Crew,
        watch: Watch | None = None,
    ) -> None:
        self.watch = watch
        self.watched: Collection[Node] = () if watch is None else watch.nodes
        self.plan, self.task, self.crew = plan, plan.task, crew
        self.streams, self.width = streams, streams.width
        weights = self.task.weights if watch is None else watch.weights
        self.matrices = {
            key: MatrixParameter(streams, key, laws[key[0]], weights.get(key), crew)
            for key in plan.matrices
        }
        self.entries: dict[Key, EntriesParameter] = {}
        for x in plan.leaves:
            key, shape = symbol_of(x), self._shape(x)
            draw = streams.vector if x.op is Op.INIT_VECTOR else streams.scalar
            self.entries[key] = EntriesParameter(draw(key, shape), weights.get(key), self.width)
        self.still: Values = {}
        for x in plan.still:
            self.still[x] = self._value(x, self.still)
        self.scale = width_power(self.width, 1 - self.task.output_exponent)
        self.stopped: tuple[int, Node] | None = None

    def outputs(self) -> dict[str, Array]:
        """Train; every output, shape family_shape + axes. What is not reached before the outputs or
        error signals overflow is nan."""
        task, recorder = self.task, MomentRecorder(self.task)
        shift: Array | float = 0.0
        for t in range(task.steps + 1):
            self.crew.check()
            values = self.forward({task.out, *recorder.wanted(t), *self.watched})
            f = values[task.out] * self.scale
            if t == 0:
                shift = self._shift(f)
            f = f + shift
            recorder.record(t, {**values, task.out: f})
            if not np.isfinite(f).all():
                bad = (x for x in sorted(values, key=_serial) if not np.isfinite(values[x]).all())
                self.stopped = t, next(bad, task.out)
                break
            if self.watch is not None:
                self.watch.values(self, t, values, f)
            if t == task.steps:
                break
            chi = task.signal(t, f)
            if not np.isfinite(chi).all():
                self.stopped = t, task.errors[t]
                break
            self.step(t, values, chi)
        if self.watch is not None:
            self.watch.finished()
        return recorder.results()

    def _shift(self, f: Array) -> Array | float:
        """What is added to the network's output."""
        match self.task.start:
            case "plain":
                return 0.0
            case "centre":
                return -f
            case Node() as given:
                shape = self.task.step.shape
                data = self.task.step.data
                return scalar_value(given, {}, data, lambda x: shape(x.type.axes)) - f

    # ---- forward -------------------------------------------------------------------------------

    def forward(self, roots: Collection[Node]) -> Values:
        """The values of the roots and of all they are made of, at the current weights."""
        values = dict(self.still)
        for x in self.plan.needed(roots):
            values[x] = self._value(x, values)
        return values

    def _value(self, x: Node, values: Values) -> Array:
        """Scalars are float64; kets have the run's dtype, the last dimension contiguous."""
        match x.op:
            case Op.CONST:
                return np.asarray(x.attr, np.float64).reshape(self._shape(x))
            case Op.DATA:
                data = self.task.step.data[str(x.attr)]
                return np.asarray(data, np.float64).reshape(self._shape(x))
            case Op.INIT_VECTOR | Op.INIT_SCALAR:
                return self.entries[symbol_of(x)].value()
            case Op.MATMUL:
                argument = values[x.args[0]]
                return self.matrices[symbol_of(x)].apply(argument, bool(x.attr[2]), self.crew)
            case Op.MEAN:
                return self.plan.means[x].value(values, self.crew)
            case Op.FACTOR:
                return matrix_factor(values[x.args[0]], self.task.step.spans.get(x))
        place = self._place(x)
        value = forward_value(x, [raise_scalar(a, values[a], place) for a in x.args], place)
        if x.type.kind is Kind.SCALAR:
            return np.asarray(value, np.float64)
        return np.ascontiguousarray(value, self.streams.dtype)

    def _shape(self, x: Node) -> tuple[int, ...]:
        return self.task.step.shape(x.type.axes)

    def _place(self, x: Node) -> Place:
        copies = tuple(x.type.copies) if x.type.kind is Kind.KET else ()
        return Place(self._shape(x), (self.width,) if copies else (), copies, self.streams.dtype)

    # ---- back ----------------------------------------------------------------------------------

    def gradients(
        self, values: Values, chi: Array, by_nodes: Values | None = None
    ) -> tuple[dict[Key, Array], dict[Key, Pair]]:
        """The gradients of sum_i chi_i f_i by W: those by vectors and scalars as arrays, those by
        matrices as (left, right) of shape (k, n), for sum_k left_k right_k^T. Those by watched
        nodes are put in ``by_nodes``."""
        out, weights = self.task.out, self.task.weights
        bars: Values = {out: np.broadcast_to(chi * self.scale, self._shape(out))}
        of_entries: dict[Key, Array] = {}
        factors: dict[Key, list[Pair]] = {}
        for x in reversed(self.plan.needed([out])):
            bar = bars.pop(x, None)
            if bar is None:
                continue
            if by_nodes is not None and x in self.watched:
                by_nodes[x] = bar
            if x.op in (Op.INIT_VECTOR, Op.INIT_SCALAR):
                of_entries[symbol_of(x)] = bar
                continue
            if x.op is Op.MATMUL and symbol_of(x) in weights:
                pair = (values[x.args[0]], bar) if x.attr[2] else (bar, values[x.args[0]])
                factors.setdefault(symbol_of(x), []).append(pair)
            for a, part in self._adjoints(x, values, bar):
                bars[a] = bars[a] + part if a in bars else part
        return of_entries, {key: self._joined(some) for key, some in factors.items()}

    def _adjoints(self, x: Node, values: Values, bar: Array) -> list[tuple[Node, Array]]:
        """The parts of the arguments' adjoints that come from a node."""
        moving = self.plan.moving
        if x.op is Op.MEAN:
            mean = self.plan.means[x]
            return list(mean.adjoints(values, bar, moving, self.crew).items())
        if x.op is Op.MATMUL:
            [a] = x.args
            if a not in moving:
                return []
            return [(a, self.matrices[symbol_of(x)].apply(bar, not x.attr[2], self.crew))]
        place = self._place(x)
        args = [raise_scalar(a, values[a], place) for a in x.args]
        found = []
        for k, a in enumerate(x.args):
            if a in moving and not is_mixed(a):
                part = backward(x, args, bar, place, k)
                found.append((a, lower_adjoint(a, part, args[k].shape)))
        return found

    def _joined(self, some: list[Pair]) -> Pair:
        rows = [[side.reshape(-1, self.width) for side in pair] for pair in some]
        left, right = (np.concatenate(side) for side in zip(*rows, strict=True))
        return left, right

    # ---- the weights' steps ----------------------------------------------------------------------

    def step(self, t: int, values: Values, chi: Array) -> None:
        """Move every weight; one that the output does not read has the gradient 0."""
        by_nodes: Values = {}
        of_entries, of_matrices = self.gradients(values, chi, by_nodes)
        if self.watch is not None:
            self.watch.gradients(self, t, chi, by_nodes, (of_entries, of_matrices))
        nothing = np.zeros((0, self.width), self.streams.dtype)
        for key, entries in self.entries.items():
            if entries.weight is not None:
                entries.update(t, of_entries.get(key, np.zeros_like(entries.w)))
        for key, matrix in self.matrices.items():
            if matrix.weight is not None:
                left, right = of_matrices.get(key, (nothing, nothing))
                matrix.update(t, left, right, self.crew)
        if self.watch is not None:
            self.watch.moved(self, t)


def _serial(x: Node) -> int:
    return x.serial
