"""Where every cotangent is found, with loops kept.

The rules are gone through in reverse. A member's cotangent is the sum of what the rules that read
it contribute; it stands after the last of these in the reversed program. Which rules these are is
told member by member, at numbers for the params that are large enough to be generic; rounds of a
loop that are alike in terms of the loop's variable become one loop again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import groupby
from typing import Protocol, runtime_checkable

from nexort.expand.reverse import Use
from nexort.expand.rules import Item, Nest, Rule, Rules, leaf
from nexort.expand.shifting import (
    NotSymbolicError,
    placed,
    placed_all,
    shifted,
    solved,
    within,
)
from nexort.expand.statements import Each, Let, Line, Statement
from nexort.expand.tidy import tidy
from nexort.program import build
from nexort.program.index import Affine, Interval, Loop
from nexort.program.nodes import Node, Op, walk

Env = Mapping[str, int]
NEAR = 3
"""How far from the ends of a loop a round may be told from the others."""


@dataclass(frozen=True, eq=False)
class Part:
    """A contribution in one round of its loops; ``order`` is the round's place in the program."""

    use: Use
    env: Env
    order: int


@dataclass(frozen=True, eq=False)
class Round:
    """A rule in one round of its loops."""

    rule: Rule
    env: Env


class Rounds:
    """All rounds of all rules, in order, and which of them the output depends on."""

    def __init__(self, rules: Rules, uses: Mapping[Rule, Sequence[Use]], base: Env) -> None:
        self.base = base
        rounds = [Round(r, env) for r, env in _rounds(rules.items, base)]
        rounds.append(Round(rules.output, base))
        self.place = {_id(x): k for k, x in enumerate(rounds)}
        wanted: set[tuple[str, tuple[int, ...]]] = {(rules.output.name, ())}
        self.parts: dict[tuple[str, tuple[int, ...]], list[Part]] = {}
        self.reached: set[tuple[int, tuple[int, ...]]] = set()
        for x in reversed(rounds):
            if (x.rule.name, _numbers(x.rule.key, x.env)) not in wanted:
                continue
            self.reached.add(_id(x))
            for use in uses[x.rule]:
                for env in _inner(use.loops[len(x.rule.loops) :], x.env):
                    member = use.name, _numbers(use.key, env)
                    wanted.add(member)
                    part = Part(use, env, self.place[_id(x)])
                    self.parts.setdefault(member, []).append(part)
        self.after: dict[int, list[tuple[str, tuple[int, ...]]]] = {}
        for member, parts in self.parts.items():
            if member[0] in rules.types:
                self.after.setdefault(min(p.order for p in parts), []).append(member)

    def reaches(self, rule: Rule, env: Env) -> bool:
        """Whether the output depends on a rule's round."""
        return _id(Round(rule, env)) in self.reached


def _id(x: Round) -> tuple[int, tuple[int, ...]]:
    return id(x.rule), tuple(x.env[loop.var] for loop in x.rule.loops)


def _numbers(key: Iterable[Affine], env: Env) -> tuple[int, ...]:
    try:
        return tuple(k.value(env) for k in key)
    except KeyError:
        raise NotSymbolicError from None


def _values(interval: Interval, env: Env) -> range:
    try:
        return interval.values(env)
    except KeyError:
        raise NotSymbolicError from None


def _rounds(items: Iterable[Item], env: Env) -> Iterable[tuple[Rule, Env]]:
    for item in items:
        if isinstance(item, Rule):
            yield item, env
        else:
            for value in _values(item.loop.interval, env):
                yield from _rounds(item.items, {**env, item.loop.var: value})


def _inner(loops: Sequence[Loop], env: Env) -> Iterable[Env]:
    if not loops:
        yield env
        return
    for value in _values(loops[0].interval, env):
        yield from _inner(loops[1:], {**env, loops[0].var: value})


# ---- sums of contributions -----------------------------------------------------------------------


@dataclass(frozen=True)
class Term:
    """A contribution in terms of the variables around: ``place`` maps the use's variables, and
    ``sums`` are the loops over which it is summed."""

    use: Use
    place: tuple[tuple[str, Affine], ...]
    sums: tuple[Loop, ...]

    def bare(self, node: Node) -> Node:
        """A graph of the use, in terms of the variables around and of those of the sums."""
        return shifted(node, dict(self.place))

    def graph(self, node: Node) -> Node:
        """A graph of the use, in terms of the variables around."""
        found = self.bare(node)
        for loop in reversed(self.sums):
            found = build.total(loop, found)
        return found


