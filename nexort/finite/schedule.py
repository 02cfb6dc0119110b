"""The order of evaluation: what is computed together, and when a value is no longer needed.

Products with one matrix that are ready at the same time are done together, so that a matrix too big
to keep is drawn once for all of them; so are outer products that share functions of the same pairs
of indices, such as an optimizer's state. Initial values are drawn right before their first use.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from math import prod

from nexort.finite.arrays import is_mixed
from nexort.finite.averages import Component, components, mixed_nodes
from nexort.finite.nests import Nest, build
from nexort.finite.streams import Symbol, symbol_of
from nexort.program.nodes import Node, Op, walk
from nexort.program.types import Kind
from nexort.program.unrolled import Unrolled
from nexort.support.diagnostics import InternalError

TOGETHER = 64
"""At most so many heavy nodes are evaluated at once: a bound on live values and on planning."""

_SUPPORTED = frozenset(op for op in Op if op.unrolled and op is not Op.SIZE)


@dataclass(frozen=True, slots=True)
class MatrixProduct:
    """MATMUL nodes of one matrix; ``again`` says that the matrix is used later."""

    symbol: Symbol
    nodes: tuple[Node, ...]
    again: bool


@dataclass(frozen=True, slots=True)
class Averages:
    """MEAN nodes, their components in order, and the nests in which those on pairs are summed.

    ``dropped`` are functions of pairs that were kept for these nests and no later ones.
    """

    nodes: tuple[Node, ...]
    parts: tuple[tuple[Component, ...], ...]
    nests: tuple[Nest, ...]
    dropped: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class ScheduledStep:
    """One thing to do, and the values that nobody needs afterwards."""

    work: Node | MatrixProduct | Averages
    free: tuple[Node, ...]

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The values made here."""
        return (self.work,) if isinstance(self.work, Node) else self.work.nodes


@dataclass(frozen=True)
class Schedule:
    """``entries`` is the largest number of ket entries alive at once; ``block_entries`` that of an
    outer product's block."""

    steps: tuple[ScheduledStep, ...]
    entries: int
    block_entries: int

    def work(self) -> int:
        """How many entries of functions of several copies a run computes."""
        averages = (step.work for step in self.steps if isinstance(step.work, Averages))
        return sum(nest.work() for a in averages for nest in a.nests)


def schedule(program: Unrolled, width: int) -> Schedule:
    """The steps for a program at width n. Raises InternalError for nodes it may not contain."""
    return _Planner(program, width).plan()


