"""The weights of a training: how they start, and how a step moves them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from nexort.expand.folding import fold_loop
from nexort.expand.reverse import Use
from nexort.expand.rounds import Env, Rounds
from nexort.expand.statements import Statement
from nexort.expand.tidy import tidy
from nexort.program import build
from nexort.program.index import Affine, Loop
from nexort.program.network import (
    Exponents,
    IsMember,
    Normalization,
    OptimizerUse,
    Training,
    WeightFamily,
    last_of,
)
from nexort.program.nodes import Node
from nexort.program.shifting import NotSymbolicError
from nexort.program.types import Type, ket, operator, scalar
from nexort.support.diagnostics import Span

Make = Callable[[dict[str, int]], list[Statement]]
"""The statements for a member, told by the values of its loops."""
Pairs = tuple[tuple[Node, Node, tuple[Loop, ...]], ...]


@dataclass(frozen=True, eq=False)
class Moves:
    """How a member of a family of weights moves: its optimizer, and the parts of it that decay
    takes in a step."""

    use: OptimizerUse
    keep: tuple[Node, ...]


def moves_of(training: Training, key: tuple[str, tuple[int, ...]], base: Env) -> Moves:
    """The optimizer and decay of a member, the most particular that speak of it."""
    is_member = _membership(key, base)
    use = last_of(training.optimizers, key[0], is_member)
    assert use is not None
    keep = []
    if use.weight_decay is not None:
        keep.append(build.call("mul", use.rate, use.weight_decay))
    decay = last_of(training.decays, key[0], is_member)
    if decay is not None:
        keep.append(decay.rate)
    return Moves(use, tuple(keep))


def norm_of(
    training: Training, key: tuple[str, tuple[int, ...]], base: Env
) -> Normalization | None:
    """What the updates of a member are divided by."""
    return last_of(training.normalizations, key[0], _membership(key, base))


def exponents_of(training: Training, key: tuple[str, tuple[int, ...]], base: Env) -> Exponents:
    """The exponents of a member."""
    found = training.parametrization.of(key[0], _membership(key, base))
    assert found is not None
    return found


def _membership(key: tuple[str, tuple[int, ...]], base: Env) -> IsMember:
    def is_member(indices: tuple[Affine, ...], _: Span) -> bool:
        try:
            return tuple(i.value(base) for i in indices) == key[1]
        except KeyError:
            raise NotSymbolicError from None

    return is_member


def member_type(weight: WeightFamily) -> Type:
    """The type of a member."""
    match weight.kind:
        case "matrix":
            return operator()
        case "vector":
            return ket(weight.axes)
        case _:
            return scalar(weight.axes)


# ---- families of weights -------------------------------------------------------------------------


def loops_of(weight: WeightFamily, uses: Iterable[Use], taken: frozenset[str]) -> tuple[Loop, ...]:
    """Loops over a family's members, their variables those of the network where it has some."""
    found: list[Loop] = []
    for k, interval in enumerate(weight.ranges):
        names = [
            u.key[k].terms[0][0]
            for u in uses
            if u.name == weight.name and not u.key[k].constant and len(u.key[k].terms) == 1
        ]
        free = [n for n in (*names, "l", "k", "m", "j", "i", *(f"k{j}" for j in range(99)))
                if n not in taken and n not in {x.var for x in found}]  # fmt: skip
        found.append(Loop(free[0], interval))
    return tuple(found)


@dataclass(frozen=True)
class Found:
    """A member's gradient: a graph, or the pairs of a matrix's."""

    value: Node | None
    pairs: Pairs


def gradient(
    rounds: Rounds,
    weight: WeightFamily,
    key: tuple[Affine, ...],
    env: Env,
    values: Mapping[Use, Node],
) -> Found | None:
    """The gradient by a member in terms of the loop variables of ``key``; ``values`` has those that
    stand in for the uses' own. None where the output does not depend on it."""
    member = weight.name, tuple(i.value(env) for i in key)
    if member not in rounds.parts:
        return None
    found = rounds.terms(member, key, env)
    if weight.kind == "matrix":
        pairs = [
            (term.bare(left), term.bare(right), term.sums)
            for term in found
            for left, right in term.use.pairs
        ]
        return Found(None, tuple(pairs))
    total: Node | None = None
    for term in found:
        value = values.get(term.use, term.use.value)
        assert value is not None
        graph = term.graph(value)
        total = graph if total is None else build.call("add", total, graph)
    assert total is not None
    total = tidy(total)
    wanted = member_type(weight)
    return Found(total if total.type == wanted else build.spread(total, wanted), ())


def over_members(loops: Sequence[Loop], base: Env, make: Make) -> list[Statement]:
    """Statements for every member, those that are alike as loops."""

    def at(rest: Sequence[Loop], env: dict[str, int]) -> list[Statement]:
        if not rest:
            return make(env)
        loop = rest[0]
        try:
            values = loop.interval.values(env)
        except KeyError:
            raise NotSymbolicError from None
        bodies = [(v, tuple(at(rest[1:], {**env, loop.var: v}))) for v in values]
        return fold_loop(loop, bodies, values)

    return at(loops, dict(base))
