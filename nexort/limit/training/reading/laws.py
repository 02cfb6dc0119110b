"""What outputs read, by its law, and programs of such."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice, product
from typing import Protocol

from nexort.limit.estimate import LimitValue
from nexort.limit.exact.engine import ExactEngine
from nexort.limit.exact.existing import EXPECTED, FULL
from nexort.limit.exact.integrands import UNKNOWN, Integrands
from nexort.limit.existence.forms import plain_exponents
from nexort.limit.existence.ranges import VARIABLE, Growth, NotShown, ValueRange, bounds
from nexort.program import build
from nexort.program.nodes import Node, Op, walk
from nexort.program.types import Kind, ket
from nexort.program.unrolled import Array, Unrolled, UnrolledOutput
from nexort.support.diagnostics import Diagnostic, NexortError, Span
from nexort.training.task import Task


class Laws(Protocol):
    """What outputs read, by its law."""

    data: dict[str, Array]
    known: dict[Node, ValueRange]
    """Of SLOT nodes that are kets."""

    def at(self, slot: Node) -> Node:
        """The value of a moment: a ket where it is random."""
        ...

    def spans(self) -> Mapping[Node, Span]:
        """Where the network's nodes were written."""
        ...

    def dense(self, slots: Iterable[Node]) -> dict[Node, ValueRange]:
        """Ranges of those that may have an independent Gaussian part."""
        ...

    def certain(self, slots: Iterable[Node]) -> bool:
        """Whether all of these have."""
        ...

    def polynomial(self) -> bool:
        """Whether all that is read grows as powers of Gaussians."""
        ...

    def value(
        self, program: Unrolled, means: Sequence[Node], output: UnrolledOutput
    ) -> LimitValue | None:
        """The value of an output whose members' means a program has, where it is a function of
        f_0 and exact."""
        ...


def lift_scalars(x: Node) -> Node:
    """A function of scalars of which some have become kets."""
    random = any(a.type.kind is Kind.KET for a in x.args)
    if x.type.kind is Kind.KET or not random or x.op in EXPECTED:
        return x
    if x.op is Op.CALL:
        return build.call(str(x.attr), *x.args)
    return Node(x.op, x.args, x.attr, ket(x.type.axes))


def program_of(
    task: Task, laws: Laws, roots: Iterable[Node], spans: Mapping[Node, Span]
) -> Unrolled:
    """A program of the means of these."""
    outputs = tuple(
        UnrolledOutput(f"{k}", (x,), ((),), (), x.type.axes, None)
        for k, x in enumerate(dict.fromkeys(map(law_mean, roots)))
    )
    data = {**task.step.data, **laws.data}
    return replace(task.step, outputs=outputs, data=data, spans=spans)


def law_mean(x: Node) -> Node:
    return build.average(x) if x.type.kind is Kind.KET else x


def with_span(problem: NexortError, span: Span | None, prefix: str = "") -> NexortError:
    """With a place, where it has none."""
    return NexortError(
        [
            replace(x, span=x.span or span, message=prefix + x.message)
            if isinstance(x, Diagnostic)
            else x
            for x in problem.diagnostics
        ]
    )


def growth(
    task: Task, program: Unrolled, kets: Iterable[Node], laws: Mapping[Node, ValueRange]
) -> Growth:
    """The largest of some kets of a program, the first power at least."""
    integrands = Integrands(ExactEngine(program), 0, laws)
    most: Growth = (0, 1.0)
    for x in kets:
        shape = task.step.shape(x.type.axes)
        for at in islice(product(*map(range, shape)), FULL.pairs):
            graph = plain_exponents(integrands.graph(x, at))
            slots = [y for y in walk([graph]) if y.op is Op.SLOT]
            try:
                most = max(
                    most, bounds(graph, {y: integrands.ranges.get(y, VARIABLE) for y in slots}).up
                )
            except NotShown:
                return UNKNOWN.up
    return most
