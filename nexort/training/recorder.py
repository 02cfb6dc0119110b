"""The outputs of a run, gathered while it goes: scalars over values at one or several steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from nexort.program.nodes import Node, Op, walk
from nexort.program.unrolled import Array
from nexort.support.diagnostics import Span, fail
from nexort.training.scalars import LOOK, first_singular, scalar_value
from nexort.training.task import Task


class MomentRecorder:
    """Collects the moments of one run. Kets are arrays of shape axes + (N,), over N sample points
    or the n entries of a vector; a bra-ket is the product's mean over them.

    At every step: evaluate ``wanted(t)`` and hand the values to ``record(t, values)``; at the end
    ``results()`` has every output, shape family_shape + axes; what needs a step that was not
    reached is nan.
    """

    def __init__(self, task: Task, *, limit: bool = False) -> None:
        """``limit``: of the limit, where an output that is not finite is an error."""
        self.task, self.limit = task, limit
        self.members = [m for output in task.outputs for m in output.members]
        self.order = walk(self.members)
        reads = {x: self._steps(x) for x in self.members}
        self.due: dict[int, list[Node]] = {}
        for x, steps in reads.items():
            self.due.setdefault(max(steps, default=0), []).append(x)
        self.at: dict[int, list[Node]] = {}
        self.until: dict[Node, int] = {}
        for x, steps in reads.items():
            for slot in _slots(x):
                self.until[slot] = max(self.until.get(slot, 0), *steps)
        for slot in self.until:
            self.at.setdefault(task.moments[slot][1], []).append(slot)
        self.stored: dict[Node, Array] = {}
        self.found: dict[Node, Array] = {}

    def _steps(self, member: Node) -> set[int]:
        return {self.task.moments[slot][1] for slot in _slots(member)}

    def wanted(self, t: int) -> list[Node]:
        """The nodes of the step's graph to evaluate at step t."""
        return [self.task.moments[slot][0] for slot in self.at.get(t, ())]

    def record(self, t: int, values: Mapping[Node, Array]) -> None:
        """Take the values of the wanted nodes at step t."""
        for slot in self.at.get(t, ()):
            self.stored[slot] = np.array(values[self.task.moments[slot][0]])
        for member in self.due.get(t, ()):
            self.found[member] = self._evaluate(member)
            if self.limit:
                spans = (o.span for o in self.task.outputs if member in o.members)
                value = self.found[member]
                refuse_singular(self.task, member, value, self.stored, t, next(spans))
        for slot in [s for s in self.stored if self.until[s] <= t]:
            del self.stored[slot]

    def results(self) -> dict[str, Array]:
        """Every output, shape family_shape + axes."""
        answer = {}
        for output in self.task.outputs:
            shape = self.task.step.shape(output.axes)
            parts = [
                np.broadcast_to(self.found.get(m, np.asarray(np.nan)), shape)
                for m in output.members
            ]
            answer[output.name] = np.stack(parts).reshape((*output.family_shape, *shape))
        return answer

    def _evaluate(self, member: Node) -> Array:
        def shape(x: Node) -> tuple[int, ...]:
            return self.task.step.shape(x.type.axes)

        return scalar_value(member, self.stored, self.task.step.data, shape)


def refuse_singular(
    task: Task,
    member: Node,
    value: Array,
    slots: Mapping[Node, Array],
    t: int,
    place: Span | None,
) -> None:
    """Raise NexortError where an output's member, which is told at step t, is not finite although
    all that it reads is, and not because a training grows beyond floating point. ``place``: of the
    output."""
    if np.isfinite(value).all():
        return
    found = first_singular(task.step, member, slots, grown=t == 0)
    if found is None:
        return
    node, reason = found
    users = [(x.serial, s) for x, s in task.spans.items() if node in walk([x])]
    span = min(users, default=(0, place), key=lambda u: u[0])[1]
    name = "an output" if span is None else f"'{span.text}'"
    raise fail(
        "not-finite",
        f"a value of {name} is infinite or not a number in the limit: {reason}",
        span,
        help=LOOK,
    )


def _slots(root: Node) -> Iterable[Node]:
    return [x for x in walk([root]) if x.op is Op.SLOT]
