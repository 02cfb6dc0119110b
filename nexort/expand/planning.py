"""Where every cotangent is found, with loops kept.

The rules are gone through in reverse. A member's cotangent is the sum of what the rules that read
it contribute; it stands after the last of these in the reversed program. Which rules these are is
told member by member, at numbers for the params that are large enough to be generic; rounds of a
loop that are alike in terms of the loop's variable become one loop again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce

from nexort.expand.folding import fold_loop
from nexort.expand.reverse import Use
from nexort.expand.rounds import (
    Env,
    Member,
    Round,
    Rounds,
    numbers_of,
    round_id,
    rounds_of,
    values_of,
)
from nexort.expand.rules import Item, NetworkRule, RuleNest, Rules, flat_rules, leaf
from nexort.expand.statements import Let, Statement
from nexort.expand.tidy import tidy
from nexort.program import build
from nexort.program.index import Affine, Loop
from nexort.program.nodes import Node, Op, walk
from nexort.program.shifting import NotSymbolicError


@dataclass
class Backward:
    """Writes the reversed program: ``name`` gives the cotangent's name of a family."""

    rules: Rules
    uses: Mapping[NetworkRule, Sequence[Use]]
    rounds: Rounds
    name: Callable[[str], str]
    fresh: Callable[[str], str]
    shared: dict[tuple[NetworkRule, Node, tuple[str, ...]], str] = field(default_factory=dict)
    """Names of what cotangents read several times."""
    done: set[Member] = field(default_factory=set)

    def statements(self) -> list[Statement]:
        """The cotangents of all members, from the output on."""
        base = self.rounds.base
        found = [*self._at(self.rules.output, base), *self._items(self.rules.items, base)]
        if self.done != set(self.rounds.first):
            raise NotSymbolicError
        return found

    def _items(self, items: Sequence[Item], env: Env) -> list[Statement]:
        found: list[Statement] = []
        for item in reversed(items):
            if isinstance(item, NetworkRule):
                found += self._at(item, env)
            else:
                found += self._nest(item, env)
        return found

    def _nest(self, nest: RuleNest, env: Env) -> list[Statement]:
        values = values_of(nest.loop.interval, env)
        bodies = [
            (v, tuple(self._items(nest.items, {**env, nest.loop.var: v}))) for v in reversed(values)
        ]
        found = fold_loop(nest.loop, bodies, values, backward=True)
        orders = [self.rounds.place[round_id(Round(r, e))] for r, e in rounds_of((nest,), env)]
        closed = range(min(orders, default=0), max(orders, default=-1) + 1)
        for rule in reversed(list(flat_rules((nest,)))):
            for use in self.uses[rule]:
                free = [x for x in rule.loops if x.var not in _named_in(use.key)]
                if free and free[0] is nest.loop:
                    found += self._complete(use, env, closed)
        return _distinct(found)

    def _at(self, rule: NetworkRule, env: Env) -> list[Statement]:
        """The cotangents that are complete once a rule's round is gone through."""
        order = self.rounds.place.get(round_id(Round(rule, env)))
        if order is None:
            raise NotSymbolicError
        found: list[Statement] = []
        for use in self.uses[rule]:
            if all(x.var in _named_in(use.key) for x in rule.loops):
                found += self._complete(use, env, range(order, order + 1))
        return _distinct(found)

    def _complete(self, use: Use, env: Env, closed: range) -> list[Statement]:
        """The cotangents of what a use reads that the rounds ``closed`` are the first to read; in
        loops, where these are those of sums, or lie inside of what is gone through."""
        outer = [x.var for x in use.loops if x.var in env and x.var not in self.rounds.base]
        told = _named_in(use.key)
        inner = [x for x in use.loops if x.var not in outer and x.var in told]
        return self._inside(use, inner, env, closed, tuple(outer))

    def _inside(
        self, use: Use, loops: Sequence[Loop], env: Env, closed: range, around: tuple[str, ...]
    ) -> list[Statement]:
        if loops:
            loop = loops[0]
            values = values_of(loop.interval, env)
            bodies = []
            for v in values:
                inside = {**env, loop.var: v}
                body = self._inside(use, loops[1:], inside, closed, (*around, loop.var))
                bodies.append((v, tuple(body)))
            return fold_loop(loop, bodies, values)
        member = use.name, numbers_of(use.key, env)
        if member in self.done or self.rounds.first.get(member, -1) not in closed:
            return []
        self.done.add(member)
        terms = self.rounds.terms(member, use.key, env)
        total = tidy(reduce(_add, (t.graph(_value(t.use)) for t in terms)))
        wanted = self.rules.types[use.name]
        if total.type != wanted:
            total = build.spread(total, wanted)
        return self._named(use.rule, Let(self.name(use.name), use.key, total), around)

    def _named(self, rule: NetworkRule, let: Let, around: tuple[str, ...]) -> list[Statement]:
        """A statement after the names of long expressions that it reads several times."""
        found: list[Statement] = []
        key = tuple(Affine.variable(v) for v in around)
        done: dict[Node, Node] = {}
        often = repeated_expressions(let.value)
        for x in walk([let.value]):
            done[x] = x.with_args(tuple(done[a] for a in x.args))
            if x in often:
                name = self.shared.get((rule, x, around))
                if name is None:
                    name = self.shared[rule, x, around] = self.fresh("a")
                found.append(Let(name, key, done[x]))
                done[x] = leaf(name, key, x.type)
        return [*found, Let(let.name, let.key, done[let.value])]


def _named_in(key: Iterable[Affine]) -> set[str]:
    return {name for index in key for name, _ in index.terms}


def _distinct(statements: Iterable[Statement]) -> list[Statement]:
    """Statements without those that stand before."""
    found: list[Statement] = []
    for x in statements:
        if x not in found:
            found.append(x)
    return found


def _add(a: Node, b: Node) -> Node:
    return build.call("add", a, b)


LONG = 6
"""Operations of an expression that gets a name where it is read several times."""


def repeated_expressions(root: Node) -> set[Node]:
    """Long expressions that a graph reads several times, outside of sums and expectations."""
    nodes = walk([root])
    if any(x.op in (Op.SUM, Op.MEAN) for x in nodes):
        return set()
    readers: dict[Node, int] = {}
    size: dict[Node, int] = {}
    for x in nodes:
        size[x] = 1 + sum(size[a] for a in x.args) if x.args else 0
        for a in x.args:
            readers[a] = readers.get(a, 0) + 1
    return {x for x in nodes if readers.get(x, 0) > 1 and size[x] >= LONG}


def _value(use: Use) -> Node:
    assert use.value is not None
    return use.value
