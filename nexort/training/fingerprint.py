"""What a training run's results depend on, as a digest."""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from nexort.program.nodes import Node
from nexort.training.task import Task

FORMAT = 3
"""Of the numbers that are kept; those of other ones are not read."""


def fingerprint(task: Task, *others: object) -> str:
    """A digest of a training run's meaning (graphs, data, weights), of other settings and of the
    version of nexort, the same in every process."""
    digest = hashlib.sha256()

    def add(*parts: object) -> None:
        for part in parts:
            text = part.tobytes() if isinstance(part, np.ndarray) else repr(part).encode()
            digest.update(len(text).to_bytes(8, "little") + text)

    add(FORMAT, _version(), task.steps, task.output_exponent, task.regime, others)
    start = [task.start] if isinstance(task.start, Node) else []
    add("" if start else task.start)
    members = [m for output in task.outputs for m in output.members]
    parts = [g for gradient in task.gradients.values() for pair in gradient.pairs for g in pair]
    add(_graph([task.out, *task.errors, *start, *members, *parts]))
    add([(o.name, o.indices, o.family_shape) for o in task.outputs])
    for slot, (node, t) in task.moments.items():
        add(slot.attr, t, _graph([node]))
    for name, values in sorted(task.step.data.items()):
        add(name, values.shape, np.ascontiguousarray(values, dtype=float))
    add(sorted(task.step.sizes.items()))
    for key, w in sorted(task.weights.items()):
        rule, numbers = w.update.rule, sorted(w.update.hyperparameters.items())
        add(key, w.kind, w.shape, w.mean, w.scale, w.exponents, w.rates, w.decay, w.active)
        if w.norm is not None:
            add(w.norm.kind, w.norm.thresholds)
        add(rule.name, numbers, [name for name, _ in (*rule.states, *rule.assigns)])
        add(_graph([*(n for _, n in (*rule.states, *rule.assigns)), rule.result]))
    return digest.hexdigest()


def _version() -> str:
    try:
        return version("nexort")
    except PackageNotFoundError:  # not installed
        return ""


def _graph(roots: list[Node]) -> list[tuple[object, ...]]:
    """A graph as plain data, without what depends on the process."""
    place: dict[Node, int] = {}
    lines: list[tuple[object, ...]] = []

    def visit(root: Node) -> None:
        stack = [root]
        while stack:
            x = stack[-1]
            missing = [a for a in x.args if a not in place]
            if x in place or not missing:
                stack.pop()
                if x not in place:
                    place[x] = len(place)
                    axes = tuple(map(str, x.type.axes))
                    args = tuple(place[a] for a in x.args)
                    lines.append((x.op.name, args, repr(x.attr), axes, sorted(x.type.copies)))
            else:
                stack.append(missing[0])

    for root in roots:
        visit(root)
    return [*lines, tuple(place[r] for r in roots)]
