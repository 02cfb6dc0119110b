"""Families of operators that follow an affine recurrence, as trained matrices do (Eq 2.53).

W[t+1] = k W[t] + Q[t] from W[0] is W[t] = k^t W[0] + sum over s < t of k^(t-1-s) Q[s].
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from nexort.limit.derive.algebra import BoundNames
from nexort.limit.derive.unsupported import Unsupported
from nexort.program import build
from nexort.program.declarations import Rule
from nexort.program.index import Affine, Interval, Loop
from nexort.program.nodes import MEMBERS, Node, Op, walk
from nexort.program.program import Program
from nexort.program.shifting import NotSymbolicError, shift_graph, solve_key, substitute_index
from nexort.program.types import scalar

Indices = tuple[Affine, ...]
ONE = Affine(1)


@dataclass(frozen=True)
class Recurrence:
    """Rules of a family: ``bases`` at the index ``first`` in place ``at``, and ``step`` for the
    index ``var`` + 1 there, over loops of the other variables; ``factor`` k and ``rest`` Q."""

    at: int
    first: Affine
    bases: tuple[Placed, ...]
    step: Placed
    var: str
    factor: Node
    rest: Node | None

    @property
    def box(self) -> Box:
        """First and last of every other index."""
        loops, rule = self.step
        return _box(loops, (*rule.indices[: self.at], *rule.indices[self.at + 1 :]))

    def others(self, indices: Indices) -> Indices:
        """The indices but for that of the step."""
        return (*indices[: self.at], *indices[self.at + 1 :])

    def member(self, indices: Indices, names: BoundNames, product: Product) -> Node:
        """The operator at some indices, without the family's own name; ``product`` names products
        of factors that change."""
        start = self._start(indices)
        if indices[self.at] == self.first:
            return start
        plain = build.is_number(self.factor, 1)
        found = start if plain else build.scale(self._kept(self.first, indices, product), start)
        if self.rest is None:
            return found
        name = names.fresh("s")
        s = Affine.variable(name)
        moved = _at(self.step, self.at, indices, {self.var: s}, self.rest)
        if not plain:
            moved = build.scale(self._kept(s + ONE, indices, product), moved)
        past = Loop(name, Interval(self.first, indices[self.at] - ONE))
        return build.add_operators(found, Node(Op.OP_SUM, (moved,), past, moved.type))

    def _start(self, indices: Indices) -> Node:
        """The base at some indices, of the first rule that may have them."""
        for base in self.bases:
            try:
                return _at(base, self.at, indices, {})
            except Unsupported:
                continue
        raise Unsupported(f"the operators {self.step[1].name}[...] form a family")

    def _kept(self, first: Affine, indices: Indices, product: Product) -> Node:
        """The product of the factors of the steps ``first`` to the one before a member."""
        last = indices[self.at]
        if not any(x.op in CHANGING for x in walk([self.factor])):
            return _power(self.factor, last - first)
        loops, rule = self.step
        loop = next(x for x in loops if x.var == self.var)
        return product(rule.name, self.factor, loop, first, last)


@dataclass(frozen=True)
class SingleRule:
    """A rule of a family that says what its members are without others."""

    rule: Placed

    @property
    def box(self) -> Box:
        """First and last of every index."""
        loops, rule = self.rule
        return _box(loops, rule.indices)

    def others(self, indices: Indices) -> Indices:
        """The indices that the box is of."""
        return indices

    def member(self, indices: Indices, *_: object) -> Node:
        """The operator at some indices."""
        return _at(self.rule, None, indices, {})


Placed = tuple[tuple[Loop, ...], Rule]
"""A rule in its loops."""

Box = tuple[tuple[Affine, Affine], ...]


def _box(loops: tuple[Loop, ...], indices: Indices) -> Box:
    """First and last of every index."""
    ranges = {x.var: x.interval for x in loops}
    found = []
    for index in indices:
        own = [n for n in index.names if n in ranges]
        if not own:
            found.append((index, index))
            continue
        interval = ranges[own[0]]
        ends = [substitute_index(index, {own[0]: end}) for end in (interval.first, interval.last)]
        up = (interval.step > 0) == (dict(index.terms)[own[0]] > 0)
        found.append((ends[0], ends[1]) if up else (ends[1], ends[0]))
    return tuple(found)


Product = Callable[[str, Node, Loop, Affine, Affine], Node]
CHANGING = (Op.INDEX, Op.REF, Op.INIT_SCALAR)


def definitions(program: Program, name: str) -> Sequence[SingleRule | Recurrence]:
    """How the members of a family of operators are defined: by recurrences, one for each rule of a
    step, or by single rules. Raises Unsupported where they are neither."""
    rules = [(loops, rule) for loops, rule in program.rules() if rule.name == name]
    for at in range(program.families[name].arity):
        bases = [x for x in rules if not x[1].indices[at].terms]
        firsts = {x[1].indices[at] for x in bases}
        steps = [x for x in rules if x[1].indices[at].terms]
        if len(firsts) != 1 or not steps:
            continue
        [first] = firsts
        found = [_recurrence(name, at, first, tuple(bases), step) for step in steps]
        if all(x is not None for x in found):
            return [x for x in found if x is not None]
    if any(_reads(rule.value, name) for _, rule in rules):
        raise Unsupported(f"the operators {name}[...] form a family")
    return [SingleRule(x) for x in rules]


def _reads(root: Node, name: str) -> bool:
    """Whether a graph reads a family."""
    return any(x.op is Op.REF and x.attr[0] == name for x in walk([root]))


def _recurrence(
    name: str, at: int, first: Affine, bases: tuple[Placed, ...], step: Placed
) -> Recurrence | None:
    loops, rule = step
    high = rule.indices[at]
    var = next((x.var for x in loops if high == Affine.variable(x.var) + ONE), None)
    if var is None or any(_reads(base.value, name) for _, base in bases):
        return None
    before = (*rule.indices[:at], Affine.variable(var), *rule.indices[at + 1 :])
    own, rest = [], []
    for factors, leaf in _terms(rule.value):
        if leaf.op is Op.REF and leaf.attr == (name, before):
            own.append(factors)
        else:
            rest.append(_scaled(factors, leaf))
    if len(own) != 1 or any(_reads(x, name) for x in rest):
        return None
    factor = _product(own[0])
    if any(x.op in MEMBERS and len(x.attr[1]) > 1 for x in walk([factor])):
        return None  # it changes with more than the step
    total = None
    for term in rest:
        total = term if total is None else build.add_operators(total, term)
    return Recurrence(at, first, bases, step, var, factor, total)


def _terms(root: Node) -> Iterator[tuple[tuple[Node, ...], Node]]:
    """The terms of a sum of operators: scalar factors, and what they multiply."""
    stack: list[tuple[tuple[Node, ...], Node]] = [((), root)]
    while stack:
        factors, node = stack.pop()
        match node.op:
            case Op.OP_ADD:
                stack.extend((factors, a) for a in reversed(node.args))
            case Op.OP_SCALE:
                stack.append(((*factors, node.args[0]), node.args[1]))
            case _:
                yield factors, node


def _product(factors: tuple[Node, ...]) -> Node:
    found = build.constant(1)
    for x in factors:
        found = x if build.is_number(found, 1) else build.call("mul", found, x)
    return found


def _scaled(factors: tuple[Node, ...], leaf: Node) -> Node:
    for x in factors[::-1]:
        leaf = build.scale(x, leaf)
    return leaf


def _power(factor: Node, count: Affine) -> Node:
    exponent = (
        Node(Op.INDEX, (), count, scalar()) if count.terms else build.constant(count.constant)
    )
    return build.call("pow", factor, exponent)


def _at(
    placed_rule: Placed,
    at: int | None,
    indices: Indices,
    more: dict[str, Affine],
    value: Node | None = None,
) -> Node:
    """A rule's value, or a part of it, where indices but that in place ``at`` are given, and more
    variables."""
    loops, rule = placed_rule
    own, wanted = (tuple(i for k, i in enumerate(x) if k != at) for x in (rule.indices, indices))
    try:
        mapped = solve_key(own, [x.var for x in loops if x.var not in more], wanted)
        if any(
            (substitute_index(i, mapped) - j).constant for i, j in zip(own, wanted, strict=True)
        ):
            raise Unsupported(f"the operators {rule.name}[...] form a family")
        return shift_graph(rule.value if value is None else value, {**mapped, **more})
    except NotSymbolicError:
        raise Unsupported(f"the operators {rule.name}[...] form a family") from None
