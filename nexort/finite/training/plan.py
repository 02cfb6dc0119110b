"""What a training run at width n does at every step, found once for all runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import prod

from nexort.finite.arrays import DType, is_mixed
from nexort.finite.streams import Symbol, symbol_of
from nexort.finite.training.means import Mean, means
from nexort.program.nodes import Node, Op, walk
from nexort.program.types import Kind
from nexort.training.task import Task

INITIAL = (Op.INIT_VECTOR, Op.INIT_SCALAR)


@dataclass(frozen=True)
class FinitePlan:
    """``moving`` are the nodes that depend on a weight, ``still`` those that do not: computed once.
    ``leaves`` are the initial vectors and scalars, ``matrices`` the initial matrices of the
    network; a matrix that moves but is applied nowhere is among ``matrices`` too."""

    task: Task
    width: int
    dtype: DType
    nodes: tuple[Node, ...]
    moving: frozenset[Node]
    means: Mapping[Node, Mean]
    leaves: tuple[Node, ...]
    matrices: tuple[Symbol, ...]

    @property
    def still(self) -> tuple[Node, ...]:
        """The closed nodes that do not depend on a weight."""
        return tuple(x for x in self.nodes if x not in self.moving)

    def needed(self, roots: Collection[Node]) -> tuple[Node, ...]:
        """The moving closed nodes that the roots are made of, arguments first."""
        seen: set[Node] = set()
        stack = [x for x in roots if x in self.moving]
        while stack:
            node = stack.pop()
            if node not in seen:
                seen.add(node)
                inputs = self.means[node].inputs if node in self.means else node.args
                stack.extend(a for a in inputs if a in self.moving)
        return tuple(sorted(seen, key=lambda x: x.serial))

    def bytes(self, copies: int = 0) -> int:
        """Memory of one run: matrices with their states and so many copies, kets with their
        adjoints."""
        n, size = self.width, self.dtype.itemsize
        states = 0
        for symbol in self.matrices:
            weight = self.task.weights.get(symbol)
            states += (
                1
                if weight is None
                else 1 + copies + len(weight.update.start((1,), self.dtype.name))
            )
            states += weight is not None and weight.norm is not None
        kets = sum(
            prod(self.task.step.shape(x.type.axes)) for x in self.nodes if x.type.kind is Kind.KET
        )
        return size * (states * n * n + 2 * kets * n)


def plan(task: Task, width: int, dtype: DType) -> FinitePlan:
    """The plan of a task."""
    roots = [task.out, *dict.fromkeys(node for node, _ in task.moments.values())]
    everything = walk(roots)
    weights = task.weights
    moving: set[Node] = set()
    for x in everything:
        own = x.op in (*INITIAL, Op.MATMUL) and symbol_of(x) in weights
        if own or any(a in moving for a in x.args):
            moving.add(x)
    closed = tuple(x for x in everything if not is_mixed(x))
    leaves = tuple(x for x in closed if x.op in INITIAL)
    matrices = tuple(dict.fromkeys(symbol_of(x) for x in closed if x.op is Op.MATMUL))
    found = means(everything, task.step, width, dtype)
    return FinitePlan(task, width, dtype, closed, frozenset(moving), found, leaves, matrices)
