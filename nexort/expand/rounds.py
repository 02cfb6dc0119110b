"""A network's rules round by round: which members the output depends on, and which uses of a member
make up its cotangent, in terms of loop variables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from nexort.expand.reverse import Use
from nexort.expand.rules import Item, NetworkRule, Rules
from nexort.program import build
from nexort.program.index import Affine, Interval, Loop
from nexort.program.nodes import Node
from nexort.program.shifting import NotSymbolicError, shift_graph, solve_key, within

Env = Mapping[str, int]
Member = tuple[str, tuple[int, ...]]
"""A member of a family, by numbers."""


@dataclass(frozen=True, eq=False)
class RoundPart:
    """A contribution in one round of its loops; ``order`` is the round's place in the program."""

    use: Use
    env: Env
    order: int


@dataclass(frozen=True, eq=False)
class Round:
    """A rule in one round of its loops."""

    rule: NetworkRule
    env: Env


class Rounds:
    """All rounds of all rules, in order, and which of them the output depends on."""

    def __init__(
        self,
        rules: Rules,
        uses: Mapping[NetworkRule, Sequence[Use]],
        base: Env,
        fresh: Callable[[str], str],
    ) -> None:
        self.base = base
        self.fresh = fresh
        self.letters: dict[tuple[Use, str], str] = {}
        rounds = [Round(r, env) for r, env in rounds_of(rules.items, base)]
        rounds.append(Round(rules.output, base))
        self.place = {round_id(x): k for k, x in enumerate(rounds)}
        wanted: set[Member] = {(rules.output.name, ())}
        self.parts: dict[Member, list[RoundPart]] = {}
        self.reached: set[tuple[int, tuple[int, ...]]] = set()
        for x in reversed(rounds):
            if (x.rule.name, numbers_of(x.rule.key, x.env)) not in wanted:
                continue
            self.reached.add(round_id(x))
            for use in uses[x.rule]:
                for env in _inner(use.loops[len(x.rule.loops) :], x.env):
                    member = use.name, numbers_of(use.key, env)
                    wanted.add(member)
                    part = RoundPart(use, env, self.place[round_id(x)])
                    self.parts.setdefault(member, []).append(part)
        self.first = {
            member: min(p.order for p in parts)
            for member, parts in self.parts.items()
            if member[0] in rules.types
        }
        """The first round that reads a member."""

    def reaches(self, rule: NetworkRule, env: Env) -> bool:
        """Whether the output depends on a rule's round."""
        return round_id(Round(rule, env)) in self.reached

    def terms(self, member: Member, key: tuple[Affine, ...], env: Env) -> tuple[RoundTerm, ...]:
        """The contributions to a member in terms of the loop variables of its ``key``, which have
        their values in ``env``; in the order of the program."""
        parts = self.parts[member]
        uses = dict.fromkeys(p.use for p in sorted(parts, key=lambda p: p.order))
        return tuple(self._term([p for p in parts if p.use is use], key, env) for use in uses)

    def _term(self, parts: Sequence[RoundPart], key: tuple[Affine, ...], env: Env) -> RoundTerm:
        use = parts[0].use
        place = solve_key(use.key, [loop.var for loop in use.loops], key)
        told = {name: index.value(env) for name, index in place.items()}
        free = [loop for loop in use.loops if loop.var not in place]
        rounds = _inner([Loop(x.var, within(x.interval, place)) for x in free],
                        {**parts[0].env, **env, **told})  # fmt: skip
        reached = {tuple(told.get(v, e[v]) for v in _variables(use)) for e in rounds}
        if {tuple(p.env[v] for v in _variables(use)) for p in parts} != reached:
            raise NotSymbolicError
        for loop in free:
            if loop.var in env and loop.var not in self.base:
                place[loop.var] = Affine.variable(self._letter(use, loop.var))
        sums = tuple(Loop(str(place.get(x.var, x.var)), within(x.interval, place)) for x in free)
        return RoundTerm(use, tuple(sorted(place.items())), sums)

    def _letter(self, use: Use, variable: str) -> str:
        """Another variable for a sum that stands in a loop of its own variable."""
        if (use, variable) not in self.letters:
            self.letters[use, variable] = self.fresh(variable)
        return self.letters[use, variable]


def _variables(use: Use) -> list[str]:
    return [loop.var for loop in use.loops]


def round_id(x: Round) -> tuple[int, tuple[int, ...]]:
    """What tells a round."""
    return id(x.rule), tuple(x.env[loop.var] for loop in x.rule.loops)


def numbers_of(key: Iterable[Affine], env: Env) -> tuple[int, ...]:
    """The values of indices. Raises NotSymbolicError."""
    try:
        return tuple(k.value(env) for k in key)
    except KeyError:
        raise NotSymbolicError from None


def values_of(interval: Interval, env: Env) -> range:
    """The values of a range. Raises NotSymbolicError."""
    try:
        return interval.values(env)
    except KeyError:
        raise NotSymbolicError from None


def rounds_of(items: Iterable[Item], env: Env) -> Iterable[tuple[NetworkRule, Env]]:
    """Every rule in every round, in order."""
    for item in items:
        if isinstance(item, NetworkRule):
            yield item, env
        else:
            for value in values_of(item.loop.interval, env):
                yield from rounds_of(item.items, {**env, item.loop.var: value})


def _inner(loops: Sequence[Loop], env: Env) -> Iterable[Env]:
    if not loops:
        yield env
        return
    for value in values_of(loops[0].interval, env):
        yield from _inner(loops[1:], {**env, loops[0].var: value})


# ---- sums of contributions -----------------------------------------------------------------------


@dataclass(frozen=True)
class RoundTerm:
    """A contribution in terms of the variables around: ``place`` maps the use's variables, and
    ``sums`` are the loops over which it is summed."""

    use: Use
    place: tuple[tuple[str, Affine], ...]
    sums: tuple[Loop, ...]

    def bare(self, node: Node) -> Node:
        """A graph of the use, in terms of the variables around and of those of the sums."""
        return shift_graph(node, dict(self.place))

    def graph(self, node: Node) -> Node:
        """A graph of the use, in terms of the variables around."""
        found = self.bare(node)
        for loop in reversed(self.sums):
            found = build.total(loop, found)
        return found
