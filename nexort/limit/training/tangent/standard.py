"""The network over standard initial objects, its weights decayed to what they are at a step.

In the neural tangent limit a weight at step t is, seen by kets, its initial value times what decay
has left of it, w_t = k_t w_0 with k_t the product of (1 - decay_s) over s < t (Thm 2.10.3, and for
every layer alike): updates are seen by the output alone, through its derivative.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction

import numpy as np

from nexort.limit.training.tangent.start import averages
from nexort.program import build
from nexort.program.nodes import Node, Op, rewrite, walk
from nexort.program.types import scalar
from nexort.training.task import Key, Task, seed_slot

HALF = Fraction(1, 2)


def decay_factors(task: Task, t: int) -> dict[Key, float]:
    """What decay leaves of every weight's initial value at step t."""
    return {key: float(np.prod(1 - w.decay[:t])) for key, w in task.weights.items()}


def decays_before_last(task: Task) -> bool:
    """Whether any weight decays before the last step."""
    return any(bool(np.any(w.decay)) for w in task.weights.values())


def is_drawn(task: Task) -> bool:
    """Whether the output has a random part: f_0, or what it becomes as weights decay."""
    return task.given_start() is None or (decays_before_last(task) and output_size(task) == HALF)


def random_outputs(task: Task) -> frozenset[str]:
    """The outputs of a run that are random in the limit."""
    if not is_drawn(task):
        return frozenset()
    slots = {slot for slot, (x, _) in task.moments.items() if x is task.out}
    return frozenset(o.name for o in task.outputs if slots.intersection(walk(o.members)))


def standard_nodes(
    task: Task, roots: Iterable[Node], left: Mapping[Key, float], seed: Node | None = None
) -> dict[Node, Node]:
    """Nodes of the step's graph over standard initial objects: a weight's leaf becomes
    left (mean + scale z), and the seed slot is ``seed``."""
    slot = seed_slot(task.out.type.axes)
    heads, least = _readouts(task), output_size(task) - task.output_exponent

    def rule(x: Node) -> Node:
        if x is slot and seed is not None:
            return seed
        match x.op:
            case Op.INIT_VECTOR if x.attr in task.weights:
                w, k = task.weights[x.attr], left[x.attr]
                if x.attr in heads and w.exponents.a + w.exponents.b > least:
                    k = 0.0  # of a smaller size than others
                scaled = _scaled(k * w.scale, x)
                mean = k * w.mean
                return build.call("add", build.constant(mean), scaled) if mean else scaled
            case Op.INIT_SCALAR if x.attr in task.weights:
                value = build.constant(left[x.attr] * task.weights[x.attr].mean)
                return build.spread(value, x.type)
            case Op.MATMUL if x.attr[:2] in task.weights:
                return _scaled(left[x.attr[:2]] * task.weights[x.attr[:2]].scale, x)
            case _:
                return x

    return rewrite(roots, rule)


def output_size(task: Task) -> Fraction:
    """A + B: the output at initialization has size n^(1/2 - A - B)."""
    heads = [task.weights[key].exponents for key in _readouts(task)]
    return task.output_exponent + min((e.a + e.b for e in heads), default=Fraction(0))


def _readouts(task: Task) -> frozenset[Key]:
    """The vectors that are factors of the output's averages, and all whose size is not 1."""
    found = set()
    for x in averages(task.out):
        near = [b for a in x.args for b in (a, *(a.args if a.op is Op.CALL else ()))]
        found |= {b.attr for b in near if b.op is Op.INIT_VECTOR and b.attr in task.weights}
    for key, w in task.weights.items():
        if w.kind == "vector" and w.exponents.a + w.exponents.b != 0:
            found.add(key)
    return frozenset(found)


def _scaled(factor: float, x: Node) -> Node:
    return x if factor == 1 else build.call("mul", build.constant(factor), x)


def seed_data(task: Task, name: str) -> Node:
    """A seed as data of the axes of f."""
    return Node(Op.DATA, (), name, scalar(task.out.type.axes))