class _Planner:
    def __init__(self, program: Unrolled, width: int) -> None:
        self.program, self.width = program, width
        self.members = [m for output in program.outputs for m in output.members]
        self.nodes = walk(self.members)
        for node in self.nodes:
            if node.op not in _SUPPORTED:
                raise InternalError(f"{node.op.name} in a program to be run at width n")
        self.uses = Counter(a for node in self.nodes for a in node.args)
        self.inner: dict[Node, set[Node]] = {}
        self.inputs: dict[Node, tuple[Node, ...]] = {}
        for node in self.nodes:
            if not is_mixed(node):
                self.inputs[node] = self._inputs(node)
        self.buckets: dict[Hashable, list[Node]] = defaultdict(list)
        self.bucket: dict[Node, Hashable] = {}
        self._sort_heavy()
        self.groups: list[tuple[Node, ...]] = []
        self.done: set[Node] = set()

    def _inputs(self, node: Node) -> tuple[Node, ...]:
        """The values a step reads; for a MEAN those at the border of its open region."""
        if not (node.op is Op.MEAN and is_mixed(node.args[0])):
            return node.args
        inside = self.inner[node] = mixed_nodes(node.args)
        read = (a for x in inside for a in x.args if not is_mixed(a))
        return tuple(sorted(set(read), key=lambda a: a.serial))

    def _sort_heavy(self) -> None:
        """Heavy nodes of one bucket have the same number of heavy nodes before them on the longest
        path, so none needs another."""
        level: dict[Node, int] = {}
        for node in self.nodes:
            level[node] = max((level[a] for a in node.args), default=0)
            key: Hashable = None
            if node.op is Op.MATMUL:
                assert isinstance(node.attr, tuple)
                key = (level[node], *node.attr[:2])
            elif node in self.inner:
                key = (level[node], node.attr)
            if key is not None:
                level[node] += 1
                self.bucket[node] = key
                self.buckets[key].append(node)

    # ---- the order -----------------------------------------------------------------------------

    def plan(self) -> Schedule:
        for node in self.inputs:
            if node.args and node not in self.done:
                self._emit(self._gather(node) if node in self.bucket else (node,))
        self._emit_each(m for m in self.members if m not in self.done)
        return self._with_lifetimes()

    def _emit(self, group: tuple[Node, ...]) -> None:
        self._emit_each(a for node in group for a in self._pending(node) or ())
        self.groups.append(group)
        self.done.update(group)

    def _emit_each(self, nodes: Iterable[Node]) -> None:
        for node in dict.fromkeys(nodes):
            self.groups.append((node,))
            self.done.add(node)

    def _pending(self, node: Node) -> list[Node] | None:
        """What must be evaluated before a node, in order; None if anything heavy is among it."""
        found: set[Node] = set()
        stack = [a for a in self.inputs[node] if a not in self.done]
        while stack:
            other = stack.pop()
            if other not in found:
                if other in self.bucket:
                    return None
                found.add(other)
                stack.extend(a for a in self.inputs[other] if a not in self.done)
        return sorted(found, key=lambda a: a.serial)

    def _gather(self, first: Node) -> tuple[Node, ...]:
        """A heavy node with those of its bucket that can and should be evaluated with it."""
        waiting = self.buckets[self.bucket[first]]
        waiting.remove(first)
        group, refused = [first], 0
        inside = set(self.inner.get(first, ()))
        for other in tuple(waiting[:TOGETHER]):
            if len(group) + refused >= TOGETHER:
                break
            related = first.op is Op.MATMUL or bool(self.inner[other] & inside)
            if related and self._pending(other) is not None:
                group.append(other)
                waiting.remove(other)
                inside |= self.inner.get(other, set())
            else:
                refused += 1
        return tuple(group)

    # ---- lifetimes -----------------------------------------------------------------------------

    def _with_lifetimes(self) -> Schedule:
        last: dict[Node, int] = {}
        last_product: dict[Symbol, int] = {}
        for k, group in enumerate(self.groups):
            last.update((a, k) for node in group for a in (*self.inputs[node], node))
            if group[0].op is Op.MATMUL:
                last_product[symbol_of(group[0])] = k
        last.update((m, len(self.groups)) for m in self.members)
        ends: dict[int, list[Node]] = defaultdict(list)
        for node, k in last.items():
            ends[k].append(node)
        steps, live, most, block = [], 0, 0, 0
        for k, group in enumerate(self.groups):
            work: Node | MatrixProduct | Averages = group[0]
            if group[0].op is Op.MATMUL:
                symbol = symbol_of(group[0])
                work = MatrixProduct(symbol, group, last_product[symbol] > k)
            elif group[0] in self.inner:
                work = self._averages(group)
                block = max(block, *(nest.block_entries() for nest in work.nests), 0)
            live += sum(map(self._entries, group))
            most = max(most, live)
            live -= sum(map(self._entries, ends[k]))
            steps.append(ScheduledStep(work, tuple(ends[k])))
        return Schedule(tuple(steps), most, block)

    def _averages(self, group: tuple[Node, ...]) -> Averages:
        parts = tuple(tuple(components(node, self.uses)) for node in group)
        nests: dict[tuple[int, ...], list[Component]] = defaultdict(list)
        for part in dict.fromkeys(p for some in parts for p in some if p.pairs):
            nests[part.copies].append(part)
        built = (build(some, self.program, self.width) for some in nests.values())
        return Averages(group, parts, tuple(built))

    def _entries(self, node: Node) -> int:
        count = prod(self.program.shape(node.type.axes))
        return count * self.width if node.type.kind is Kind.KET else count