def terms(parts: Sequence[Part], key: tuple[Affine, ...], env: Env) -> tuple[Term, ...]:
    """The contributions to the member ``key``, which has its value at ``env``, in the order of the
    program."""
    uses = dict.fromkeys(p.use for p in sorted(parts, key=lambda p: p.order))
    return tuple(_term([p for p in parts if p.use is use], key, env) for use in uses)


def _term(parts: Sequence[Part], key: tuple[Affine, ...], env: Env) -> Term:
    use = parts[0].use
    variables = [loop.var for loop in use.loops]
    place = solved(use.key, variables, key)
    sums = tuple(
        Loop(loop.var, within(loop.interval, place)) for loop in use.loops if loop.var not in place
    )
    told = {name: index.value(env) for name, index in place.items()}
    rounds = _inner(sums, {**parts[0].env, **told})
    reached = {tuple(sorted((k, e[k]) for k in parts[0].env)) for e in rounds}
    if {tuple(sorted(p.env.items())) for p in parts} != reached:
        raise NotSymbolicError
    return Term(use, tuple(sorted(place.items())), sums)


# ---- the reversed program ------------------------------------------------------------------------


@dataclass
class Backward:
    """Writes the reversed program: ``name`` gives the cotangent's name of a family."""

    rules: Rules
    uses: Mapping[Rule, Sequence[Use]]
    rounds: Rounds
    name: Callable[[str], str]
    fresh: Callable[[str], str]
    shared: dict[tuple[Rule, Node], str] = field(default_factory=dict)
    """Names of what cotangents read several times."""

    def statements(self) -> list[Statement]:
        """The cotangents of all members, from the output on."""
        base = self.rounds.base
        return [*self._at(self.rules.output, base), *self._items(self.rules.items, base)]

    def _items(self, items: Sequence[Item], env: Env) -> list[Statement]:
        found: list[Statement] = []
        for item in reversed(items):
            if isinstance(item, Rule):
                found += self._at(item, env)
            else:
                found += self._nest(item, env)
        return found

    def _nest(self, nest: Nest, env: Env) -> list[Statement]:
        values = _values(nest.loop.interval, env)
        bodies = [
            (v, tuple(self._items(nest.items, {**env, nest.loop.var: v}))) for v in reversed(values)
        ]
        return looped(nest.loop, bodies, values, backward=True)

    def _at(self, rule: Rule, env: Env) -> list[Statement]:
        """The cotangents that are complete once a rule's round is gone through."""
        order = self.rounds.place.get(_id(Round(rule, env)))
        if order is None:
            raise NotSymbolicError
        found: list[Statement] = []
        told = set(self.rounds.after.get(order, ()))
        for use in self.uses[rule]:
            inner = use.loops[len(rule.loops) :]
            names = {name for i in use.key for name, _ in i.terms}
            inner = tuple(loop for loop in inner if loop.var in names)
            found += self._inside(use, inner, env, order, told)
        if told:
            raise NotSymbolicError
        return found

    def _inside(
        self,
        use: Use,
        loops: Sequence[Loop],
        env: Env,
        order: int,
        told: set[tuple[str, tuple[int, ...]]],
    ) -> list[Statement]:
        """The same for what the bodies of sums read, in loops of their own."""
        if loops:
            loop = loops[0]
            values = _values(loop.interval, env)
            bodies = [
                (v, tuple(self._inside(use, loops[1:], {**env, loop.var: v}, order, told)))
                for v in values
            ]
            return looped(loop, bodies, values)
        member = use.name, _numbers(use.key, env)
        if member not in told:
            return []
        told.discard(member)
        graphs = [t.graph(_value(t.use)) for t in terms(self.rounds.parts[member], use.key, env)]
        total = tidy(reduce(lambda a, b: build.call("add", a, b), graphs))
        wanted = self.rules.types[use.name]
        if total.type != wanted:
            total = build.spread(total, wanted)
        return self._named(use.rule, Let(self.name(use.name), use.key, total))

    def _named(self, rule: Rule, let: Let) -> list[Statement]:
        """A statement after the names of long expressions that it reads several times."""
        found: list[Statement] = []
        key = tuple(Affine.variable(loop.var) for loop in rule.loops)
        done: dict[Node, Node] = {}
        often = repeated(let.value)
        for x in walk([let.value]):
            done[x] = x.with_args(tuple(done[a] for a in x.args))
            if x in often:
                name = self.shared.get((rule, x))
                if name is None:
                    name = self.shared[rule, x] = self.fresh("a")
                    found.append(Let(name, key, done[x]))
                elif not any(isinstance(f, Let) and f.name == name for f in found):
                    found.append(Let(name, key, done[x]))
                done[x] = leaf(name, key, x.type)
        return [*found, Let(let.name, let.key, done[let.value])]


