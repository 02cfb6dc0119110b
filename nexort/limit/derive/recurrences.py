"""Families of operators that follow an affine recurrence, as trained matrices do (Eq 2.53).

W[t+1] = k W[t] + Q[t] from W[0] is W[t] = k^t W[0] + sum over s < t of k^(t-1-s) Q[s].
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nexort.limit.derive.algebra import Names
from nexort.limit.derive.unsupported import Unsupported
from nexort.program import build
from nexort.program.index import Affine, Interval, Loop
from nexort.program.nodes import Node, Op, walk
from nexort.program.program import Program, Rule
from nexort.program.shifting import KEYED, NotSymbolicError, placed, shifted, solved
from nexort.program.types import scalar

Indices = tuple[Affine, ...]
ONE = Affine(1)


@dataclass(frozen=True)
class Recurrence:
    """A family's rules: ``base`` at the index ``first`` in place ``at``, and ``step`` for the index
    ``var`` + 1 there, over loops of the other ``variables``; ``factor`` k and ``rest`` Q."""

    at: int
    first: Affine
    base: tuple[tuple[Loop, ...], Rule]
    step: tuple[tuple[Loop, ...], Rule]
    var: str
    factor: Node
    rest: Node | None

    def member(self, indices: Indices, names: Names, product: Product) -> Node:
        """The operator at some indices, without the family's own name; ``product`` names products
        of factors that change."""
        start = _at(self.base, self.at, indices, {})
        if indices[self.at] == self.first:
            return start
        plain = build.is_number(self.factor, 1)
        found = start if plain else build.scale(self._kept(self.first, indices, product), start)
        if self.rest is None:
            return found
        name = names.fresh("s")
        s = Affine.variable(name)
        loops, rule = self.step
        moved = _at((loops, rule), self.at, indices, {self.var: s}, self.rest)
        if not plain:
            moved = build.scale(self._kept(s + ONE, indices, product), moved)
        past = Loop(name, Interval(self.first, indices[self.at] - ONE))
        return build.add_operators(found, Node(Op.OP_SUM, (moved,), past, moved.type))

    def _kept(self, first: Affine, indices: Indices, product: Product) -> Node:
        """The product of the factors of the steps ``first`` to the one before a member."""
        last = indices[self.at]
        if not any(x.op in CHANGING for x in walk([self.factor])):
            return _power(self.factor, last - first)
        return product(self.step[1].name, self.factor, self.var, first, last)


Product = Callable[[str, Node, str, Affine, Affine], Node]
CHANGING = (Op.INDEX, Op.REF, Op.INIT_SCALAR)


def recurrence(program: Program, name: str) -> Recurrence:
    """The recurrence of a family of operators. Raises Unsupported where it follows none."""
    rules = [(loops, rule) for loops, rule in program.rules() if rule.name == name]
    if len(rules) == 2:
        for base, step in (rules, rules[::-1]):
            for at, (low, high) in enumerate(zip(base[1].indices, step[1].indices, strict=True)):
                found = _recurrence(name, at, low, high, base, step)
                if found is not None:
                    return found
    raise Unsupported(f"the operators {name}[...] form a family")


def _recurrence(
    name: str,
    at: int,
    low: Affine,
    high: Affine,
    base: tuple[tuple[Loop, ...], Rule],
    step: tuple[tuple[Loop, ...], Rule],
) -> Recurrence | None:
    loops, rule = step
    var = next((x.var for x in loops if high == Affine.variable(x.var) + ONE), None)
    if var is None or low.terms or any(x.op is Op.REF and x.attr[0] == name
                                       for x in walk([base[1].value])):  # fmt: skip
        return None
    before = (*rule.indices[:at], Affine.variable(var), *rule.indices[at + 1 :])
    own, rest = [], []
    for factors, leaf in _terms(rule.value):
        if leaf.op is Op.REF and leaf.attr == (name, before):
            own.append(factors)
        else:
            rest.append(_scaled(factors, leaf))
    if len(own) != 1 or any(x.op is Op.REF and x.attr[0] == name for x in walk(rest)):
        return None
    factor = _product(own[0])
    if any(x.op in KEYED and len(x.attr[1]) > 1 for x in walk([factor])):
        return None  # it changes with more than the step
    total = None
    for term in rest:
        total = term if total is None else build.add_operators(total, term)
    return Recurrence(at, low, base, step, var, factor, total)


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
    placed_rule: tuple[tuple[Loop, ...], Rule],
    at: int,
    indices: Indices,
    more: dict[str, Affine],
    value: Node | None = None,
) -> Node:
    """A rule's value, or a part of it, where all indices but one are given, and more variables."""
    loops, rule = placed_rule
    own = (*rule.indices[:at], *rule.indices[at + 1 :])
    wanted = (*indices[:at], *indices[at + 1 :])
    try:
        mapped = solved(own, [x.var for x in loops if x.var not in more], wanted)
        if any((placed(i, mapped) - j).constant for i, j in zip(own, wanted, strict=True)):
            raise Unsupported(f"the operators {rule.name}[...] form a family")
        return shifted(rule.value if value is None else value, {**mapped, **more})
    except NotSymbolicError:
        raise Unsupported(f"the operators {rule.name}[...] form a family") from None
