"""What the outputs of a run in the maximal update limit read: kets of initial, of dense and of
unknown law."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from nexort.limit.estimate import LimitValue
from nexort.limit.exact.existing import EXPECTED
from nexort.limit.exact.integrands import TAME, UNKNOWN
from nexort.limit.existence.ranges import VARIABLE, ValueRange
from nexort.limit.training.maximal.fresh import has_fresh_part
from nexort.limit.training.reading.beginning import Start
from nexort.limit.training.reading.laws import growth, program_of
from nexort.program.nodes import DRAWN, Node, Op, walk
from nexort.program.types import Kind
from nexort.program.unrolled import Array, Unrolled, UnrolledOutput
from nexort.support.diagnostics import Span
from nexort.training.task import Key, Task

ROUNDING = 1e-12


class MaximalReading:
    def __init__(self, task: Task) -> None:
        self.task = task
        self.data: dict[str, Array] = {}
        self.known: dict[Node, ValueRange] = {}
        self.images: dict[Node, tuple[Node, int]] = {}
        """The applications of matrices, and their steps, that slots stand for."""

    @cached_property
    def begin(self) -> Start:
        found = Start(self.task, [self.task.out, *(x for x, _ in self.task.moments.values())])
        self.data |= found.data
        return found

    @cached_property
    def law(self) -> ValueRange:
        """Of a ket at a later step: it grows as a power of Gaussians where all does that it is made
        of, and as the first power where gradients do, and updates are linear in them."""
        task = self.task
        kets = [x for g in task.gradients.values() for pair in g.pairs for x in pair]
        kets += [g.ket for g in task.gradients.values() if g.ket is not None]
        inside = walk([task.out, *kets])
        kets += [x.args[0] for x in inside if x.op is Op.MATMUL]
        kets += [a for x in inside if x.op in EXPECTED[:2] for a in x.args]
        done: dict[Node, Node] = {}
        for x in inside:
            if x.op in DRAWN and x.type.kind is Kind.KET:
                done[x] = Node(Op.SLOT, (), ("any", x.serial), x.type)
            else:
                done[x] = x.with_args(tuple(done[a] for a in x.args))
        slots = {x: VARIABLE for x in done.values() if x.op is Op.SLOT}
        roots = [done[x] for x in dict.fromkeys(kets) if x.type.kind is Kind.KET]
        kind, power = growth(task, program_of(task, self, roots, {}), roots, slots)
        if kind:
            return UNKNOWN
        moving = (w for w in task.weights.values() if w.active and np.any(w.rates))
        linear = all(w.update.coefficients(1) is not None for w in moving)
        return replace(VARIABLE) if linear and power <= 1 + ROUNDING else TAME

    def spans(self) -> Mapping[Node, Span]:
        return self.begin.spans

    def at(self, slot: Node) -> Node:
        x, t = self.task.moments[slot]
        if x is self.task.out:
            return slot
        done: dict[Node, Node] = {}
        moved: set[Node] = set()
        for y in walk([x]):
            key = y.attr[:2] if y.op is Op.MATMUL else y.attr
            weight = y.op in DRAWN
            if (weight and self._moves(key, t)) or any(a in moved for a in y.args):
                moved.add(y)
            if y not in moved:
                done[y] = self.begin.at(y)
            elif weight:
                done[y] = self._slot(y, key, t)
            else:
                done[y] = y.with_args(tuple(done[a] for a in y.args))
        return done[x]

    def value(
        self, program: Unrolled, means: Sequence[Node], output: UnrolledOutput
    ) -> LimitValue | None:
        return None

    def polynomial(self) -> bool:
        return not self.law.up[0]

    def _moves(self, key: Key, t: int) -> bool:
        """Whether a weight is another at step t than at the start."""
        w = self.task.weights.get(key)
        if w is None:
            return False
        trained = w.active and np.any(w.rates[:t]) and not self.task.gradients[key].is_zero
        return bool(trained or np.any(w.decay[:t]))

    def _slot(self, x: Node, key: Key, t: int) -> Node:
        """What stands for a weight, or what it makes, at a later step."""
        slot = Node(Op.SLOT, (), ("later", x.serial, t), x.type)
        if x.type.kind is Kind.KET:
            dense = x.op is Op.MATMUL
            if key in self.task.weights:
                w = self.task.weights[key]
                dense = dense and w.scale > 0 and bool(np.all(w.decay[:t] != 1))
            self.known[slot] = self.law
            if dense:
                self.images[slot] = x, t
        return slot

    def dense(self, slots: Iterable[Node]) -> dict[Node, ValueRange]:
        return {x: replace(self.known[x], dense=True) for x in slots if x in self.images}

    def certain(self, slots: Iterable[Node]) -> bool:
        return has_fresh_part(self.task, [self.images[x] for x in slots])