LONG = 6
"""Operations of an expression that gets a name where it is read several times."""


def repeated(root: Node) -> set[Node]:
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


def looped(
    loop: Loop,
    bodies: Sequence[tuple[int, tuple[Statement, ...]]],
    values: range,
    *,
    backward: bool = False,
) -> list[Statement]:
    """Rounds of a loop, in the order of ``bodies``: neighbours with the same statements are one
    loop. Raises NotSymbolicError where the ends of such a loop are not near those of the whole."""
    whole = loop.interval
    step = -whole.step if backward else whole.step
    found: list[Statement] = []
    for body, group in groupby(bodies, key=lambda x: x[1]):
        if not body:
            continue
        rounds = [v for v, _ in group]
        if len(rounds) == len(values):
            first, last = (_last(whole, values), whole.first) if backward else (
                whole.first, whole.last)  # fmt: skip
        else:
            first, last = (_end(v, whole, values) for v in (rounds[0], rounds[-1]))
            if len(rounds) == 1:
                found += [moved(x, {loop.var: first}) for x in body]
                continue
        found.append(Each(loop.var, Interval(first, last, step), body))
    return found


def _last(whole: Interval, values: range) -> Affine:
    """The last value of a range."""
    if abs(whole.step) == 1:
        return whole.last
    if whole.first.terms or whole.last.terms:
        raise NotSymbolicError
    return Affine(values[-1])


def _end(value: int, whole: Interval, values: range) -> Affine:
    """A round's value in terms of the ends of its loop."""
    if not whole.first.terms and not whole.last.terms:
        return Affine(value)
    ahead, behind = abs(value - values[0]), abs(value - values[-1])
    if ahead < behind and ahead <= NEAR * abs(whole.step):
        return whole.first + Affine(value - values[0])
    if behind <= NEAR and abs(whole.step) == 1:
        return whole.last + Affine(value - values[-1])
    raise NotSymbolicError


def moved(x: Statement, mapped: Mapping[str, Affine]) -> Statement:
    """A statement with index expressions for loop variables."""
    match x:
        case Let(name, key, value):
            return Let(name, placed_all(key, mapped), shifted(value, mapped))
        case Each(var, interval, body):
            if var in {n for i in mapped.values() for n in i.names}:
                raise NotSymbolicError
            return Each(var, within(interval, mapped), tuple(moved(b, mapped) for b in body))
        case Line():
            return replace(x, parts=tuple(moved_part(p, mapped) for p in x.parts))


@runtime_checkable
class Placed(Protocol):
    """A part of a statement that knows how it is put in another place."""

    def placed(self, mapped: Mapping[str, Affine]) -> object:
        """The part with index expressions for loop variables."""


def moved_part(part: object, mapped: Mapping[str, Affine]) -> object:
    """A part of a statement with index expressions for loop variables."""
    match part:
        case Placed():
            return part.placed(mapped)
        case Node():
            return shifted(part, mapped)
        case Affine():
            return placed(part, mapped)
        case tuple():
            return tuple(moved_part(p, mapped) for p in part)
        case Interval():
            return within(part, mapped)
        case Loop(var, interval):
            return Loop(var, within(interval, mapped))
        case _:
            return part


# ---- the rules themselves ------------------------------------------------------------------------


def forward(items: Iterable[Item]) -> list[Statement]:
    """The rules as they are written."""
    found: list[Statement] = []
    for item in items:
        if isinstance(item, Rule):
            found.append(Let(item.name, item.key, tidy(item.value)))
        else:
            body = tuple(forward(item.items))
            found.append(Each(item.loop.var, item.loop.interval, body))
    return found
