"""Whether the expectations of a training exist at initialization (``nexort.limit.exact.existing``).

The kets at step 0 are functions of jointly Gaussian ones, so that what the run takes of them is
told: <x|x> of all that a weight acts on, forward and back, the output and the averages in it. In
the neural tangent limit with updates that are linear in the gradients the output moves by the
tangent kernel, the sum over weights of <g|g'> for their gradients g, and its covariance at
initialization is <x|x> of its features x. Elsewhere gradients feed nonlinearities, and their
squares need not exist; where they are not shown to, nothing is. Outputs:
``nexort.limit.training.reading``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nexort.limit.exact.existing import Effort, examine, is_risky
from nexort.limit.training.tangent.standard import (
    decay_factors,
    is_drawn,
    seed_data,
    standard_nodes,
)
from nexort.limit.training.tangent.start import averages, fluctuation
from nexort.program import build
from nexort.program.nodes import Node, Op, walk
from nexort.program.types import Kind
from nexort.program.unrolled import Array, Unrolled, UnrolledOutput
from nexort.support.diagnostics import NexortError, Span
from nexort.training.task import Key, Task, output_slot, weight_name

HARD = Effort(entries=4, pairs=2, hard=12, variables=5)
EASY = replace(HARD, hard=0)
"""Little of large networks: these refuse only what is seen at once."""

SEED = "error signal"
"""Its data's name: no program's name has a space."""


def exists(task: Task, places: Mapping[str, Span]) -> bool:
    """Whether all that a run takes at step 0 is shown to exist; ``places`` has the declarations of
    weights.

    Raises NexortError for what does not exist, with the reason.
    """
    sides = _sides(task)
    everything = [task.out, *(x for found in sides.values() for x in found)]
    if not any(map(is_risky, walk(everything))):
        return True
    step = Start(task, everything)
    parts = [_Part("", None, (step.at(task.out),))]
    if task.regime == "tangent" and is_drawn(task):
        drawn = _drawn(step.at(task.out), task)
        parts.append(_Part("in the output at initialization, ", None, drawn))
    squares: list[Node] = []
    for key, found in sides.items():
        kets = [step.at(x) for x in found]
        own = [_squared(x) for x in kets]
        squares += own
        if task.regime == "maximal" or task.weights[key].update.coefficients(1) is None:
            own = [x for x in walk(kets) if x.op is Op.MATMUL]
        text = f"in the gradient by '{weight_name(key)}', "
        parts.append(_Part(text, places.get(key[0]), tuple(own)))
    shown = _are_shown(step, [part for part in parts if part.roots])
    return shown and not (squares and examine(step.program(squares), EASY))


@dataclass(frozen=True)
class _Part:
    """What has to exist, how it is called, and its place where that is not its own."""

    text: str
    span: Span | None
    roots: tuple[Node, ...]


def _are_shown(step: Start, parts: Sequence[_Part]) -> bool:
    """Whether all parts are shown to exist. Raises NexortError."""
    try:
        return not examine(step.program(x for part in parts for x in part.roots), HARD)
    except NexortError:
        for part in parts:
            try:
                examine(step.program(part.roots), HARD)
            except NexortError as problem:
                [first, *_] = problem.diagnostics
                told = replace(first, message=part.text + first.message)
                raise NexortError([replace(told, span=part.span or first.span)]) from None
        raise


def _squared(x: Node) -> Node:
    return x if x.type.kind is Kind.SCALAR else build.inner(x, x)


def _sides(task: Task) -> dict[Key, list[Node]]:
    """The kets and scalars that the gradients of weights that move are made of."""
    found: dict[Key, list[Node]] = {}
    for key, weight in task.weights.items():
        if task.steps and weight.active and np.any(weight.rates):
            g = task.gradients[key]
            own = [g.ket, g.scalar, *(y for pair in g.pairs for y in pair)]
            found[key] = [y for y in own if y is not None]
    return found


def _drawn(out: Node, task: Task) -> tuple[Node, ...]:
    """<x|x> of the ket whose covariance the output has, where that is found."""
    if not averages(out):
        return ()
    try:
        return (_squared(fluctuation(out, task.step.sizes)),)
    except NexortError:  # told where the limit is evaluated
        return ()


class Start:
    """The step's graph over standard initial objects, with the first error signal."""

    def __init__(self, task: Task, roots: Iterable[Node]) -> None:
        left = {
            key: 0.0 if w.kind == "vector" and _vanishes(task, key) else k
            for key, k in decay_factors(task, 0).items()
            for w in (task.weights[key],)
        }
        self.task = task
        self.done = standard_nodes(task, roots, left, seed_data(task, SEED))
        self.spans = {self.done[x]: s for x, s in task.step.spans.items() if x in self.done}
        self.data = {**task.step.data, SEED: _signal(task)}

    def at(self, x: Node) -> Node:
        """A node at step 0."""
        return self.done[x]

    def program(self, roots: Iterable[Node]) -> Unrolled:
        """A program of these outputs."""
        members = tuple(dict.fromkeys(roots))
        indices = tuple((k,) for k in range(len(members)))
        output = UnrolledOutput("f", members, indices, (len(members),), (), None)
        return replace(self.task.step, outputs=(output,), data=self.data, spans=self.spans)


def _vanishes(task: Task, key: Key) -> bool:
    """Whether a readout is 0 at the start of the maximal update limit."""
    e = task.weights[key].exponents
    return task.regime == "maximal" and e.a + e.b + task.output_exponent > 1


def _signal(task: Task) -> Array:
    """The first error signal, of some output where that is drawn; 1 where it is not finite."""
    shape = task.step.shape(output_slot(task.out.type.axes).type.axes)
    start = task.given_start()
    if start is None:
        start = np.random.default_rng(0).standard_normal(shape)
    if not task.steps:
        return np.ones(shape)
    with np.errstate(all="ignore"):
        found = np.asarray(task.signal(0, start), dtype=float)
    return found if np.isfinite(found).all() else np.ones(shape)
